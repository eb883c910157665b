"""Lines of text from a map of probabilities: differentiable binarization.

Liao et al., Real-time Scene Text Detection with Differentiable Binarization, AAAI 2020
(arXiv 1911.08947), section 3.5. The network is trained to find the kernel of a line,
its outline shrunk; what is found is therefore grown again ("unclip").
"""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np
import pyclipper
from numpy.typing import NDArray

from edged.registry.spec import BoxRules

_SHORTEST_KERNEL = 3.0  # pixels of the map; smaller ones are specks
_SHORTEST_LINE = 5.0
_POLYGON_BITS = 4  # fractions of a pixel that cv2's polygons are drawn with

Quad = NDArray[np.float32]
"""(4, 2): x, y of the corners in pixels, clockwise from the upper left."""
ProbabilityMap = NDArray[np.float32]
_Rect = Tuple[Sequence[float], Sequence[float], float]
"""Center, (width, height), angle: as cv2 has them."""


class TextBox(NamedTuple):
    """`score` is the mean probability inside of it, before it is grown."""

    quad: Quad
    score: float


def find_boxes(probabilities: ProbabilityMap, rules: BoxRules) -> List[TextBox]:
    """`probabilities` is (H, W), each that of a pixel to be text; corners are in its pixels."""
    bitmap = (probabilities > rules.threshold).astype(np.uint8)
    # With two levels the outlines come as those of the parts and those of their holes.
    outlines, levels = cv2.findContours(bitmap, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:  # nor are there levels then
        return []
    parts = [line for line, (*_, parent) in zip(outlines, levels[0]) if parent < 0]
    found = (_box(part, probabilities, rules) for part in parts[: rules.max_candidates])
    return [box for box in found if box is not None]


def _box(
    outline: NDArray[Any], probabilities: ProbabilityMap, rules: BoxRules
) -> Optional[TextBox]:
    rect: _Rect = cv2.minAreaRect(outline)
    if min(rect[1]) < _SHORTEST_KERNEL:
        return None
    score = _mean_inside(probabilities, _corners(rect))
    if score < rules.box_threshold:
        return None
    grown: _Rect = cv2.minAreaRect(_grow(rect, rules.unclip))
    if min(grown[1]) < _SHORTEST_LINE:
        return None
    return TextBox(clockwise(_corners(grown)), score)


def _grow(rect: _Rect, ratio: float) -> NDArray[np.int32]:
    """(N, 2): the outline moved outwards by area * ratio / perimeter.

    pyclipper counts in whole pixels, which shifts a box by up to one. Plain arithmetic
    would avoid that, but recognition is sensitive to it, and PaddleOCR's boxes are made
    so: on one photograph 13 lines of 13 read as PaddleOCR's, with exact rectangles 7.
    """
    width, height = rect[1]
    offset = pyclipper.PyclipperOffset()
    offset.AddPath(_corners(rect).tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    (outline,) = offset.Execute(width * height * ratio / (2 * (width + height)))
    return np.array(outline, np.int32)


def _mean_inside(probabilities: ProbabilityMap, quad: Quad) -> float:
    rows, columns = probabilities.shape
    left, top = np.floor(quad.min(axis=0)).astype(int).clip(0, (columns - 1, rows - 1))
    right, bottom = np.ceil(quad.max(axis=0)).astype(int).clip(0, (columns - 1, rows - 1))
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    polygon = np.rint((quad - (left, top)) * (1 << _POLYGON_BITS)).astype(np.int32)
    cv2.fillConvexPoly(mask, polygon, (1,), shift=_POLYGON_BITS)
    (mean, *_) = cv2.mean(probabilities[top : bottom + 1, left : right + 1], mask)
    return float(mean)


def _corners(rect: _Rect) -> Quad:
    return np.asarray(cv2.boxPoints(rect), np.float32)


def clockwise(corners: Quad) -> Quad:
    """The corners of a rectangle as seen, beginning with the upper left.

    Of one on its tip that is the corner farther to the left.
    """
    left, right = np.split(corners[np.argsort(corners[:, 0], kind="stable")], 2)
    upper_left, lower_left = left[np.argsort(left[:, 1], kind="stable")]
    upper_right, lower_right = right[np.argsort(right[:, 1], kind="stable")]
    return np.stack([upper_left, upper_right, lower_right, lower_left])
