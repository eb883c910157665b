"""The daemon's door for the commands on the same machine: a Unix socket in the state directory.

Whoever may open that directory may change the models: no token is asked for. It speaks the
HTTP of the routes for changes. One socket for each folder of models.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import os
import socket
from pathlib import Path
from typing import IO, Iterator, Optional, Union

from edged.errors import ConfigError, EdgedError

_FOLDER = "control"
# An installation unpacks, converts and tries.
_SECONDS = 1800.0


class Door:
    """The daemon's end. Blocks on the disk."""

    def __init__(self, state: Path, models: Path) -> None:
        self._folder = state / _FOLDER
        self._models = models
        self._lock: Optional[IO[bytes]] = None

    def open(self) -> Optional[socket.socket]:
        """Listening; None when another daemon serves these models. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = _name(self._models)
        lock = open(self._folder / f"{name}.lock", "wb")  # noqa: SIM115 - until it ends
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        self._lock = lock
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._folder / name)
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short(self._folder) as folder:
                door.bind(f"{folder}/{name}")
            os.chmod(self._folder / name, 0o600)
            door.listen()
            door.setblocking(False)
        except BaseException:
            door.close()
            raise
        return door

    def close(self) -> None:
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._folder / _name(self._models))
            self._lock.close()


def ask(
    state: Path, models: Path, method: str, path: str, body: Union[IO[bytes], bytes] = b""
) -> Optional[bytes]:
    """The body of the daemon's answer, whatever its status; None when none is running.

    Raises ConfigError when it may not be asked, EdgedError when it does not answer.
    """
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(state / _FOLDER) as folder:
            door.connect(f"{folder}/{_name(models)}")
    except (FileNotFoundError, ConnectionRefusedError):
        door.close()
        return None
    except OSError as error:
        door.close()
        raise ConfigError(
            f"the daemon's door in {state / _FOLDER}: {error.strerror}; run this as its user"
        ) from None
    door.settimeout(_SECONDS)
    connection = http.client.HTTPConnection("edged")
    connection.sock = door
    try:
        length = os.fstat(body.fileno()).st_size if not isinstance(body, bytes) else len(body)
        connection.request(method, path, body, {"Content-Length": str(length)})
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        raise EdgedError(f"the daemon does not answer: {error}") from None
    finally:
        connection.close()


def _name(models: Path) -> str:
    return hashlib.sha256(os.fsencode(os.path.realpath(models))).hexdigest()[:16]


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A name of the folder that leaves room for the socket's in the 107 bytes there are."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
