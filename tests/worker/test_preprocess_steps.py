"""Each step of the preprocessing against plain numpy, written from facts/model-formats.md.

cv2 only resamples here, called as the exporters call it; sizes, order, rounding, padding
and normalising are computed anew.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edged.errors import BadImage, ImageTooLarge
from edged.registry.formats.description import input_size
from edged.registry.spec import (
    AnyStep,
    CenterCrop,
    ModelFiles,
    ModelSpec,
    Normalize,
    Pad,
    Resize,
    ResizeFit,
    ResizeInside,
    ResizeShort,
    ToFloat,
)
from edged.wire import TensorInfo
from edged.worker.decode import decode
from edged.worker.geometry import place
from edged.worker.preprocess import Preprocess

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]

SIZES = [(53, 37), (37, 53), (640, 480), (480, 640), (641, 479), (1001, 100), (99, 1000), (1, 1)]
"""(width, height)"""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORM = Normalize("RGB", 1 / 255, MEAN, STD)


def noise(width: int, height: int) -> Picture:
    """BGR, every pixel another: what is taken from the wrong place shows."""
    return np.random.default_rng(width).integers(0, 256, (height, width, 3)).astype(np.uint8)


def run(steps: Sequence[AnyStep], picture: Picture, *extra: TensorInfo) -> Dict[str, Any]:
    size = input_size(steps)
    spec = ModelSpec(
        mid=1,
        name="model",
        task="detection",
        exporter="test",
        folder="/",
        files=ModelFiles("nb", "/model.nb"),
        preprocess=tuple(steps),
        input_size=size,
    )
    image = TensorInfo("image", (1, 3, size[1], size[0]), "float32")
    feeds = Preprocess(spec, [image, *extra])(picture)
    assert feeds["image"].shape == image.shape
    assert feeds["image"].dtype == np.float32
    return feeds


def blob(steps: Sequence[AnyStep], picture: Picture) -> NDArray[np.float32]:
    """(3, H, W)"""
    image: NDArray[np.float32] = run(steps, picture)["image"][0]
    return image


def rgb(picture: NDArray[Any]) -> Floats:
    return np.asarray(picture[:, :, ::-1], np.float64)


def normalized(pixels: Floats, norm: Normalize = NORM) -> Floats:
    """(H, W, 3) in the order of `norm.color` to (3, H, W)."""
    planes = [
        (pixels[:, :, channel] * norm.scale - norm.mean[channel]) / norm.std[channel]
        for channel in range(3)
    ]
    return np.stack(planes)


def same(got: NDArray[Any], expected: NDArray[Any], tolerance: float = 1e-5) -> None:
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() < tolerance


INTERPS = {"nearest": 0, "linear": 1, "cubic": 2, "area": 3, "lanczos": 4}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interp", list(INTERPS))
def test_resize_stretches(size: Tuple[int, int], interp: Any) -> None:
    picture = noise(*size)
    expected = cv2.resize(picture, (61, 43), interpolation=INTERPS[interp])
    same(blob([Resize(61, 43, interp), NORM], picture), normalized(rgb(expected)))


@pytest.mark.parametrize("size", [*SIZES, (55, 37), (37, 55)])  # 35.68 is 36
def test_resize_short_rounds_the_longer_side(size: Tuple[int, int]) -> None:
    width, height = size
    short = 24
    if width <= height:
        new = short, round(height * (float(short) / width))
    else:
        new = round(width * (float(short) / height)), short
    expected = cv2.resize(noise(*size), new)
    top, left = (new[1] - 21) // 2, (new[0] - 17) // 2
    cut = expected[top : top + 21, left : left + 17]
    got = blob([ResizeShort(short), CenterCrop(17, 21), NORM], noise(*size))
    same(got, normalized(rgb(cut)))


@pytest.mark.parametrize("side", [20, 21])
@pytest.mark.parametrize("crop", [20, 17, 1])
def test_center_crop_leaves_the_odd_pixel_at_the_right_and_below(side: int, crop: int) -> None:
    picture = noise(side, side)
    first = (side - crop) // 2
    cut = picture[first : first + crop, first : first + crop]
    same(blob([CenterCrop(crop, crop), NORM], picture), normalized(rgb(cut)))


@pytest.mark.parametrize("size", [*SIZES, (799, 479), (800, 479), (810, 479)])  # 133.4, .6, 135
@pytest.mark.parametrize("interp", ["linear", "cubic"])
@pytest.mark.parametrize("target", [(80, 133), (64, 64)])
def test_resize_fit_is_keep_ratio_of_paddledetection(
    size: Tuple[int, int], interp: Any, target: Tuple[int, int]
) -> None:
    picture = noise(*size)
    scale = min(target) / min(size)
    if np.round(scale * max(size)) > max(target):
        scale = max(target) / max(size)
    resized = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=INTERPS[interp])
    canvas = np.zeros((3, max(target), max(target)))
    canvas[:, : resized.shape[0], : resized.shape[1]] = normalized(rgb(resized))
    zero = (MEAN[0] * 255, MEAN[1] * 255, MEAN[2] * 255)
    pad = Pad(max(target), max(target), zero)
    feeds = run(
        [ResizeFit(min(target), max(target), interp), pad, NORM],
        picture,
        TensorInfo("scale_factor", (1, 2), "float32"),
        TensorInfo("im_shape", (1, 2), "float32"),
    )
    same(feeds["image"][0], canvas)
    assert np.array_equal(feeds["scale_factor"], np.array([[scale, scale]], np.float32))
    assert np.array_equal(feeds["im_shape"], [resized.shape[:2]])


def test_resize_fit_by_size_is_resize_by_short_of_paddlex() -> None:
    picture = noise(641, 479)
    width = round(641 * (80 / 479))
    resized = cv2.resize(picture, (width, 80))
    got = blob([ResizeFit(80, 133, by="size"), Pad(133, 133), NORM], picture)
    same(got[:, :80, :width], normalized(rgb(resized)))
    by_factor = blob([ResizeFit(80, 133), Pad(133, 133), NORM], picture)
    assert np.abs(got - by_factor).max() > 0.01  # so it matters which


@pytest.mark.parametrize("size", [*SIZES, (107, 60), (106, 60)])
def test_a_letter_box_is_centred(size: Tuple[int, int]) -> None:
    width, height = size
    picture = noise(*size)
    ratio = min(60 / height, 96 / width)
    new_width, new_height = round(width * ratio), round(height * ratio)
    pad_x, pad_y = (96 - new_width) / 2, (60 - new_height) / 2
    boxed = cv2.copyMakeBorder(
        cv2.resize(picture, (new_width, new_height), interpolation=cv2.INTER_AREA),
        round(pad_y - 0.1),
        round(pad_y + 0.1),
        round(pad_x - 0.1),
        round(pad_x + 0.1),
        cv2.BORDER_CONSTANT,
        value=(127.5, 127.5, 127.5),
    )
    steps: List[AnyStep] = [
        ResizeInside(96, 60, "area"),
        Pad(96, 60, (128, 128, 128), "center"),
        NORM,
    ]
    told = TensorInfo("scale_factor", (1, 2), "float32"), TensorInfo("im_shape", (1, 2), "float32")
    feeds = run(steps, picture, *told)
    same(feeds["image"][0], normalized(rgb(boxed)))
    assert np.array_equal(feeds["scale_factor"], np.array([[ratio, ratio]], np.float32))
    assert np.array_equal(feeds["im_shape"], [[new_height, new_width]])


@pytest.mark.parametrize(("align", "x", "y"), [("start", 0, 0), ("center", 5, 3), ("end", 11, 6)])
def test_where_a_pad_puts_the_picture(align: Any, x: int, y: int) -> None:
    picture = noise(21, 14)
    canvas = np.empty((20, 32, 3))
    canvas[:] = (1.5, 20, 255)
    canvas[y : y + 14, x : x + 21] = rgb(picture)
    got = blob([Resize(21, 14), Pad(32, 20, (1.5, 20, 255), align), NORM], picture)
    same(got, normalized(canvas))


def test_a_pads_value_is_in_the_order_of_the_network() -> None:
    got = blob([Resize(1, 1), Pad(2, 1, (1, 2, 3)), Normalize("BGR")], noise(1, 1))
    assert got[:, 0, 1].tolist() == [1, 2, 3]
    assert got[:, 0, 0].tolist() == noise(1, 1)[0, 0].tolist()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interp", list(INTERPS))
def test_normalising_before_resizing(size: Tuple[int, int], interp: Any) -> None:
    """PaddleX 1, PaddleSeg, and the R-CNNs of PaddleDetection 0.x resize floats."""
    planes = normalized(rgb(noise(*size))).astype(np.float32)
    pixels = np.ascontiguousarray(planes.transpose(1, 2, 0))
    expected = cv2.resize(pixels, (61, 43), interpolation=INTERPS[interp]).transpose(2, 0, 1)
    got = blob([ToFloat(), Resize(61, 43, interp), NORM], noise(*size))
    same(got, expected)


def test_resizing_floats_at_a_ratio() -> None:
    picture = noise(641, 479)
    pixels = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.float32)
    resized = cv2.resize(pixels, None, fx=80 / 479, fy=80 / 479)
    got = blob([ToFloat(), ResizeFit(80, 133), Pad(133, 133), NORM], picture)
    same(got[:, :80, : resized.shape[1]], normalized(resized.astype(np.float64)))


def test_floats_are_not_rounded_between_steps() -> None:
    picture = noise(64, 48)
    pixels = cv2.resize(picture.astype(np.float32), (40, 30))
    expected = rgb(cv2.resize(pixels, (20, 15))[2:12, 3:17])
    got = blob([ToFloat(), Resize(40, 30), Resize(20, 15), CenterCrop(14, 10), NORM], picture)
    same(got, normalized(expected))


@pytest.mark.parametrize(
    "norm",
    [
        Normalize(),
        Normalize("BGR", 1.0, (104, 117, 123)),
        Normalize("RGB", 1 / 255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        Normalize("RGB", 0.0171, (2.1, 2.0, 1.8)),
        Normalize("BGR", 1 / 255, MEAN, STD),
        Normalize("RGB", 1.0, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    ],
)
def test_normalize(norm: Normalize) -> None:
    picture = noise(53, 37)
    pixels = rgb(picture) if norm.color == "RGB" else picture.astype(np.float64)
    expected = normalized(pixels, norm)
    same(blob([Resize(53, 37), norm], picture), expected, 1e-5 * max(1, np.abs(expected).max()))


def test_what_else_the_network_is_told() -> None:
    infos = [
        TensorInfo("im_size", (1, 2), "int32"),
        TensorInfo("scale_factor", (1, 2), "float32"),
        TensorInfo("im_shape", (1, 2), "int64"),
    ]
    feeds = run([Resize(320, 160), NORM], noise(640, 480), *infos)
    assert list(feeds) == ["image", "im_size", "scale_factor", "im_shape"]
    assert feeds["im_size"].tolist() == [[480, 640]]
    assert feeds["scale_factor"].tolist() == [[np.float32(160 / 480), 0.5]]
    assert feeds["im_shape"].tolist() == [[160, 320]]
    assert [feeds[info.name].dtype.name for info in infos] == ["int32", "float32", "int64"]


STEPS: Dict[str, Sequence[AnyStep]] = {
    "stretch": [Resize(320, 200)],
    "crop": [ResizeShort(256), CenterCrop(224, 200)],
    "fit": [ResizeFit(200, 320), Pad(320, 320)],
    "letter box": [ResizeInside(320, 200), Pad(320, 200, align="center")],
    "end": [ResizeInside(320, 200), Pad(320, 200, align="end")],
    "twice": [Resize(500, 400), CenterCrop(400, 300), Resize(100, 90)],
}


@pytest.mark.parametrize("steps", STEPS.values(), ids=list(STEPS))
@pytest.mark.parametrize("size", [(640, 480), (480, 640), (641, 479)])
def test_a_spot_is_where_the_placement_says(
    steps: Sequence[AnyStep], size: Tuple[int, int]
) -> None:
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    x, y = width * 0.55, height * 0.45
    cv2.circle(picture, (round(x), round(y)), 12, (255, 255, 255), -1)
    placement = place(steps, width, height)
    brightness = blob(steps, picture)[0]
    assert placement.size == brightness.shape[::-1]
    rows, columns = np.indices(brightness.shape) + 0.5
    spot = (columns * brightness).sum(), (rows * brightness).sum()
    total = brightness.sum()
    assert spot[0] / total == pytest.approx(x * placement.scale_x + placement.left, abs=0.8)
    assert spot[1] / total == pytest.approx(y * placement.scale_y + placement.top, abs=0.8)


@pytest.mark.parametrize(
    ("steps", "size", "error", "said"),
    [
        ([CenterCrop(20, 20)], (30, 19), BadImage, "smaller than the model's 20 x 20"),
        ([Resize(9, 9), Pad(9, 9)], (1, 99), None, ""),
        ([ResizeShort(20), Pad(20, 40)], (40, 20), BadImage, "does not fit"),
        ([ResizeShort(256), CenterCrop(9, 9)], (16384, 1), ImageTooLarge, "too narrow"),
        ([ResizeFit(80, 133), Pad(133, 133)], (16384, 1), None, ""),
        ([ResizeInside(80, 133), Pad(80, 133)], (1, 16384), None, ""),
    ],
)
def test_pictures_at_the_limits(
    steps: Sequence[AnyStep], size: Tuple[int, int], error: Any, said: str
) -> None:
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    if error is None:
        blob(steps, picture)
        return
    with pytest.raises(error, match=said):
        blob(steps, picture)


def jpeg_with_orientation(picture: NDArray[Any], orientation: int) -> bytes:
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    tag = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + tag + b"\0\0\0\0"
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def png(pixels: NDArray[Any]) -> bytes:
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


def test_the_picture_itself_is_left_alone(fixtures: Path) -> None:
    picture = decode((fixtures / "photos" / "bus.jpg").read_bytes())
    before = picture.copy()
    for steps in STEPS.values():
        blob(steps, picture)
    assert np.array_equal(picture, before)
