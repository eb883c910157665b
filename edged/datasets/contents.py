"""Content files by their SHA-256. Who changes them holds the store's write lock."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Dict, Iterable, List, Mapping

from edged.datasets.disk import make_folder, open_private, opened_folder
from edged.registry.disk import sync

_SYNCED_AT_ONCE = 8


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Contents:
    """A folder of folders by the first two digits. Every method may raise OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self) -> None:
        """All its folders: an addition has none to make, and none to sync its name."""
        for number in range(256):
            make_folder(self.folder / f"{number:02x}")
        sync(self.folder)

    def path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest

    def is_whole(self, digest: str, size: int) -> bool:
        """Whether a file of that many bytes is there."""
        try:
            return self.path(digest).stat().st_size == size
        except FileNotFoundError:
            return False

    def add(self, contents: Mapping[str, bytes]) -> None:
        """By digest; when this returns, a power cut takes none of them.

        When it raises, some may be there, and some of those in part.
        """
        with ExitStack() as stack:
            folders: Dict[Path, int] = {}
            written: List[int] = []
            for digest, data in contents.items():
                path = self.path(digest).parent
                if path not in folders:
                    folders[path] = stack.enter_context(opened_folder(path))
                folder = folders[path]
                with suppress(FileNotFoundError):  # what a stop in the middle has left
                    os.unlink(digest, dir_fd=folder)
                descriptor = open_private(Path(digest), os.O_WRONLY, folder)
                stack.callback(os.close, descriptor)
                _write(descriptor, data)
                written.append(descriptor)
            _sync([*written, *folders.values()])

    def remove(self, digests: Iterable[str]) -> None:
        for digest in digests:
            with suppress(FileNotFoundError):
                self.path(digest).unlink()

    def folders(self) -> List[str]:
        """The first digits of what is there."""
        return os.listdir(self.folder)

    def names(self, folder: str) -> List[str]:
        """The digests with these first digits, of half files too."""
        return os.listdir(self.folder / folder)


def _sync(descriptors: List[int]) -> None:
    """Many that are synced at the same time share the writes of the file system's journal, which
    is four times as fast; one file and its folder are faster one after the other."""
    if len(descriptors) <= 2:
        for descriptor in descriptors:
            os.fsync(descriptor)
        return
    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
        list(pool.map(os.fsync, descriptors))  # a list, or else nobody learns of an error


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
