"""Reading order: downwards, and along a line to the right."""

from __future__ import annotations

import random
from typing import List, Tuple

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.worker.ocr.order import reading_order

Quad = NDArray[np.float32]


def box(x: float, y: float, width: float = 100, height: float = 20) -> Quad:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)


def turned(quad: Quad, degrees: float) -> Quad:
    angle = np.radians(degrees)
    way = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(quad @ way, np.float32)


def test_nothing_has_no_order() -> None:
    assert reading_order([]) == []


PAGE = [box(x, y) for y in range(0, 300, 30) for x in (0, 150, 300)]


@pytest.mark.parametrize("degrees", [0, 3, -3, 12, -12])
def test_a_page_reads_line_by_line_however_slanted(degrees: float) -> None:
    shuffled = list(enumerate(PAGE))
    random.Random(1).shuffle(shuffled)
    order = reading_order([turned(quad, degrees) for _, quad in shuffled])
    assert [shuffled[index][0] for index in order] == list(range(len(PAGE)))


def test_pieces_of_a_line_need_not_stand_exactly_level() -> None:
    assert reading_order([box(300, 96), box(0, 104), box(150, 100)]) == [1, 2, 0]


def test_words_whose_angles_are_off_stay_in_their_line() -> None:
    """As a detector gives them: two degrees on 250 pixels, far apart."""
    word = turned(box(0, 0, 250, 30), 2)
    places = [place for y in range(100, 400, 45) for place in ((40, y), (540, y - 2))]
    quads = [word + np.array(place, np.float32) for place in places]
    assert reading_order(quads) == list(range(len(quads)))


def test_lines_that_overlap_by_less_than_half_are_two() -> None:
    assert reading_order([box(300, 100), box(0, 112)]) == [0, 1]


def test_a_large_word_beside_small_lines_joins_the_one_that_begins_with_it() -> None:
    small = [box(0, y) for y in (0, 25, 50)]
    assert reading_order([box(150, 20, height=60), *small]) == [1, 2, 0, 3]


def test_an_upside_down_page_reads_from_its_last_corner() -> None:
    frame = np.array([400, 300], np.float32)
    page = [np.roll(frame - quad, 2, axis=0) for quad in PAGE]
    assert reading_order(page, upside_down=True) == list(range(len(PAGE)))


def test_an_upside_down_line_of_large_and_small_words() -> None:
    line = [box(0, 100, 80, 20), box(100, 97, 200, 60), box(320, 102, 40, 20), box(0, 130, 90, 20)]
    assert reading_order(line) == [0, 1, 2, 3]
    upside_down = [np.roll(1000 - quad, 2, axis=0) for quad in line]
    assert reading_order(upside_down, upside_down=True) == [0, 1, 2, 3]


def test_what_overlaps_is_not_one_line() -> None:
    assert reading_order([box(5, 0), box(0, 6)]) == [0, 1]


def golden_like() -> List[Tuple[int, Quad]]:
    """Two slanted envelopes side by side: their lines are near in height, and not one."""
    left = np.array([[310, 786], [802, 755], [806, 813], [314, 844]], np.float32)
    right = np.array([[1490, 760], [2048, 779], [2044, 878], [1486, 859]], np.float32)
    return [(1, left), (0, right)]


def test_lines_that_point_past_each_other_are_two() -> None:
    numbered = golden_like()
    order = reading_order([quad for _, quad in numbered])
    assert [numbered[index][0] for index in order] == [0, 1]


def test_a_thousand_lines_are_soon_in_order() -> None:
    many = [box(x * 110, y * 25) for y in range(100) for x in range(10)]
    assert reading_order(many) == list(range(1000))
