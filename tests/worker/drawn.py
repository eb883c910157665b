"""What the tests of drawing share: pictures, results, and where they differ once drawn."""

from __future__ import annotations

from typing import Any, List, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edged.results import BBox, Result
from edged.worker.render import draw
from edged.worker.style import sizes_for

Picture = NDArray[np.uint8]
Texts = List[str]
Corners = List[Tuple[int, int]]

GREY = 128
ODD_LABELS = (
    "",
    "a" * 300,
    "很长的标签" * 60,
    "line\nbreak\ttab\x00\x1b[31m\x7f",
    "\ud800 half a pair",
    "\u202eright to left",
    "خوذة الأمان",
    "🦺",
    "helmet 🦺\ufe0f",
    "e" + "\u0301" * 50,
    "\u200b\u200d",
)


def grey(width: int, height: int, value: int = GREY) -> Picture:
    return np.full((height, width, 3), value, np.uint8)


def noise(width: int, height: int) -> Picture:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3)).astype(np.uint8)


def found(
    label: str,
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    index: int = 0,
    score: float = 0.9,
) -> Result:
    return Result(index, label, score, BBox(x, y, width, height))


def answer(label: str, score: float, index: int = 0) -> Result:
    return Result(index, label, score, BBox(0, 0, 100, 100))


def luminance(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Relative luminance by WCAG 2 of (..., 3) of 0..255, BGR."""
    share = np.asarray(pixels, np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.0722, 0.7152, 0.2126]))


def contrast(pixels: NDArray[Any]) -> float:
    """Between the lightest and the darkest of (..., 3)."""
    light = luminance(pixels)
    return float((light.max() + 0.05) / (light.min() + 0.05))


def tag_of(result: Result, width: int, height: int) -> Picture:
    """The pixels of a result's tag, drawn where it has all the room it needs."""
    canvas = grey(width, height)
    middle = BBox(width // 4, height // 2, 1, 1)
    draw(canvas, [Result(result.index, result.label, result.score, middle)], "detection")
    sizes = sizes_for(width, height)
    bottom = height // 2 - sizes.line // 2
    changed = np.nonzero((canvas[bottom - sizes.text : bottom] != GREY).any(axis=(0, 2)))[0]
    return canvas[bottom - sizes.text : bottom, changed[0] : changed[-1] + 1]


def where(picture: Picture, patch: Picture) -> Tuple[int, int]:
    """x, y of a patch that is in the picture whole and unharmed."""
    difference = cv2.matchTemplate(picture, patch, cv2.TM_SQDIFF)
    y, x = np.unravel_index(int(difference.argmin()), difference.shape)
    rows, columns = patch.shape[:2]
    assert np.array_equal(picture[y : y + rows, x : x + columns], patch), "not there whole"
    return int(x), int(y)
