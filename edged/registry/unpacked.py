"""The zips in the models' folder, unpacked in the state directory: each once.

`unpacked/<digest of its path>-<digest of its contents>/` there has `zip`, a link to where it
came from, and `model`, what it held. It is renamed to that when all of it is on the disk.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Set, Tuple

from edged.errors import ModelFolderError
from edged.registry.archive import MAX_BYTES, unpack
from edged.registry.disk import digest, locked, sync

_LOCK, _UNFINISHED = "lock", "unfinished"
_ORIGIN, _MODEL = "zip", "model"


class Unpacked:
    """`folder` for one zip after the other, then `tidy`."""

    def __init__(self, state: Path) -> None:
        self._root = state / "unpacked"
        self._asked: Set[str] = set()

    def folder(self, archive: Path) -> Path:
        """The folder with what the zip holds, unpacked now if it has not been.

        Blocks on the disk. Raises ModelFolderError.
        """
        origin = _origin(archive)
        version = _version(archive)
        try:
            key = f"{hashlib.sha256(os.fsencode(origin)).hexdigest()[:16]}-{digest([archive])}"
        except OSError as error:
            raise ModelFolderError(f"the zip cannot be read: {error.strerror}") from None
        self._asked.add(key)
        place = self._root / key
        if not os.path.isdir(place / _MODEL):
            try:
                self._unpack(origin, version, place)
            except OSError as error:
                raise ModelFolderError(
                    f"the zip cannot be unpacked in {self._root}: {error.strerror}"
                ) from None
        return place / _MODEL

    def tidy(self, models: Path) -> None:
        """Removes what came from zips that are gone, and from others that were in `models`.

        Only for the daemon that serves `models`: another process may be older than a zip,
        and then this one serves from what it would remove.
        """
        if not os.path.isdir(self._root):
            return
        folder = os.path.realpath(models)
        try:
            with locked(self._root / _LOCK):
                self._remove_unfinished()
                for name in sorted(set(os.listdir(self._root)) - self._asked):
                    if self._is_left_over(name, folder):
                        # So that what is half removed is not taken for whole.
                        os.rename(self._root / name, self._root / _UNFINISHED)
                        self._remove_unfinished()
        except OSError:  # it is there next time too
            return

    def _unpack(self, origin: str, version: Tuple[int, ...], place: Path) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        with locked(self._root / _LOCK):
            if os.path.isdir(place / _MODEL):  # another process has done it meanwhile
                return
            self._remove_unfinished()  # of one that was killed
            unfinished = self._root / _UNFINISHED
            try:
                unfinished.mkdir()
                os.symlink(origin, unfinished / _ORIGIN)
                unpack(Path(origin), unfinished / _MODEL)
                if _version(Path(origin)) != version:
                    raise ModelFolderError("the zip is still being copied")
                for path in (*(unfinished / _MODEL).rglob("*"), unfinished / _MODEL, unfinished):
                    sync(path)
                os.rename(unfinished, place)
                sync(self._root)
            finally:
                self._remove_unfinished()

    def _is_left_over(self, name: str, models: str) -> bool:
        try:
            origin = os.readlink(self._root / name / _ORIGIN)
        except OSError:  # the lock, or nothing of ours
            return False
        return os.path.dirname(origin) == models or not os.path.exists(origin)

    def _remove_unfinished(self) -> None:
        shutil.rmtree(self._root / _UNFINISHED, ignore_errors=True)


def _origin(archive: Path) -> str:
    """Its path, whichever links lead to the folder it is in."""
    if not archive.name.isprintable():  # lone surrogates are not
        raise ModelFolderError("the zip's name is not printable UTF-8")
    return os.path.join(os.path.realpath(archive.parent), archive.name)


def _version(archive: Path) -> Tuple[int, ...]:
    """Another one for other contents, while nobody plays tricks with the clock."""
    try:
        found = os.stat(archive)
    except OSError as error:
        raise ModelFolderError(f"the zip cannot be read: {error.strerror}") from None
    if found.st_size > MAX_BYTES:
        raise ModelFolderError(f"the zip is larger than {MAX_BYTES >> 20} MiB")
    return found.st_ino, found.st_size, found.st_mtime_ns
