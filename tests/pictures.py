"""Pictures for tests, made by Pillow: the code under test decodes with other libraries."""

from __future__ import annotations

import io
from typing import Any, Iterator, Tuple

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

# The EXIF orientations, and what a camera that is held so does to the picture.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def landscape(width: int = 61, height: int = 43) -> Image.Image:
    """Smooth, of odd size, and different in every corner and colour channel."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 255 * x / max(width - 1, 1), 255 * y / max(height - 1, 1)
    blue = 255 * (x + y) / max(width + height - 2, 1)
    return Image.fromarray(np.dstack([red, green, 255 - blue]).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    if kind == "JPEG":
        options = {"quality": 95, **options}
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned(image: Image.Image, orientation: int, kind: str = "JPEG", **options: Any) -> bytes:
    """Stored as `orientation` says, which a viewer shows as `image`."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = image.transpose(TURNS[orientation]) if orientation in TURNS else image
    return encoded(stored, kind, exif=exif, **options)


def bgr(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"))[:, :, ::-1]


def decoded(content: bytes) -> Pixels:
    """A file's pixels, BGR; its orientation is not looked at."""
    return np.ascontiguousarray(bgr(Image.open(io.BytesIO(content))))


def parts(jpeg: bytes) -> Iterator[Tuple[int, int]]:
    """(marker, where its 0xFF is) of each segment of a sound JPEG up to the first scan."""
    at = 2
    while True:
        marker = jpeg[at + 1]
        yield marker, at
        if marker == 0xDA:
            return
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")


def place(jpeg: bytes, marker: int) -> int:
    """Where the first segment of that marker begins."""
    return next(at for found, at in parts(jpeg) if found == marker)
