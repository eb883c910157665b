"""Boxes out of probability maps, by the rules of differentiable binarization."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edged.registry.spec import BoxRules
from edged.worker.ocr.db import clockwise, find_boxes

RULES = BoxRules()


def probability_map(width: int = 200, height: int = 100) -> NDArray[np.float32]:
    return np.zeros((height, width), np.float32)


def test_a_kernel_is_grown_by_area_times_ratio_over_perimeter() -> None:
    """80 x 10 from (40, 30): 800 * 1.5 / 180 = 6.7 pixels on each side."""
    pixels = probability_map()
    pixels[30:41, 40:121] = 0.9
    (box,) = find_boxes(pixels, RULES)
    assert box.score == pytest.approx(0.9, abs=0.01)
    expected = [[33.3, 23.3], [126.7, 23.3], [126.7, 46.7], [33.3, 46.7]]
    np.testing.assert_allclose(box.quad, expected, atol=1.0)


def test_without_unclip_a_box_is_its_kernel() -> None:
    pixels = probability_map()
    pixels[30:41, 40:121] = 0.9
    (box,) = find_boxes(pixels, BoxRules(unclip=0.0))
    np.testing.assert_allclose(box.quad, [[40, 30], [120, 30], [120, 40], [40, 40]], atol=1.0)


@pytest.mark.parametrize("degrees", [-40, -20, 10, 30])
def test_a_slanted_line_has_a_slanted_quad(degrees: float) -> None:
    pixels = probability_map(300, 300)
    corners = cv2.boxPoints(((150, 150), (120, 12), degrees))
    cv2.fillConvexPoly(pixels, np.rint(corners).astype(np.int32), (0.8,))
    (box,) = find_boxes(pixels, RULES)
    across, down = box.quad[1] - box.quad[0], box.quad[3] - box.quad[0]
    assert np.degrees(np.arctan2(across[1], across[0])) == pytest.approx(degrees, abs=2)
    assert np.hypot(*across) > 4 * np.hypot(*down)
    assert across[0] * down[1] - across[1] * down[0] > 0  # clockwise, y downwards


def test_the_threshold_of_a_pixel_and_of_a_box() -> None:
    pixels = probability_map()
    pixels[10:21, 10:61] = 0.29
    pixels[50:61, 10:61] = 0.59
    pixels[80:91, 10:61] = 0.61
    (box,) = find_boxes(pixels, RULES)
    assert box.quad[:, 1].min() > 60
    assert len(find_boxes(pixels, BoxRules(box_threshold=0.5))) == 2
    assert len(find_boxes(pixels, BoxRules(threshold=0.2, box_threshold=0.2))) == 3


def test_specks_are_left_out() -> None:
    pixels = probability_map()
    pixels[10:12, 10:60] = 1.0  # two pixels high
    pixels[50, 50] = 1.0
    assert find_boxes(pixels, RULES) == []


def test_an_outline_in_a_frame_is_found_and_a_hole_is_none() -> None:
    pixels = probability_map(300, 300)
    pixels[20:280, 20:280] = 0.9
    pixels[40:260, 40:260] = 0.0
    pixels[140:155, 100:200] = 0.9
    (box,) = find_boxes(pixels, RULES)  # the frame itself is too empty inside
    assert box.quad[:, 0].min() > 80


def test_a_hole_in_a_line_is_no_line() -> None:
    """One so small that the mean around it is over the threshold of a box."""
    pixels = probability_map()
    pixels[30:61, 40:121] = 0.9
    pixels[43:47, 60:64] = 0.29
    assert len(find_boxes(pixels, RULES)) == 1


def test_no_more_than_the_candidates_are_looked_at() -> None:
    pixels = probability_map()
    for left in range(5, 185, 20):
        pixels[40:51, left : left + 11] = 0.9
    assert len(find_boxes(pixels, RULES)) == 9
    assert len(find_boxes(pixels, BoxRules(max_candidates=4))) == 4


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_map_that_is_empty_or_full(value: float) -> None:
    boxes = find_boxes(np.full((64, 96), value, np.float32), RULES)
    assert len(boxes) == int(value)


def test_corners_go_clockwise_from_the_upper_left() -> None:
    ordered = np.array([[0, 1], [9, 0], [10, 5], [1, 6]], np.float32)
    for turn in range(4):
        for way in (1, -1):
            np.testing.assert_array_equal(clockwise(np.roll(ordered, turn, axis=0)[::way]), ordered)
