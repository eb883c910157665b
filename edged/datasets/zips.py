"""A zip as it is made: written in one pass, and in memory that does not grow with its files.

The libraries for it keep an entry for every file until the end (300 to 500 bytes each). Here
the list of files that ends a zip is written aside, to a temporary file.

Source: PKWARE's APPNOTE 6.3.10.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from typing import IO, Iterable, Iterator

_LOCAL, _DIRECTORY, _DESCRIPTOR = b"PK\3\4", b"PK\1\2", b"PK\7\10"
_END64, _LOCATOR64, _END = b"PK\6\6", b"PK\6\7", b"PK\5\6"
_STORED, _DEFLATED = 0, 8
_SIZES_FOLLOW, _UTF8 = 1 << 3, 1 << 11
_VERSION, _VERSION_64 = 20, 45
_UNIX = 3 << 8
_MODE = 0o100644 << 16
# 1980-01-01, 00:00: where a zip's calendar begins. Nothing here has a time of its own.
_DATE = 1 << 5 | 1
_EXTRA_64 = 1
_FULL_32, _FULL_16 = 0xFFFFFFFF, 0xFFFF
_IN_MEMORY = 1 << 20  # bytes of the list of files; what is over that is on the disk
_CHUNK = 1 << 16


class ZipWriter:
    """Gives the bytes of a zip: `add` and `stream` a file each, `end` the rest.

    All that a method gives must be used before the next is called. Names are paths with `/`,
    each used once.
    """

    def __init__(self) -> None:
        self._directory: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        self._count = 0
        self._offset = 0

    def close(self) -> None:
        self._directory.close()

    def add(self, name: str, content: bytes) -> Iterator[bytes]:
        """As it is: pictures and sounds do not get smaller. Under 4 GiB."""
        size, crc = len(content), zlib.crc32(content)
        encoded = name.encode()
        head = _local(encoded, _UTF8, _STORED, crc, size, b"")
        self._list(encoded, _UTF8, _STORED, crc, size, size)
        self._offset += len(head) + size
        yield head
        yield content

    def stream(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Deflated; its size, which may be any, follows it."""
        encoded = name.encode()
        flags = _UTF8 | _SIZES_FOLLOW
        extra = struct.pack("<HHQQ", _EXTRA_64, 16, 0, 0)  # it says that the sizes have 8 bytes
        head = _local(encoded, flags, _DEFLATED, 0, _FULL_32, extra)
        yield head
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        crc = size = packed = 0
        for chunk in chunks:
            crc = zlib.crc32(chunk, crc)
            size += len(chunk)
            deflated = packer.compress(chunk)
            packed += len(deflated)
            yield deflated
        deflated = packer.flush()
        packed += len(deflated)
        yield deflated
        yield struct.pack("<4sIQQ", _DESCRIPTOR, crc, packed, size)
        self._list(encoded, flags, _DEFLATED, crc, packed, size)
        self._offset += len(head) + packed + 24

    def end(self) -> Iterator[bytes]:
        size = self._directory.tell()
        self._directory.seek(0)
        yield from iter(lambda: self._directory.read(_CHUNK), b"")
        count, start = self._count, self._offset
        if count >= _FULL_16 or max(size, start) >= _FULL_32:
            yield struct.pack(
                "<4sQHHIIQQQQ",
                *(_END64, 44, _UNIX | _VERSION_64, _VERSION_64, 0, 0, count, count, size, start),
            )
            yield struct.pack("<4sIQI", _LOCATOR64, 0, start + size, 1)
        few = min(count, _FULL_16)
        yield struct.pack(
            "<4sHHHHIIH",
            *(_END, 0, 0, few, few, min(size, _FULL_32), min(start, _FULL_32), 0),
        )

    def _list(self, name: bytes, flags: int, method: int, crc: int, packed: int, size: int) -> None:
        """The entry that begins where all so far ends."""
        long = [value for value in (size, packed, self._offset) if value >= _FULL_32]
        extra = struct.pack(f"<HH{len(long)}Q", _EXTRA_64, 8 * len(long), *long) if long else b""
        version = _VERSION_64 if long or flags & _SIZES_FOLLOW else _VERSION
        self._directory.write(
            struct.pack(
                "<4sHHHHHHIIIHHHHHII",
                *(_DIRECTORY, _UNIX | version, version, flags, method, 0, _DATE, crc),
                *(min(value, _FULL_32) for value in (packed, size)),
                *(len(name), len(extra), 0, 0, 0, _MODE, min(self._offset, _FULL_32)),
            )
            + name
            + extra
        )
        self._count += 1


def _local(name: bytes, flags: int, method: int, crc: int, size: int, extra: bytes) -> bytes:
    """What stands before a file. `size` is both sizes: they differ only where they follow."""
    version = _VERSION_64 if extra else _VERSION
    fixed = (_LOCAL, version, flags, method, 0, _DATE, crc, size, size, len(name), len(extra))
    return struct.pack("<4sHHHHHIIIHH", *fixed) + name + extra
