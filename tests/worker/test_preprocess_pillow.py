"""Resizing with Pillow, against what its filters are, in plain numpy.

Pillow weighs, for each pixel of the result, those around its centre in the original, over
a width that grows with the scale; the weights are whole numbers of 22 bits after the point,
and between the two passes, first along the lines, pixels are rounded to 8 bits.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, Tuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edged.registry.spec import CenterCrop, Normalize, Pad, Resize, ResizeFit, ResizeShort, ToFloat
from tests.worker.steps import SIZES, blob, noise, normalized, rgb, same

BITS = 22


def box(x: float) -> float:
    return 1.0 if -0.5 < x <= 0.5 else 0.0


def triangle(x: float) -> float:
    return max(0.0, 1 - abs(x))


def hamming(x: float) -> float:
    if x == 0:
        return 1.0
    return 0.0 if abs(x) >= 1 else float(np.sinc(x)) * (0.54 + 0.46 * math.cos(math.pi * x))


def cubic(x: float, a: float = -0.5) -> float:
    x = abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


def lanczos(x: float) -> float:
    return float(np.sinc(x) * np.sinc(x / 3)) if -3 <= x < 3 else 0.0


FILTERS: Dict[str, Tuple[Callable[[float], float], float]] = {
    "pillow_box": (box, 0.5),
    "pillow_bilinear": (triangle, 1.0),
    "pillow_hamming": (hamming, 1.0),
    "pillow_bicubic": (cubic, 2.0),
    "pillow_lanczos": (lanczos, 3.0),
}
"""(weight, its width on either side)"""


def weights(name: str, count: int, of: int) -> NDArray[np.float64]:
    """(count, of): those of each pixel of a line made from `of` pixels."""
    kernel, reach = FILTERS[name]
    scale = max(of / count, 1.0)
    matrix = np.zeros((count, of))
    for target in range(count):
        center = (target + 0.5) * of / count
        first = max(int(center - reach * scale + 0.5), 0)
        last = min(int(center + reach * scale + 0.5), of)
        row = [kernel((source - center + 0.5) / scale) for source in range(first, last)]
        matrix[target, first:last] = np.array(row) / sum(row)
    return matrix


def eight_bits(name: str, lines: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(N, W, 3) to (N, count, 3)."""
    whole = np.rint(weights(name, count, lines.shape[1]) * (1 << BITS)).astype(np.int64)
    sums = np.einsum("cw,nwk->nck", whole, lines)
    rounded: NDArray[np.int64] = np.clip((sums + (1 << (BITS - 1))) >> BITS, 0, 255)
    return rounded


def nearest(count: int, of: int) -> NDArray[np.int64]:
    """Where each pixel's centre lies, counted up step by step: that decides where it is between."""
    steps = np.full(count, of / count)
    steps[0] /= 2
    inside: NDArray[np.int64] = np.cumsum(steps).astype(np.int64)
    return inside


def resized(
    picture: NDArray[np.uint8], name: str, width: int, height: int, columns_first: bool = False
) -> NDArray[Any]:
    if name == "pillow_nearest":
        return picture[nearest(height, picture.shape[0])][:, nearest(width, picture.shape[1])]
    pixels = picture.astype(np.int64)
    if columns_first:
        turned = resized(picture.transpose(1, 0, 2), name, height, width)
        return turned.transpose(1, 0, 2)
    if width != picture.shape[1]:
        pixels = eight_bits(name, pixels, width)
    if height != picture.shape[0]:
        pixels = eight_bits(name, pixels.transpose(1, 0, 2), height).transpose(1, 0, 2)
    return pixels


INTERPS = ["pillow_nearest", *FILTERS]


@pytest.mark.parametrize("size", [*SIZES, (61, 200), (200, 43), (61, 43)])
@pytest.mark.parametrize("interp", INTERPS)
def test_each_filter_in_plain_numpy(size: Tuple[int, int], interp: Any) -> None:
    """From Pillow 13 on it may do the columns before the lines, and round between."""
    picture = noise(*size)
    got = blob([Resize(61, 43, interp), Normalize()], picture)
    either = [resized(picture, interp, 61, 43, columns_first) for columns_first in (False, True)]
    assert any(
        np.array_equal(np.rint(got), rgb(expected).transpose(2, 0, 1)) for expected in either
    )


def test_a_short_side_as_paddleclas_has_it() -> None:
    picture = noise(55, 37)
    expected = resized(picture, "pillow_bicubic", round(55 * 24 / 37), 24)
    got = blob([ResizeShort(24, "pillow_bicubic"), CenterCrop(24, 24), Normalize()], picture)
    same(got, rgb(expected)[:, 6:30].transpose(2, 0, 1))


def test_pillow_knows_whole_sizes_only() -> None:
    picture = noise(641, 479)
    expected = resized(picture, "pillow_bilinear", 107, 80)
    got = blob([ResizeFit(80, 133, "pillow_bilinear"), Pad(133, 133)], picture)
    same(got[:, :80, :107], rgb(expected).transpose(2, 0, 1))


@pytest.mark.parametrize("interp", ["pillow_bilinear", "pillow_lanczos"])
def test_floats_are_neither_rounded_nor_clipped(interp: Any) -> None:
    picture = noise(53, 37)
    pixels: NDArray[Any] = picture.astype(np.float64)
    for width, height in [(80, 50), (20, 31)]:
        lines = np.einsum("cw,nwk->nck", weights(interp, width, pixels.shape[1]), pixels)
        pixels = np.einsum("rn,nck->rck", weights(interp, height, lines.shape[0]), lines)
    got = blob([ToFloat(), Resize(80, 50, interp), Resize(20, 31, interp), Normalize()], picture)
    same(got, normalized(rgb(pixels), Normalize()), 2e-3)


def test_it_is_not_what_cv2_does() -> None:
    """So it matters which: cv2 leaves out most pixels of a large picture."""
    picture = noise(641, 479)
    got = blob([Resize(61, 43, "pillow_bilinear")], picture)
    other = cv2.resize(picture, (61, 43)).astype(np.float64)
    assert np.abs(got - rgb(other).transpose(2, 0, 1)).mean() > 20
