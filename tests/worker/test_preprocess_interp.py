"""What the interpolations of cv2 are, in plain numpy: the numbers that exporters train with."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, Tuple

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.registry.spec import Normalize, Resize, ToFloat
from tests.worker.steps import SIZES, Floats, blob, noise, rgb

Weights = Callable[[int, int], Floats]
"""(count, of) -> (count, of): those of each pixel of a line made from `of` pixels."""


def taps(kernel: Callable[[float], float], reach: int) -> Weights:
    """Pixels have their centres at halves, those beyond the edge are the edge's."""

    def weights(count: int, of: int) -> Floats:
        matrix = np.zeros((count, of))
        for target in range(count):
            at = (target + 0.5) * of / count - 0.5
            around = [math.floor(at) + step for step in range(1 - reach, reach + 1)]
            row = np.array([kernel(at - source) for source in around])
            for source, weight in zip(around, row / row.sum()):
                matrix[target, min(max(source, 0), of - 1)] += weight
        return matrix

    return weights


def triangle(x: float) -> float:
    return max(0.0, 1 - abs(x))


def cubic(x: float, a: float = -0.75) -> float:
    x = abs(x)
    if x <= 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a


def lanczos(x: float) -> float:
    return float(np.sinc(x) * np.sinc(x / 4))


def area(count: int, of: int) -> Floats:
    """How much of each pixel lies under one of the result."""
    edges = np.arange(count + 1) * of / count
    matrix = np.zeros((count, of))
    for target in range(count):
        for source in range(of):
            shared = min(edges[target + 1], source + 1) - max(edges[target], source)
            matrix[target, source] = max(shared, 0.0)
    total: Floats = matrix / matrix.sum(axis=1, keepdims=True)
    return total


INTERPS: Dict[Any, Weights] = {
    "linear": taps(triangle, 1),
    "cubic": taps(cubic, 2),
    "lanczos": taps(lanczos, 4),
    "area": area,
}
SMALLER = [size for size in SIZES if min(size) > 60]


def expected(picture: NDArray[np.uint8], interp: str, width: int, height: int) -> Floats:
    weights = INTERPS[interp]
    down, across = weights(height, picture.shape[0]), weights(width, picture.shape[1])
    resized: Floats = down @ rgb(picture).transpose(2, 0, 1) @ across.T
    return resized


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interp", ["linear", "cubic", "lanczos"])
@pytest.mark.parametrize("target", [(61, 43), (120, 201)])
def test_weights_of_the_pixels_around(
    size: Tuple[int, int], interp: Any, target: Tuple[int, int]
) -> None:
    picture = noise(*size)
    plain = expected(picture, interp, *target)
    floats = blob([ToFloat(), Resize(*target, interp), Normalize()], picture)
    assert np.abs(floats - plain).max() < 0.02
    rounded = blob([Resize(*target, interp), Normalize()], picture)
    assert np.abs(rounded - plain.clip(0, 255)).max() <= 1


@pytest.mark.parametrize("size", SMALLER)
def test_what_lies_under_a_pixel(size: Tuple[int, int]) -> None:
    picture = noise(*size)
    plain = expected(picture, "area", 61, 43)
    floats = blob([ToFloat(), Resize(61, 43, "area"), Normalize()], picture)
    assert np.abs(floats - plain).max() < 0.02
    rounded = blob([Resize(61, 43, "area"), Normalize()], picture)
    assert np.abs(rounded - plain).max() <= 1
