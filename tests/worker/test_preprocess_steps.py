"""Cropping, padding, normalising and what else a network is told, against plain numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import cv2
import numpy as np
import pytest

from edged.errors import BadImage, EngineError, ImageTooLarge
from edged.registry.spec import (
    AnyStep,
    CenterCrop,
    Normalize,
    Pad,
    Resize,
    ResizeFit,
    ResizeInside,
    ResizeShort,
)
from edged.worker.decode import decode
from edged.worker.engines import TensorInfo
from edged.worker.geometry import place
from tests.worker.steps import MEAN, NORM, STD, blob, noise, normalized, preprocess, rgb, run, same


@pytest.mark.parametrize("side", [20, 21])
@pytest.mark.parametrize("crop", [20, 17, 1])
def test_center_crop_leaves_the_odd_pixel_at_the_right_and_below(side: int, crop: int) -> None:
    picture = noise(side, side)
    first = (side - crop) // 2
    cut = picture[first : first + crop, first : first + crop]
    same(blob([CenterCrop(crop, crop), NORM], picture), normalized(rgb(cut)))


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


def test_the_picture_itself_is_left_alone(fixtures: Path) -> None:
    picture = decode((fixtures / "photos" / "bus.jpg").read_bytes())
    before = picture.copy()
    for steps in STEPS.values():
        blob(steps, picture)
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("steps", [[Resize(8, 6), NORM], [Resize(4, 6), Pad(8, 6, MEAN), NORM]])
def test_it_writes_where_it_is_told(steps: List[AnyStep]) -> None:
    call, into = preprocess(steps), np.full((1, 3, 6, 8), 77, np.float32)
    assert call(noise(50, 40), None, into)["image"] is into
    assert np.array_equal(into, call(noise(50, 40))["image"])


def test_a_network_without_floats_is_refused() -> None:
    with pytest.raises(EngineError, match="input image takes int64, not float32"):
        preprocess([Resize(8, 6)], dtype="int64")
