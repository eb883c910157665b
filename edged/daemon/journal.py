"""The journal of systemd: one datagram for each entry, with fields of its own.

Source: systemd's document "Native Journal Protocol" (JOURNAL_NATIVE_PROTOCOL).
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Iterable, Mapping, Tuple

SOCKET = "/run/systemd/journal/socket"

Field = Tuple[str, str]

# A datagram holds some 200 KiB; the protocol's way for more is not needed for a log line.
_MOST_BYTES = 32 << 10
_SIZE = struct.Struct("<Q")


def holds(descriptor: int, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether what is written to `descriptor` goes to the journal (systemd.exec(5),
    JOURNAL_STREAM): not so when somebody has led it elsewhere.
    """
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class Journal:
    """Sends to the socket at `path`, which may come and go."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def send(self, fields: Iterable[Field]) -> None:
        """A field may come more than once. Blocks while the journal takes nothing. Raises
        OSError when it is not there.
        """
        self._socket.sendto(b"".join(_encoded(name, value) for name, value in fields), self._path)

    def close(self) -> None:
        self._socket.close()


def _encoded(name: str, value: str) -> bytes:
    data = value.encode(errors="backslashreplace")[:_MOST_BYTES]
    if b"\n" in data:
        return name.encode() + b"\n" + _SIZE.pack(len(data)) + data + b"\n"
    return name.encode() + b"=" + data + b"\n"
