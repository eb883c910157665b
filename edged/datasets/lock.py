"""One writer at a time, among threads and processes."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Dict, Iterator

from edged.datasets.disk import open_private

_WAIT_SECONDS = 10.0
_POLL_SECONDS = 0.001


class WriteLock:
    """Held by one thread of one process, and given on in turn: whoever writes without a pause
    does not starve the others. It ends with its holder."""

    def __init__(self, folder: Path) -> None:
        """Makes its two files in the folder. Raises OSError."""
        self._turn = open_private(folder / "turn.lock", os.O_RDWR)
        try:
            self._lock = open_private(folder / "write.lock", os.O_RDWR)
        except BaseException:
            os.close(self._turn)
            raise

    def close(self) -> None:
        os.close(self._turn)
        os.close(self._lock)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raises OSError when another has held it for ten seconds, as a stopped process would."""
        end = time.monotonic() + _WAIT_SECONDS
        # Who waits for the lock has the turn, so who comes back for the lock waits behind it.
        _take(self._turn, end)
        try:
            _take(self._lock, end)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)


def _take(descriptor: int, end: float) -> None:
    while not try_lock(descriptor):
        if time.monotonic() > end:
            raise TimeoutError(errno.ETIMEDOUT, "another process holds the lock")
        time.sleep(_POLL_SECONDS)


def try_lock(descriptor: int) -> bool:
    """Whether it is now this descriptor's. Raises OSError."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Claims:
    """Who occupies which dataset. A claim ends with its holder; who asks or changes has the
    write lock. Every method may raise OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.mine: Dict[int, int] = {}
        """Datasets, each with the descriptor that holds the claim."""

    def close(self) -> None:
        while self.mine:
            os.close(self.mine.popitem()[1])

    def take(self, dataset: int) -> bool:
        """False where it is taken."""
        descriptor = open_private(self._file(dataset), os.O_RDWR)
        if not try_lock(descriptor):
            os.close(descriptor)
            return False
        self.mine[dataset] = descriptor
        return True

    def is_taken(self, dataset: int) -> bool:
        try:
            descriptor = os.open(self._file(dataset), os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            return not try_lock(descriptor)
        finally:
            os.close(descriptor)

    def give_up(self, dataset: int) -> None:
        os.close(self.mine.pop(dataset))

    def forget(self, dataset: int) -> None:
        """Takes the file away of one that has ended or is about to."""
        with suppress(FileNotFoundError):
            self._file(dataset).unlink()

    def _file(self, dataset: int) -> Path:
        return self._folder / f"{dataset}.lock"
