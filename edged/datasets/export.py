"""A dataset as files that training tools read: in a folder, or as the bytes of a zip."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Callable, Iterator

from edged.datasets.formats import Format
from edged.datasets.formats.items import Copy, File, Item
from edged.datasets.snapshot import Snapshot
from edged.datasets.zips import ZipWriter
from edged.errors import BadParam, StoreError
from edged.registry.disk import sync

_CHUNK = 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)

Progress = Callable[[int], None]
"""Called with how many entities are done since it was called last."""


def zip_chunks(snapshot: Snapshot, format: Format, progress: Progress) -> Iterator[bytes]:
    """Of 256 KiB at most. Memory does not grow with the dataset.

    Raises StoreError; what was given until then is no whole zip.
    """
    waiting = bytearray()
    for part in _zipped(snapshot, format, progress):
        waiting += part
        while len(waiting) >= _CHUNK:
            yield bytes(waiting[:_CHUNK])
            del waiting[:_CHUNK]
    yield bytes(waiting)


def _zipped(snapshot: Snapshot, format: Format, progress: Progress) -> Iterator[bytes]:
    with closing(ZipWriter()) as zipped:
        for file in _counted(format.write(snapshot), progress):
            if isinstance(file, Copy):
                yield from zipped.add(file.path, _content(file.item))
            else:
                yield from zipped.stream(file.path, file.chunks)
        yield from zipped.end()


def to_zip(snapshot: Snapshot, format: Format, to: Path, progress: Progress) -> None:
    """Raises BadParam where `to` is there already, StoreError, and OSError when it cannot be
    written; then nothing is there."""
    if os.path.lexists(to):
        raise BadParam(f"{to} is there already")
    with _beside(to) as scratch:
        unfinished = scratch / to.name
        with open(unfinished, "xb") as file:
            for chunk in zip_chunks(snapshot, format, progress):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, to)


def to_folder(snapshot: Snapshot, format: Format, to: Path, progress: Progress) -> None:
    """As `to_zip`; a folder that is there must be empty."""
    if os.path.lexists(to) and (to.is_symlink() or not to.is_dir() or any(to.iterdir())):
        raise BadParam(f"{to} is there already and is no empty folder")
    with _beside(to) as scratch:
        unfinished = scratch / "export"
        unfinished.mkdir()
        for file in _counted(format.write(snapshot), progress):
            path = unfinished / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "xb") as target:
                if isinstance(file, Copy):
                    target.write(_content(file.item))
                else:
                    target.writelines(file.chunks)
        _sync_all(unfinished)
        os.rename(unfinished, to)


@contextmanager
def _beside(to: Path) -> Iterator[Path]:
    """A folder that is gone afterwards. What was moved from it to `to` lasts."""
    folder = to.absolute().parent
    scratch = Path(tempfile.mkdtemp(prefix=f".{to.name[:64]}-", dir=folder))
    try:
        yield scratch
        sync(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _sync_all(folder: Path) -> None:
    """All that was written on its file system is on the disk: one wait, and not one for each
    of a hundred thousand files. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if _libc.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def _counted(files: Iterator[File], progress: Progress) -> Iterator[File]:
    """Tells of each entity once, though it may be in several files."""
    last = 0
    for file in files:
        yield file
        if isinstance(file, Copy) and file.item.id != last:
            last = file.item.id
            progress(1)


def _content(item: Item) -> bytes:
    """Raises StoreError when it is not there, or not whole."""
    try:
        content = item.content.read_bytes()
    except OSError as error:
        raise StoreError(f"the content of {item.file}: {error.strerror}") from error
    if len(content) != item.size:
        raise StoreError(f"the content of {item.file} has {len(content)} bytes, not {item.size}")
    return content
