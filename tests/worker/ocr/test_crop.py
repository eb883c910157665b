"""Lines cut out and made into inputs, against plain numpy where that can be said."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edged.worker.ocr.crop import cut_out, line_blob, page_blob

RED, GREEN, BLUE, WHITE = (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255)


def quarters(width: int, height: int) -> NDArray[np.uint8]:
    """Clockwise from the upper left: red, green, blue, white."""
    picture = np.zeros((height, width, 3), np.uint8)
    x, y = width // 2, height // 2
    picture[:y, :x], picture[:y, x:], picture[y:, x:], picture[y:, :x] = RED, GREEN, BLUE, WHITE
    return picture


def seen(line: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colours of the quarters, clockwise."""
    height, width = line.shape[:2]
    rows, columns = (height // 4, 3 * height // 4), (width // 4, 3 * width // 4)
    return np.array([line[rows[i], columns[j]] for i, j in ((0, 0), (0, 1), (1, 1), (1, 0))])


def test_an_upright_line_is_its_pixels() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    quad = np.array([[20, 30], [100, 30], [100, 60], [20, 60]], np.float32)
    line, upright = cut_out(picture, quad)
    assert upright
    np.testing.assert_array_equal(line, picture[30:60, 20:100])


@pytest.mark.parametrize("degrees", [-20.0, 15.0])
def test_a_slanted_line_comes_out_straight(degrees: float) -> None:
    page = np.zeros((300, 300, 3), np.uint8)
    page[120:180, 50:250] = quarters(200, 60)
    turn = cv2.getRotationMatrix2D((150, 150), -degrees, 1.0)
    slanted = cv2.warpAffine(page, turn, (300, 300)).astype(np.uint8)
    flat = np.array([[50, 120], [250, 120], [250, 180], [50, 180]], np.float32)
    quad = (flat @ turn[:, :2].T + turn[:, 2]).astype(np.float32)
    line, upright = cut_out(slanted, quad)
    assert upright
    assert abs(line.shape[1] - 200) <= 1
    assert abs(line.shape[0] - 60) <= 1
    np.testing.assert_allclose(seen(line), [RED, GREEN, BLUE, WHITE], atol=3)


@pytest.mark.parametrize(("height", "turned"), [(149, False), (150, True), (400, True)])
def test_a_tall_line_is_turned_counter_clockwise(height: int, turned: bool) -> None:
    quad = np.array([[0, 0], [100, 0], [100, height], [0, height]], np.float32)
    line, upright = cut_out(quarters(100, height), quad)
    assert upright is not turned
    assert line.shape[:2] == ((100, height) if turned else (height, 100))
    expected = [GREEN, BLUE, WHITE, RED] if turned else [RED, GREEN, BLUE, WHITE]
    np.testing.assert_array_equal(seen(line), expected)


def test_a_line_that_leaves_the_frame_goes_on_as_its_edge() -> None:
    picture = np.full((50, 50, 3), 77, np.uint8)
    quad = np.array([[-20, -10], [80, -10], [80, 30], [-20, 30]], np.float32)
    assert (cut_out(picture, quad)[0] == 77).all()


def test_a_page_is_bgr_with_the_means_of_rgb_and_zeros_beside_it() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    blob = page_blob(picture, (96, 64), (128, 96))
    assert blob.shape == (1, 3, 96, 128)
    assert blob.dtype == np.float32
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = ((picture / 255 - mean) / std).transpose(2, 0, 1)
    np.testing.assert_allclose(blob[0, :, :64, :96], expected, atol=1e-5)
    assert not blob[:, :, 64:].any()
    assert not blob[..., 96:].any()


def test_a_line_stands_on_the_left_and_zeros_follow() -> None:
    line = np.full((16, 40, 3), (0, 255, 51), np.uint8)
    blob = line_blob(line, (320, 32))
    assert blob.shape == (1, 3, 32, 320)
    assert blob.dtype == np.float32
    np.testing.assert_allclose(blob[0, :, 5, 5], [-1, 1, -0.6], atol=1e-5)
    assert blob[..., :80].all()
    assert not blob[..., 80:].any()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 500), (9000, 3), (640, 32)])
def test_any_line_fits(width: int, height: int) -> None:
    blob = line_blob(np.full((height, width, 3), 255, np.uint8), (320, 32))
    assert blob[..., 0].all()
    assert blob[..., -1].all() == (width >= 10 * height)
