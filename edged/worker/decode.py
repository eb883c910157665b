"""A picture's bytes to pixels, the way a viewer shows it."""

from __future__ import annotations

import struct
from typing import Callable, Iterator, NamedTuple, Tuple

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from edged.errors import BadImage
from edged.image_header import ImageHeader, jpeg_segments, read_header
from edged.worker.geometry import reduced

Picture = npt.NDArray[np.uint8]
"""BGR, (H, W, 3)."""

_END_OF_IMAGE = b"\xff\xd9"
_SCAN = b"\xff\xda"  # two bytes that nothing inside a scan looks like
# Encoders write some ten. A decoder visits every pixel in each, so a thousand take minutes.
_MOST_SCANS = 100

# What undoes each EXIF orientation: a flip code or a rotation, None for neither.
_FLIPS = {2: 1, 4: 0, 5: 1, 7: 1}
_ROTATIONS = {
    3: cv2.ROTATE_180,
    5: cv2.ROTATE_90_CLOCKWISE,
    6: cv2.ROTATE_90_CLOCKWISE,
    7: cv2.ROTATE_90_COUNTERCLOCKWISE,
    8: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
_TURNED = frozenset(_ROTATIONS) - {3}  # width and height change places


Reduction = Callable[[Tuple[int, int]], int]
"""(width, height) of a picture as a viewer shows it -> n, for 1/n of it: 1, 2, 4 or 8."""


class Decoded(NamedTuple):
    """`size` is the (width, height) of the whole picture; of `pixels` there may be less."""

    pixels: Picture
    size: Tuple[int, int]

    @property
    def is_whole(self) -> bool:
        height, width = self.pixels.shape[:2]
        return self.size == (width, height)


def whole(pixels: Picture) -> Decoded:
    """`pixels` are all there are."""
    return Decoded(pixels, (pixels.shape[1], pixels.shape[0]))


def decode(data: bytes) -> Picture:
    """BGR pixels, EXIF orientation applied; grey, alpha and 16 bits become 3 x 8 bits.

    Raises BadImage when the data is not a whole picture. A JPEG that lacks only its
    end marker, as some cameras send it, is whole.
    """
    return _decode(data, read_header(data))


def decode_reduced(data: bytes, reduction: Reduction) -> Decoded:
    """As `decode`, but a JPEG is decoded at the part of its size that `reduction` says.

    Raises what `reduction` raises, too.
    """
    header = read_header(data)
    stored = header.width, header.height
    size = stored[::-1] if header.orientation in _TURNED else stored
    part = reduction(size) if header.format == "jpeg" else 1
    if part == 1:
        return whole(_decode(data, header))
    pixels = _decode_jpeg(data, header, reduced(stored, part))
    # What it is a part of is known from the header alone.
    if pixels.shape[1::-1] not in (reduced(stored, part), stored):
        raise BadImage("the image's size is not what its header says")
    return Decoded(_orient(pixels, header.orientation), size)


def _decode(data: bytes, header: ImageHeader) -> Picture:
    if header.format == "jpeg":
        return _orient(_decode_jpeg(data, header), header.orientation)
    return _decode_other(data, header)


def _decode_jpeg(data: bytes, header: ImageHeader, least: Tuple[int, int] = (0, 0)) -> Picture:
    """At the smallest of libjpeg's sizes that is not under `least` (width, height); 0 is whole."""
    if header.in_scans and data.count(_SCAN) > _MOST_SCANS:
        raise BadImage(f"the JPEG has more than {_MOST_SCANS} scans")
    if data[-2:] != _END_OF_IMAGE:
        data += _END_OF_IMAGE
    reason = ""
    for candidate, strict in _readings(data):
        try:
            picture: Picture = simplejpeg.decode_jpeg(
                candidate,
                "BGR",
                min_width=least[0],
                min_height=least[1],
                strict=strict,
                # Of a reduction it is for libjpeg to say how large it is.
                buffer=None if least[0] else pixel_memory(header.width, header.height),
            )
            return picture
        except ValueError as error:
            reason = str(error)
        if "extraneous bytes" not in reason:
            break
    if "colorspace" in reason or "color conversion" in reason:  # CMYK, which cv2 converts
        return _decode_cv2(data, "JPEG", cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    raise BadImage(f"the JPEG does not decode: {reason}")


def pixel_memory(width: int, height: int) -> npt.NDArray[np.uint8]:
    """For (height, width, 3), 8 bytes beyond a multiple of 16, which is where malloc begins.

    On x86 libjpeg-turbo writes rows that begin at a multiple of 16 or 32 past the caches, out of
    which whoever resizes the picture next would have read them.
    """
    return np.empty(width * height * 3 + 8, np.uint8)[8:]


def _readings(data: bytes) -> Iterator[Tuple[bytes, bool]]:
    """(bytes, strict): each is tried when there were extraneous bytes in the one before.

    Some cameras pad between segments. libjpeg only warns of that, but simplejpeg stops at
    the first warning and would not see that the scan is cut short. So padding in front of
    the pixels is taken out; what then is extraneous comes after them.
    """
    yield data, True
    unpadded = _without_padding(data)
    yield unpadded, True
    yield unpadded, False


def _without_padding(data: bytes) -> bytes:
    segments = list(jpeg_segments(data))
    rest = data[segments[-1].end :]
    return b"".join([b"\xff\xd8", *(data[part.start : part.end] for part in segments), rest])


def _decode_other(data: bytes, header: ImageHeader) -> Picture:
    if header.format == "png":
        _check_chunks(data)
    # cv2 turns a PNG by its EXIF, if it has such; of a WebP that depends on its version.
    flags = cv2.IMREAD_IGNORE_ORIENTATION if header.format == "webp" else 0
    picture = _decode_cv2(data, header.format.upper(), cv2.IMREAD_COLOR | flags)
    # The header was what the limits were held against, so the pixels must be what it said.
    if sorted(picture.shape[:2]) != sorted((header.height, header.width)):
        raise BadImage("the image's size is not what its header says")
    return _orient(picture, header.orientation)


def _check_chunks(data: bytes) -> None:
    """Refuses a PNG whose chunks do not end within it: cv2 takes memory for what a chunk's
    length says, up to 4 GB, before it looks what there is.
    """
    at, kind = 8, b""
    while kind != b"IEND":
        if at + 12 > len(data):
            raise BadImage("the PNG does not decode: it is cut short")
        length, kind = struct.unpack_from(">I4s", data, at)
        at += 12 + length
    if at > len(data):
        raise BadImage("the PNG does not decode: it is cut short")


def _decode_cv2(data: bytes, name: str, flags: int) -> Picture:
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise BadImage(f"the {name} does not decode: {error.err}") from None
    if picture is None:
        raise BadImage(f"the {name} does not decode: it is broken or cut short")
    return picture.astype(np.uint8, copy=False)


def _orient(picture: Picture, orientation: int) -> Picture:
    if orientation in _ROTATIONS:
        picture = cv2.rotate(picture, _ROTATIONS[orientation]).astype(np.uint8, copy=False)
    if orientation in _FLIPS:
        picture = cv2.flip(picture, _FLIPS[orientation]).astype(np.uint8, copy=False)
    return picture
