"""Boxes inside the frame, and results as they travel."""

from __future__ import annotations

from typing import Tuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.results import BBox, Result, clip_bbox

numbers = st.floats(-1e7, 1e7)
sides = st.integers(1, 16384)


@pytest.mark.parametrize(
    ("corners", "box"),
    [
        ((10, 20, 30, 40), BBox(10, 20, 20, 20)),
        ((-5, -5, 5, 5), BBox(0, 0, 5, 5)),
        ((90, 40, 200, 200), BBox(90, 40, 10, 10)),
        ((-10, -10, 1000, 1000), BBox(0, 0, 100, 50)),
        ((200, 200, 300, 300), BBox(100, 50, 0, 0)),
        ((-20, -20, -10, -10), BBox(0, 0, 0, 0)),
        ((30, 30, 20, 20), BBox(30, 30, 0, 0)),
        ((0.123, 0.456, 10.123, 10.456), BBox(0.12, 0.46, 10, 10)),
    ],
)
def test_clip(corners: Tuple[float, float, float, float], box: BBox) -> None:
    assert clip_bbox(*corners, 100, 50) == box


@given(numbers, numbers, numbers, numbers, sides, sides)
def test_a_clipped_box_is_inside(
    x1: float, y1: float, x2: float, y2: float, width: int, height: int
) -> None:
    """To the hundredth that its numbers are rounded to."""
    box = clip_bbox(x1, y1, x2, y2, width, height)
    assert 0 <= box.left <= width
    assert 0 <= box.top <= height
    assert 0 <= box.width <= width - box.left + 0.011
    assert 0 <= box.height <= height - box.top + 0.011


@given(sides, sides, st.data())
def test_what_is_inside_already_only_gets_rounded(
    width: int, height: int, data: st.DataObject
) -> None:
    x1, x2 = sorted(data.draw(st.lists(st.floats(0, width), min_size=2, max_size=2)))
    y1, y2 = sorted(data.draw(st.lists(st.floats(0, height), min_size=2, max_size=2)))
    box = clip_bbox(x1, y1, x2, y2, width, height)
    assert box.left == pytest.approx(x1, abs=0.0051)
    assert box.top == pytest.approx(y1, abs=0.0051)
    assert box.left + box.width == pytest.approx(x2, abs=0.0101)
    assert box.top + box.height == pytest.approx(y2, abs=0.0101)


def test_a_result_travels_whole_and_has_every_field() -> None:
    result = Result(3, "头盔", 0.98, BBox(1.5, 2, 3, 4))
    as_json = msgspec.json.encode(result)
    assert msgspec.json.decode(as_json) == {
        "index": 3,
        "label": "头盔",
        "score": 0.98,
        "location": {"left": 1.5, "top": 2.0, "width": 3.0, "height": 4.0},
        "extended": {},
    }
    assert msgspec.json.decode(as_json, type=Result) == result
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(result), type=Result) == result


def test_results_share_no_extended() -> None:
    one, other = (Result(0, "a", 1, BBox(0, 0, 1, 1)) for _ in range(2))
    one.extended["colour"] = "red"
    assert other.extended == {}
