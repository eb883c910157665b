"""What becomes of a detector's outputs, in its graph or not."""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.errors import BadOutput
from edged.registry.formats.description import input_size
from edged.registry.spec import AnyStep, Boxes, ModelFiles, ModelSpec, Pad, Resize, ResizeInside
from edged.results import BBox
from edged.worker.tasks.detection import results

Floats = NDArray[np.float32]
STRETCH: Sequence[AnyStep] = (Resize(64, 32),)
NAN, INF = float("nan"), float("inf")


def spec(
    steps: Sequence[AnyStep] = STRETCH, boxes: Any = None, threshold: float = 0.4
) -> ModelSpec:
    return ModelSpec(
        mid=1,
        name="model",
        task="detection",
        exporter="test",
        folder="/",
        files=ModelFiles("nb", "/model.nb"),
        preprocess=tuple(steps),
        input_size=input_size(steps),
        threshold=threshold,
        boxes=boxes or Boxes(strides=(8, 16)),
    )


def rows(*one: Sequence[float]) -> Floats:
    return np.array(one, np.float32).reshape(-1, 6)


def test_rows_are_pixels_of_the_picture() -> None:
    outputs = [rows([1, 0.5, 1, 2, 11, 22], [0, 0.9, 5, 5, 999, 6]), np.array([2], np.int32)]
    first, second = results(outputs, spec(), 100, 50, 1)
    assert (first.index, first.score, first.location) == (0, 0.9, BBox(5, 5, 95, 1))
    assert second.location == BBox(1, 2, 10, 20)


@pytest.mark.parametrize(
    "row",
    [
        [-1, 0.9, 0, 0, 9, 9],
        [0, 0.39, 0, 0, 9, 9],
        [0, NAN, 0, 0, 9, 9],
        [0, INF, 0, 0, 9, 9],
        [0, 0.9, NAN, 0, 9, 9],
        [0, 0.9, 0, 0, 9, -INF],
        [NAN, 0.9, 0, 0, 9, 9],
        [-INF, 0.9, 0, 0, 9, 9],
    ],
)
def test_rows_that_are_no_boxes_are_dropped(row: List[float]) -> None:
    good = [0, 0.8, 1, 1, 9, 9]
    assert [one.score for one in results([rows(row, good)], spec(), 50, 50, 5)] == [0.8]


@pytest.mark.parametrize("count", [1, 2])
def test_rows_of_which_none_is_a_box_are_no_empty_answer(count: int) -> None:
    """The rows that do not count are finite, so the engine finds nothing amiss."""
    outputs = [rows([0, NAN, 0, 0, 9, 9], [0, 0.9, 0, 0, INF, 9], [0] * 6), np.array([count])]
    with pytest.raises(BadOutput, match="every box"):
        results(outputs, spec(), 50, 50, 5)


@pytest.mark.parametrize(
    "nothing", [[[-1.0] * 6], [[-1.0]], [0.0], np.empty((0, 6)), np.empty((0,))]
)
def test_nothing_found(nothing: Any) -> None:
    assert results([np.array(nothing, np.float32)], spec(), 50, 50, 5) == []


def test_the_count_says_how_many_rows_hold() -> None:
    two = rows([0, 0.9, 0, 0, 9, 9], [0, 0.8, 0, 0, 9, 9])
    assert len(results([two, np.array([1], np.int32)], spec(), 50, 50, 5)) == 1


def test_boxes_in_parts_of_the_input() -> None:
    box = rows([0, 0.9, 0.25, 0.5, 0.5, 1.0])
    (one,) = results([box], spec(boxes=Boxes(normed=True)), 200, 100, 5)
    assert one.location == BBox(50, 50, 50, 50)
    boxed = (ResizeInside(64, 32), Pad(64, 32, align="center"))  # 100 x 100: 32 x 32 in the middle
    (one,) = results([box], spec(boxed, Boxes(normed=True)), 100, 100, 5)
    assert one.location == BBox(0, 50, 50, 50)


def test_class_0_may_be_the_background() -> None:
    both = rows([0, 0.9, 0, 0, 9, 9], [1, 0.8, 0, 0, 9, 9])
    (one,) = results([both], spec(boxes=Boxes(background=True)), 50, 50, 5)
    assert one.index == 1


@pytest.mark.parametrize("shape", [(3, 5), (1, 3, 6), (7,)])
def test_other_shapes_are_said_to_be_so(shape: Tuple[int, ...]) -> None:
    with pytest.raises(BadOutput, match=r"\[N, 6\]"):
        results([np.ones(shape, np.float32)], spec(), 50, 50, 5)


def maps(classes: int = 3, reg_max: int = 7) -> List[Floats]:
    """PicoDet's for 64 x 32 at strides 8 and 16, where nothing is seen."""
    cells = [8 * 4, 4 * 2]
    scores = [np.full((1, count, classes), 0.01, np.float32) for count in cells]
    return scores + [np.zeros((1, count, 4 * (reg_max + 1)), np.float32) for count in cells]


def put(
    outputs: List[Floats], level: int, cell: int, index: int, score: float, *sides: float
) -> None:
    """A box by its distances left, up, right, down in strides, each a sharp distribution."""
    outputs[level][0, cell, index] = score
    for side, distance in enumerate(sides):
        low, part = int(distance), distance % 1
        logits = np.full(8, -50, np.float32)
        logits[low] = np.log(1 - part) if part < 1 else -50
        if part:
            logits[low + 1] = np.log(part)
        outputs[level + 2][0, cell, side * 8 : side * 8 + 8] = logits


def test_picodet_without_post_processing() -> None:
    outputs = maps()
    put(outputs, 0, 8 * 2 + 3, 2, 0.9, 1, 1.5, 2, 0.5)  # around (28, 20), stride 8
    put(outputs, 1, 1, 0, 0.6, 1, 0.5, 1, 0.5)  # around (24, 8), stride 16
    first, second = results(outputs, spec(), 128, 96, 5)  # twice, three times the input
    assert (first.index, first.score) == (2, 0.9)
    assert first.location == BBox(40, 24, 48, 48)
    assert (second.index, second.location) == (0, BBox(16, 0, 64, 48))


def test_of_boxes_that_overlap_the_better_stays() -> None:
    outputs = maps()
    put(outputs, 0, 10, 1, 0.9, 1, 1, 1, 1)
    put(outputs, 0, 11, 1, 0.8, 2, 1, 0, 1)  # the same box, seen from the next cell
    put(outputs, 0, 12, 2, 0.7, 3, 1, 0, 1)  # of another class
    found = results(outputs, spec(), 64, 32, 5)
    assert [(one.index, one.score) for one in found] == [(1, 0.9), (2, 0.7)]
    all_of_them = Boxes(nms_threshold=1.0, strides=(8, 16))
    assert len(results(outputs, spec(boxes=all_of_them), 64, 32, 5)) == 3


def test_an_even_distribution_is_its_mean() -> None:
    outputs = maps()
    outputs[0][0, 9, 0] = 0.5  # around (12, 12); logits of 0 are 3.5 strides to each side
    (one,) = results(outputs, spec(), 64, 32, 5)
    assert one.location == BBox(0, 0, 40, 32)


def test_picodet_saw_nothing() -> None:
    assert results(maps(), spec(), 64, 32, 5) == []


def test_maps_of_another_network() -> None:
    with pytest.raises(BadOutput, match="stride 16"):
        results([*maps()[:1], maps()[0], *maps()[2:]], spec(), 64, 32, 5)
    with pytest.raises(BadOutput, match="twice as many"):
        results(maps(), spec(boxes=Boxes()), 64, 32, 5)
