"""Each way to resize, as the exporters call cv2: sizes, ratios and rounding computed anew.

What cv2's interpolations are, in plain numpy, is in test_preprocess_interp.py.
"""

from __future__ import annotations

from typing import Any, List, Tuple

import cv2
import numpy as np
import pytest

from edged.registry.spec import (
    AnyStep,
    CenterCrop,
    Pad,
    Resize,
    ResizeFit,
    ResizeInside,
    ResizeShort,
    ToFloat,
)
from edged.worker.engines import TensorInfo
from tests.worker.steps import MEAN, NORM, SIZES, blob, noise, normalized, rgb, run, same

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


@pytest.mark.parametrize("size", SIZES)
def test_what_a_network_of_paddlex_is_told(size: Tuple[int, int]) -> None:
    """PaddleX 2 divides the sizes that it came to, each by what it was (operators.py, Resize)."""
    width, height = size
    scale = min(96 / width, 60 / height)
    new_width, new_height = round(width * scale), round(height * scale)
    steps: List[AnyStep] = [ResizeInside(96, 60, by="size"), Pad(96, 60), NORM]
    feeds = run(steps, noise(*size), TensorInfo("scale_factor", (1, 2), "float32"))
    told = np.array([[new_height / height, new_width / width]], np.float32)
    assert np.array_equal(feeds["scale_factor"], told)


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
