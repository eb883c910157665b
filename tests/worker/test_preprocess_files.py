"""Every step on every kind of file: grey, alpha, 16 bits, turned by EXIF; in plain numpy."""

from __future__ import annotations

import struct
import zlib
from typing import Any, Callable, Dict, Sequence, Tuple, get_args

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edged.registry.spec import (
    AnyStep,
    CenterCrop,
    Normalize,
    Pad,
    Resize,
    ResizeFit,
    ResizeInside,
    ResizeShort,
    ToFloat,
)
from edged.worker.decode import decode
from tests.worker.steps import NORM, Floats, Picture, blob, normalized, rgb, same


def tiff(orientation: int) -> bytes:
    tag = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\0\x08\0\0\0\x01\0" + tag + b"\0\0\0\0"


def jpeg_with_orientation(picture: NDArray[Any], orientation: int) -> bytes:
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    exif = b"Exif\0\0" + tiff(orientation)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def png(pixels: NDArray[Any], orientation: int = 1) -> bytes:
    """Written by hand: 1, 3 (RGB) or 4 channels of 8 or 16 bits."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    color = {1: 0, 3: 2, 4: 6}[channels]
    depth = 8 * pixels.dtype.itemsize
    rows = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in pixels)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"eXIf", tiff(orientation))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


GRADIENT = np.add.outer(np.arange(37) * 3, np.arange(53) * 2).astype(np.uint8)
COLORS = np.stack([GRADIENT, GRADIENT // 2, 255 - GRADIENT], 2)  # RGB


@pytest.mark.parametrize("steps", [[Resize(61, 43), NORM], [ToFloat(), Resize(61, 43), NORM]])
@pytest.mark.parametrize(
    ("file", "pixels"),
    [
        (png(GRADIENT), np.stack([GRADIENT] * 3, 2)),
        (png(COLORS), COLORS),
        (png(np.dstack([COLORS, GRADIENT])), COLORS),
        (png(COLORS.astype(np.uint16) * 257), COLORS),
        (png(GRADIENT.astype(np.uint16) * 257), np.stack([GRADIENT] * 3, 2)),
    ],
    ids=["grey", "rgb", "alpha", "16 bits", "grey of 16 bits"],
)
def test_any_file_is_three_channels_of_eight_bits(
    file: bytes, pixels: Picture, steps: Sequence[AnyStep]
) -> None:
    floats = isinstance(steps[0], ToFloat)
    resized = cv2.resize(pixels.astype(np.float32) if floats else pixels, (61, 43))
    same(blob(steps, decode(file)), normalized(resized.astype(np.float64)))


@pytest.mark.parametrize(
    ("orientation", "turns", "mirrored"),
    [
        (1, 0, False),
        (2, 0, True),
        (3, 2, False),
        (4, 2, True),
        (5, 3, True),
        (6, 3, False),
        (7, 1, True),
        (8, 1, False),
    ],
)
def test_a_turned_picture_is_put_upright_first(
    orientation: int, turns: int, mirrored: bool
) -> None:
    """`turns`: quarter turns to the left, then mirrored, left to right."""
    stored = cv2.resize(np.ascontiguousarray(COLORS[:, :, ::-1]), (106, 74))
    plain = decode(jpeg_with_orientation(stored, 1))
    upright = np.rot90(plain, turns)
    if mirrored:
        upright = upright[:, ::-1]
    expected = cv2.resize(np.ascontiguousarray(upright), (61, 43))
    got = blob([Resize(61, 43), NORM], decode(jpeg_with_orientation(stored, orientation)))
    same(got, normalized(rgb(expected)))


def nearest(pixels: Picture, width: int, height: int) -> Picture:
    rows = np.arange(height) * pixels.shape[0] // height
    columns = np.arange(width) * pixels.shape[1] // width
    taken: Picture = pixels[rows][:, columns]
    return taken


def padded(pixels: Picture, width: int, height: int, left: int, top: int) -> Floats:
    """With 9, 8, 7 around it."""
    canvas = np.empty((height, width, 3))
    canvas[:] = (9, 8, 7)
    canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return canvas


Plain = Callable[[Picture], NDArray[Any]]
VALUE = (9.0, 8.0, 7.0)
# Each step, and what it does to a picture of 53 x 37 (RGB), written out in numbers.
EACH: Dict[str, Tuple[Sequence[AnyStep], Plain]] = {
    "resize": ([Resize(31, 29, "nearest")], lambda rgb: nearest(rgb, 31, 29)),
    "resize_short": (
        [ResizeShort(24, "nearest"), CenterCrop(24, 24)],
        lambda rgb: nearest(rgb, 34, 24)[:, 5:29],
    ),
    "resize_fit": (
        [ResizeFit(24, 30, "nearest", by="size"), Pad(30, 30, VALUE)],
        lambda rgb: padded(nearest(rgb, 30, 21), 30, 30, 0, 0),
    ),
    "resize_inside": (
        [ResizeInside(40, 40, "nearest"), Pad(40, 40, VALUE, "center")],
        lambda rgb: padded(nearest(rgb, 40, 28), 40, 40, 0, 6),
    ),
    "to_float": ([ToFloat(), Resize(31, 29, "nearest")], lambda rgb: nearest(rgb, 31, 29)),
    "center_crop": ([CenterCrop(40, 30)], lambda rgb: rgb[3:33, 6:46]),
    "pad": (
        [ResizeInside(53, 37), Pad(60, 40, VALUE, "end")],
        lambda rgb: padded(rgb, 60, 40, 7, 3),
    ),
    "normalize": ([Resize(53, 37)], lambda rgb: rgb),
}
FILES: Dict[str, Tuple[bytes, Picture]] = {
    "grey": (png(GRADIENT), np.stack([GRADIENT] * 3, 2)),
    "alpha": (png(np.dstack([COLORS, GRADIENT])), COLORS),
    "16 bits": (png(COLORS.astype(np.uint16) * 257), COLORS),
    "grey of 16 bits": (png(GRADIENT.astype(np.uint16) * 257), np.stack([GRADIENT] * 3, 2)),
    "turned": (png(np.rot90(COLORS), orientation=6), COLORS),
}


def test_no_step_is_left_out() -> None:
    ops = {type(step) for steps, _ in EACH.values() for step in steps} | {Normalize}
    assert ops == set(get_args(AnyStep))


@pytest.mark.parametrize("color", ["RGB", "BGR"])
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("step", EACH)
def test_each_step_on_each_kind_of_file(step: str, file: str, color: Any) -> None:
    (steps, plain), (data, pixels) = EACH[step], FILES[file]
    if color == "BGR":
        pixels = pixels[:, :, ::-1]
    norm = Normalize(color, 1 / 255, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    expected = normalized(np.asarray(plain(pixels), np.float64), norm)
    same(blob([*steps, norm], decode(data)), expected)
