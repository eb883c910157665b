"""Models as they are served: every version of one whole, in a folder that nobody changes.

`<digest of its contents>/` is a copy of a folder, or what a zip held. It is renamed to that
when all of it is on the disk.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import string
import time
from pathlib import Path
from typing import AbstractSet, Dict, Iterable, Tuple

from edged.errors import ModelFolderError, NotKept
from edged.registry.archive import MAX_BYTES, MAX_DEPTH, MAX_FILES, unpack
from edged.registry.disk import digest, locked, sync
from edged.registry.paths import file_inside

_LOCK, _UNFINISHED = "lock", "unfinished"
_DIGITS = 32
_CHUNK = 1 << 20


class Versions:
    """Those in the folder `root`. Blocks on the disk; what is said to raise raises
    ModelFolderError.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, key: str) -> Path:
        return self._root / key

    def __contains__(self, key: str) -> bool:
        return os.path.isdir(self._root / key)

    def key(self, source: Path) -> str:
        """That of a folder's or a zip's contents as they are now. Raises."""
        if os.path.isdir(source):
            return _digest_of(files_in(source))
        _stamp(source)
        try:
            return digest([source])
        except OSError as error:
            raise ModelFolderError(f"the zip cannot be read: {error.strerror}") from None

    def take(self, source: Path) -> str:
        """The key of the folder's or the zip's contents, which are here from now on.

        Raises, NotKept where there is no room for them.
        """
        key = self.key(source)
        if key not in self:
            how = "zip cannot be unpacked in"
            if os.path.isdir(source):
                how = "folder cannot be copied to"
            try:
                self._take(source, key)
            except OSError as error:
                raise NotKept(f"the {how} {self._root}: {error.strerror}") from None
        return key

    def remove(self, keys: Iterable[str]) -> None:
        """Those that are there. What cannot be removed stays until the next `tidy`."""
        there = [key for key in keys if key in self]
        if not there:
            return
        try:
            with locked(self._root / _LOCK):
                self._remove_unfinished()
                for key in there:
                    # So that what is half removed is not taken for whole, power cut or not.
                    os.rename(self._root / key, self._root / _UNFINISHED)
                    sync(self._root)
                    self._remove_unfinished()
        except OSError:
            return

    def tidy(self, used: AbstractSet[str], older: float = 0.0) -> None:
        """Removes what an interrupted command left, and what is not `used` and was taken more
        than `older` seconds ago.
        """
        try:
            names = os.listdir(self._root)
            with locked(self._root / _LOCK):
                self._remove_unfinished()
        except OSError:  # it is there next time too
            return
        latest = time.time() - older
        unused = [name for name in names if is_key(name) and name not in used]
        self.remove([name for name in unused if _changed(self._root / name) <= latest])

    def _take(self, source: Path, key: str) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        with locked(self._root / _LOCK):
            if key in self:  # another process has done it meanwhile
                return
            self._remove_unfinished()  # of one that was killed
            unfinished = self._root / _UNFINISHED
            try:
                if os.path.isdir(source):
                    _copy(source, unfinished, key)
                else:
                    _unpack(source, unfinished)
                for path in (*unfinished.rglob("*"), unfinished):
                    sync(path)
                os.rename(unfinished, self._root / key)
                sync(self._root)
            finally:
                self._remove_unfinished()

    def _remove_unfinished(self) -> None:
        shutil.rmtree(self._root / _UNFINISHED, ignore_errors=True)


def is_key(name: str) -> bool:
    return len(name) == _DIGITS and set(name) <= set(string.hexdigits)


def _unpack(archive: Path, to: Path) -> None:
    before = _stamp(archive)
    unpack(archive, to)
    if _stamp(archive) != before:
        raise ModelFolderError("the zip is still being copied")


def _stamp(archive: Path) -> Tuple[int, ...]:
    """Another one for other contents, while nobody plays tricks with the clock."""
    if not archive.name.isprintable():  # lone surrogates are not
        raise ModelFolderError("the zip's name is not printable UTF-8")
    try:
        found = os.stat(archive)
    except OSError as error:
        raise ModelFolderError(f"the zip cannot be read: {error.strerror}") from None
    if found.st_size > MAX_BYTES:
        raise ModelFolderError(f"the zip is larger than {MAX_BYTES >> 20} MiB")
    return found.st_ino, found.st_size, found.st_mtime_ns


def _copy(source: Path, to: Path, key: str) -> None:
    to.mkdir()
    for name, path in files_in(source).items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "rb") as read, open(to / name, "xb") as written:
            shutil.copyfileobj(read, written, _CHUNK)
    if _digest_of(files_in(to)) != key:
        raise ModelFolderError("the folder is still being copied")


def files_in(folder: Path) -> Dict[str, str]:
    """Name -> path of all files in it; links are followed as long as they stay in it."""
    files: Dict[str, str] = {}
    size = 0
    for place, _, names in os.walk(folder, followlinks=True):
        part = os.path.relpath(place, folder)
        if len(Path(part).parts) >= MAX_DEPTH or len(files) + len(names) > MAX_FILES:
            raise ModelFolderError(f"the folder holds more than {MAX_FILES} files, or is too deep")
        for name in names:
            name = os.path.normpath(os.path.join(part, name))
            try:
                files[name] = file_inside(folder, name)
                size += os.stat(files[name]).st_size
            except ModelFolderError:  # nothing that a model may use
                continue
            except OSError as error:
                raise ModelFolderError(f"{name} cannot be read: {error.strerror}") from None
    if size > MAX_BYTES:
        raise ModelFolderError(f"the folder is larger than {MAX_BYTES >> 20} MiB")
    return dict(sorted(files.items()))


def _digest_of(files: Dict[str, str]) -> str:
    try:
        contents = digest([Path(path) for path in files.values()])
    except OSError as error:
        raise ModelFolderError(f"{error.filename} cannot be read: {error.strerror}") from None
    names = "\0".join([*files, contents])
    return hashlib.sha256(os.fsencode(names)).hexdigest()[:_DIGITS]


def _changed(path: Path) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:  # removed meanwhile
        return time.time()
