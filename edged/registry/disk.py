"""Files that must last: whole or not at all, one writer at a time, known by what they hold."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Iterator, Sequence

_CHUNK = 1 << 20


def digest(paths: Sequence[Path]) -> str:
    """32 hex digits of the files' lengths and contents. Raises OSError."""
    total = hashlib.sha256()
    buffer = memoryview(bytearray(_CHUNK))
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            total.update(os.fstat(file.fileno()).st_size.to_bytes(8, "little"))
            while True:
                count = file.readinto(buffer)
                if not count:
                    break
                total.update(buffer[:count])
    return total.hexdigest()[:32]


def sync(path: Path) -> None:
    """Returns when the file, or the list of a folder's names, is on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits until no other process holds the lock, which ends with its holder."""
    with open(path, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write(path: Path, data: bytes) -> None:
    """After a power cut there is the old file or the new one, whole. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except OSError:
            os.unlink(file.name)
            raise
    sync(path.parent)
