"""Format, size and EXIF orientation of a picture, from its header alone.

The daemon refuses bombs by it before any decoder sees them; the worker turns a
JPEG or a WebP by it. Nothing here decodes a pixel.

Sources: ITU-T T.81 (JPEG markers), PNG specification 3rd edition, WebP container
specification (RFC 9649), BITMAPINFOHEADER, EXIF 2.32 (orientation, tag 0x0112).
"""

from __future__ import annotations

import re
import struct
from typing import Iterator, NamedTuple, Tuple

from edged.errors import BadImage

# Start-of-frame markers; C4 (DHT), C8 (JPG) and CC (DAC) lie between them.
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = frozenset({0xC0, 0xC1, 0xC3, 0xC9, 0xCB})
# Markers that stand alone, without a length: TEM, RST0-7, SOI.
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_EOI, _SOS, _APP1 = 0xD9, 0xDA, 0xE1
_FILL = re.compile(b"\xff*")
# A picture with a colour profile and a depth map has some hundred. The daemon's loop waits
# meanwhile, and a body of nothing but markers has millions.
_MOST_SEGMENTS = 4096
_MOST_EXIF = 1 << 16  # bytes: a JPEG has room for no more, and the tag is near its beginning
_EXIF = b"Exif\0\0"


class ImageHeader(NamedTuple):
    """`width` and `height` are in pixels as stored, before `orientation` (1-8) is applied.

    `in_scans`: the pixels of a JPEG come piece by piece in several scans.
    """

    format: str
    width: int
    height: int
    orientation: int
    in_scans: bool = False


def read_header(data: bytes) -> ImageHeader:
    """Raises BadImage when `data` is not a JPEG, PNG, BMP or WebP with a whole header."""
    try:
        if data[:2] == b"\xff\xd8":
            header = _jpeg(data)
        elif data[:8] == b"\x89PNG\r\n\x1a\n":
            header = _png(data)
        elif data[:2] == b"BM":
            header = _bmp(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            header = _webp(data)
        else:
            raise BadImage("the image is not a JPEG, PNG, BMP or WebP file")
    except (struct.error, IndexError):
        raise BadImage("the image's header is cut short") from None
    if header.width < 1 or header.height < 1:
        raise BadImage(f"the image's size is {header.width} x {header.height}")
    return header


class Segment(NamedTuple):
    """A part of a JPEG before its pixels: `start` is where its 0xFF is."""

    marker: int
    start: int
    end: int


def jpeg_segments(data: bytes) -> Iterator[Segment]:
    """Up to the first scan (its header is the last). Bytes that stand between segments are
    skipped, as libjpeg does. Raises BadImage where `data` ends before it does.
    """
    end = 2
    try:
        for _ in range(_MOST_SEGMENTS):
            start = end
            marker = data[start + 1]
            if data[start] != 0xFF or marker == 0xFF:
                start = _next_marker(data, start)
                marker = data[start + 1]
            end = start + 2
            if marker == 0 or marker in _ALONE:
                continue
            if marker != _EOI:
                length = data[end] << 8 | data[end + 1]
                if length < 2:
                    raise BadImage("the JPEG's markers are broken")
                end += length
            yield Segment(marker, start, end)
            if marker in (_SOS, _EOI):
                return
    except IndexError:
        raise BadImage("the image's header is cut short") from None
    raise BadImage("the JPEG has too many segments")


def _next_marker(data: bytes, at: int) -> int:
    """Where the 0xFF of the next marker is: behind what stands between segments, and behind
    others that fill the space in front of it. Raises IndexError where there is none.
    """
    start = data.find(b"\xff", at)
    fill = _FILL.match(data, start) if start >= 0 else None
    if fill is None:
        raise IndexError
    return fill.end() - 1


def _jpeg(data: bytes) -> ImageHeader:
    orientation = 1
    segments = jpeg_segments(data)
    for marker, start, end in segments:
        if marker in _SOF:
            height, width, components = struct.unpack_from(">HHB", data, start + 5)
            in_scans = marker not in _SEQUENTIAL or _first_scan(data, segments) < components
            return ImageHeader("jpeg", width, height, orientation, in_scans)
        if marker == _APP1 and data[start + 4 : start + 10] == _EXIF:
            orientation = _exif_orientation(data[start + 10 : end])
    raise BadImage("the JPEG has no frame before its first scan")


def _first_scan(data: bytes, segments: Iterator[Segment]) -> int:
    """How many components it has, 0 where no whole one follows: a decoder will say so."""
    try:
        return next(data[start + 4] for marker, start, _ in segments if marker == _SOS)
    except (BadImage, StopIteration, IndexError):
        return 0


def _exif_orientation(tiff: bytes) -> int:
    """1 for anything that is not a clear orientation: a broken EXIF spoils no picture."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (ifd,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, ifd)
        for entry in range(count):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, ifd + 2 + 12 * entry)
            if tag == 0x0112:
                return value if kind == 3 and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _png(data: bytes) -> ImageHeader:
    if data[12:16] != b"IHDR":
        raise BadImage("the PNG does not begin with its header chunk")
    width, height = struct.unpack_from(">II", data, 16)
    return ImageHeader("png", width, height, 1)


def _bmp(data: bytes) -> ImageHeader:
    (size,) = struct.unpack_from("<I", data, 14)
    if size == 12:  # BITMAPCOREHEADER
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return ImageHeader("bmp", width, abs(height), 1)  # a negative height: rows from the top


def _webp(data: bytes) -> ImageHeader:
    chunk = data[12:16]
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return ImageHeader("webp", width & 0x3FFF, height & 0x3FFF, 1)
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return ImageHeader("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 1)
    if chunk == b"VP8X":
        width, height = _uint24(data, 24), _uint24(data, 27)
        return ImageHeader("webp", width + 1, height + 1, _webp_orientation(data))
    raise BadImage("the WebP does not begin with a picture chunk")


def _webp_orientation(data: bytes) -> int:
    """EXIF is a chunk after the pixels. 1 where it, or what is before it, is broken."""
    at = 12
    for _ in range(_MOST_SEGMENTS):
        if at + 8 > len(data):
            break
        kind, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if kind == b"EXIF":
            tiff = data[at : at + min(size, _MOST_EXIF)]
            return _exif_orientation(tiff[len(_EXIF) :] if tiff[: len(_EXIF)] == _EXIF else tiff)
        at += size + size % 2
    return 1


def _uint24(data: bytes, at: int) -> int:
    parts: Tuple[int, int] = struct.unpack_from("<HB", data, at)
    return parts[0] | parts[1] << 16
