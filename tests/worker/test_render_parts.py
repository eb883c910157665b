"""Masks and lines of text drawn, held to what a viewer may expect of them."""

from __future__ import annotations

from typing import Tuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edged.results import BBox, Result
from edged.worker.render import draw
from edged.worker.rle import encode
from edged.worker.style import class_color, sizes_for
from tests.worker.drawn import (
    GREY,
    ODD_LABELS,
    Corners,
    Texts,
    grey,
    noise,
    tag_of,
    where,
)

pytestmark = pytest.mark.usefixtures("fresh_fonts")


def masked(mask: NDArray[np.bool_], index: int = 0) -> Result:
    rows, columns = np.nonzero(mask)
    box = BBox(int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)
    code = {"size": list(mask.shape), "counts": encode(mask)}
    return Result(index, "person", 0.9, box, {"mask": code, "area": int(mask.sum())})


def ring() -> NDArray[np.bool_]:
    """In a picture of 640 x 480, with a hole of 100 x 100 in the middle."""
    mask = np.zeros((480, 640), np.bool_)
    mask[140:340, 220:420] = True
    mask[190:290, 270:370] = False
    return mask


def test_a_mask_is_translucent() -> None:
    picture = noise(640, 480)
    before = picture.copy()
    draw(picture, [masked(ring())], "segmentation")
    inside = np.s_[150:180, 230:410]
    expected = 0.55 * before[inside] + 0.45 * np.array(class_color(0))
    assert np.abs(picture[inside] - expected).max() <= 1
    assert np.array_equal(picture[200:280, 280:360], before[200:280, 280:360])  # the hole
    assert np.array_equal(picture[350:, :200], before[350:, :200])


def test_a_mask_is_outlined_and_has_no_box() -> None:
    picture = grey(640, 480)
    mask = ring()
    mask[400:440, 10:40] = True
    draw(picture, [masked(mask)], "segmentation")
    edge = picture[145:335, 220]
    assert (edge == class_color(0)).all()
    assert (picture[200:380, 10] == GREY).all()  # where the side of a box would be


def test_the_label_of_a_mask_is_by_its_largest_part() -> None:
    mask = ring()
    mask[5:9, 5:9] = True
    picture = grey(640, 480)
    result = masked(mask)
    draw(picture, [result], "segmentation")
    x, y = where(picture, tag_of(Result(0, "person", 0.9, result.location), 640, 480))
    assert abs(x - 220) <= 3
    assert abs(y + sizes_for(640, 480).text - 140) <= 3


def test_a_mask_of_another_size_is_a_box() -> None:
    result = masked(ring())
    picture = grey(320, 640)
    draw(picture, [result], "segmentation")
    assert (picture[200, 220] == class_color(0)).all()
    assert (picture[200, 230:310] == GREY).all()


def test_an_empty_mask_is_survived() -> None:
    code = {"size": [480, 640], "counts": encode(np.zeros((480, 640), np.bool_))}
    draw(grey(640, 480), [Result(0, "x", 0.9, BBox(5, 5, 9, 9), {"mask": code})], "segmentation")


def line_of_text(text: str, corners: Corners, score: float = 0.9) -> Result:
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    box = BBox(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
    return Result(0, text, score, box, {"quad": [list(corner) for corner in corners]})


def upright(x: int, y: int, width: int = 200, height: int = 40) -> Corners:
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def test_text_stands_beside_its_quad_which_is_drawn_as_it_lies(put_texts: Texts) -> None:
    picture = grey(640, 480)
    slanted = [(200, 300), (400, 200), (420, 240), (220, 340)]
    draw(picture, [line_of_text("EXIT 42", slanted)], "ocr")
    assert sorted(put_texts) == ["0.90", "EXIT 42"]
    for x, y in [(300, 250), (410, 220), (320, 290), (210, 320)]:  # the middles of its sides
        assert (picture[y - 3 : y + 4, x - 3 : x + 4] == class_color(0)).all(axis=2).any()
    inside = np.array([(230, 310), (390, 230), (400, 240), (230, 325)], np.int32)
    mask = cv2.fillConvexPoly(np.zeros((480, 640), np.uint8), inside, (1,))
    assert (picture[mask == 1] == GREY).all()


def test_each_line_of_text_has_a_colour_of_its_own() -> None:
    picture = grey(640, 480)
    lines = [line_of_text("A", upright(50, y)) for y in (100, 200, 300)]
    draw(picture, lines, "ocr")
    for number, y in enumerate((100, 200, 300)):
        assert tuple(picture[y + 20, 50]) == class_color(number)


def test_while_there_is_room_no_tag_covers_another_line_of_text() -> None:
    picture = grey(1000, 700)
    places = [(50, y) for y in range(40, 640, 56)]
    draw(picture, [line_of_text("SOME TEXT", upright(x, y)) for x, y in places], "ocr")
    for x, y in places:
        assert (picture[y + 5 : y + 35, x + 5 : x + 195] == GREY).all()


@pytest.mark.parametrize("label", ODD_LABELS)
@pytest.mark.parametrize("size", [(15, 15), (640, 480)])
def test_any_text_is_survived(label: str, size: Tuple[int, int]) -> None:
    quads = [upright(2, 2, 9, 9), upright(0, 0, *size), upright(size[0], size[1], 0, 0)]
    draw(grey(*size), [line_of_text(label, quad) for quad in quads], "ocr")
    draw(grey(*size), [], "ocr")
