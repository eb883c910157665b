"""A zip of a folder, looked into or unpacked: whole, or refused with the reason.

It may come from anywhere, so nothing in it is believed: not its names, not its sizes, not
its list of files.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Dict, Iterable, Iterator, NamedTuple, Optional, Sequence

from edged.errors import ModelFolderError
from edged.registry.formats.labels import decode

MAX_BYTES = 1 << 30
"""Of a zip, and of what comes out of it."""
MAX_FILES = 4096
"""Of a zip: a network with a file for each parameter has hundreds."""
MAX_DEPTH = 16
"""Names in a path, the file's own among them."""


class Limits(NamedTuple):
    """Of a zip: bytes unpacked, files, and bytes of its list of files, which zipfile reads at
    once, and makes much of."""

    bytes: int
    files: int
    list: int


_MODEL = Limits(MAX_BYTES, MAX_FILES, 1 << 20)
_CHUNK = 1 << 18
_MACOS = "__MACOSX/"  # what macOS adds of its own to every zip
_UTF8, _ENCRYPTED = 1 << 11, 1 << 0 | 1 << 6 | 1 << 13
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # LZMA may ask for any memory
# What zipfile makes of bytes that are not as they should be.
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError),
    *(ValueError, OverflowError, NotImplementedError),
)


def unpack(archive: Path, to: Path) -> None:
    """Makes the folder `to`. The one folder that a zip may hold everything in is left out.

    Raises ModelFolderError saying what is wrong with the zip, and OSError when `to` cannot
    be written; what stands there then is for the caller to remove.
    """
    with opened(archive, _MODEL) as members:
        left_out = _top(members.sizes)
        to.mkdir()
        for name in members.sizes:
            path = to / name[left_out:]
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "xb") as file:
                for chunk in members.read(name):
                    file.write(chunk)


@contextmanager
def opened(archive: Path, limits: Limits) -> Iterator[Members]:
    """What is in it, for as long as it is open. Raises ModelFolderError saying what is wrong."""
    with _Source(archive, limits.list) as file:
        try:
            zipped = zipfile.ZipFile(file)
        except _BROKEN:
            raise ModelFolderError(
                "it is no zip, or not a whole one: cut short, or still being copied"
            ) from None
        with zipped:
            yield Members(zipped, limits)


class Members:
    """The files of a zip that is open."""

    def __init__(self, zipped: zipfile.ZipFile, limits: Limits) -> None:
        self._zipped = zipped
        self._files = _files(zipped.infolist(), limits)
        self.sizes = {name: member.file_size for name, member in self._files.items()}
        """By path, in bytes."""

    def read(self, name: str) -> Iterator[bytes]:
        """As many bytes as the zip says, never more. Raises ModelFolderError."""
        left = self.sizes[name]
        try:
            with self._zipped.open(self._files[name]) as source:
                while True:
                    chunk = source.read(_CHUNK)  # at the end it compares the checksum
                    left -= len(chunk)
                    if not chunk or left < 0:
                        break
                    yield chunk
        except _BROKEN:
            left = -1
        if left:
            raise ModelFolderError(f"{name} in the zip is damaged")


class _Source(io.FileIO):
    """The zip's bytes, at most `most` of them at a time, whatever it says it has."""

    def __init__(self, archive: Path, most: int) -> None:
        super().__init__(archive)
        self._most = most

    def read(self, size: Optional[int] = -1, /) -> bytes:
        if size is None or size < 0:
            size = max(0, os.fstat(self.fileno()).st_size - self.tell())
        if size > self._most:
            raise ModelFolderError(f"the zip's list of files is larger than {self._most} bytes")
        return super().read(size) or b""

    def seek(self, position: int, whence: int = 0, /) -> int:
        try:
            return super().seek(position, whence)
        except OSError as error:  # a place before its beginning
            raise zipfile.BadZipFile from error


def _files(members: Sequence[zipfile.ZipInfo], limits: Limits) -> Dict[str, zipfile.ZipInfo]:
    """By their path. Raises ModelFolderError."""
    if len(members) > limits.files:
        raise ModelFolderError(f"the zip holds {len(members)} files, more than {limits.files}")
    files: Dict[str, zipfile.ZipInfo] = {}
    for member in members:
        name = _name(member)
        if name.startswith(_MACOS):
            continue
        _check(member, name)
        if name in files:
            raise ModelFolderError(f"{name} stands in the zip twice")
        if not name.endswith("/"):
            files[name] = member
    if not files:
        raise ModelFolderError("the zip holds no files")
    for name in files:
        if any(str(parent) in files for parent in PurePosixPath(name).parents):
            raise ModelFolderError(f"{name} stands in the zip in what is a file")
    size = sum(member.file_size for member in files.values())
    if size > limits.bytes:
        raise ModelFolderError(
            f"the zip holds {size >> 20} MiB unpacked, more than {limits.bytes >> 20}"
        )
    return files


def _top(names: Iterable[str]) -> int:
    """How much of each name is the one folder that all stand in, with its `/`."""
    tops = {name.partition("/")[:2] for name in names}
    first, *others = ("".join(top) for top in tops)
    return len(first) if not others and first.endswith("/") else 0


def _name(member: zipfile.ZipInfo) -> str:
    """The path that the zip says, `/` at its end if it is a folder's. Raises ModelFolderError."""
    name = member.orig_filename
    if not member.flag_bits & _UTF8:  # then it is in the packer's own encoding
        name = decode(name.encode("cp437"), "a name in the zip")
    if "\\" in name:
        raise ModelFolderError(f"{name} in the zip has a backslash: pack it with another tool")
    parts = name.split("/")[: -1 if name.endswith("/") else None]
    if name.startswith("/") or ".." in parts:
        raise ModelFolderError(f"{name} leads out of the zip")
    if any(part in ("", ".") or not part.isprintable() for part in parts):
        raise ModelFolderError(f"{name!r} in the zip is not a file name")
    if len(parts) > MAX_DEPTH:
        raise ModelFolderError(f"{name} is nested too deeply in the zip")
    return name


def _check(member: zipfile.ZipInfo, name: str) -> None:
    """Raises ModelFolderError for what is not unpacked."""
    mode = member.external_attr >> 16
    if stat.S_ISLNK(mode):
        raise ModelFolderError(f"{name} in the zip is a link: pack the file itself")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ModelFolderError(f"{name} in the zip is neither a file nor a folder")
    if member.flag_bits & _ENCRYPTED:
        raise ModelFolderError(f"{name} in the zip is encrypted: pack it without a password")
    if member.compress_type not in _COMPRESSIONS:
        raise ModelFolderError(
            f"{name} in the zip is compressed by method {member.compress_type}:"
            " pack it with deflate, which is 8"
        )
