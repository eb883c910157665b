"""Outputs of networks to results, those included that exporters leave odd."""

from __future__ import annotations

import math
from typing import Any, List, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edged.errors import BadOutput
from edged.registry.spec import ModelFiles, ModelSpec, Task
from edged.results import BBox, Result
from edged.worker.tasks import classification, detection

WIDTH, HEIGHT = 200, 100


def spec(task: Task, threshold: float = 0.5, labels: Sequence[str] = ("a", "b", "c")) -> ModelSpec:
    return ModelSpec(
        mid=1,
        name="x",
        task=task,
        exporter="native",
        folder="/x",
        files=ModelFiles("nb", "/x/x.nb"),
        preprocess=(),
        input_size=(8, 8),
        labels=tuple(labels),
        threshold=threshold,
    )


def detect(*outputs: Any, threshold: float = 0.5) -> List[Result]:
    given_as = [np.asarray(output) for output in outputs]
    return detection.results(given_as, spec("detection", threshold), WIDTH, HEIGHT, 5)


def classify(output: Any, top: int = 5) -> List[Result]:
    scores = np.asarray(output, np.float32)
    return classification.results([scores], spec("classification"), WIDTH, HEIGHT, top)


# -- detection


def test_boxes_over_the_threshold_best_first() -> None:
    rows = [
        [0, 0.6, 10, 20, 30, 40],
        [2, 0.9, 50, 60, 150, 90],
        [1, 0.49, 1, 2, 3, 4],
        [1, 0.5, 0, 0, 200, 100],
    ]
    assert detect(np.array(rows, np.float32)) == [
        Result(2, "c", 0.9, BBox(50, 60, 100, 30)),
        Result(0, "a", 0.6, BBox(10, 20, 20, 20)),
        Result(1, "b", 0.5, BBox(0, 0, 200, 100)),
    ]


def test_of_equal_scores_the_network_s_order_stays() -> None:
    rows = [[index, 0.75, 0, 0, 1, 1] for index in (2, 0, 1)]
    assert [result.index for result in detect(rows)] == [2, 0, 1]


def test_boxes_are_clipped_to_the_frame() -> None:
    (result,) = detect([[0, 0.9, -50.5, 90, 1e6, 300]])
    assert result.location == BBox(0, 90, WIDTH, 10)
    (outside,) = detect([[0, 0.9, 300, 300, 400, 400]])
    assert (outside.location.width, outside.location.height) == (0, 0)
    (reversed_,) = detect([[0, 0.9, 50, 50, 40, 40]])
    assert (reversed_.location.width, reversed_.location.height) == (0, 0)


def test_a_score_is_never_over_one() -> None:
    assert detect([[0, 1.0000001, 0, 0, 1, 1]])[0].score == 1.0


def test_a_class_without_a_label_is_named_by_its_number() -> None:
    assert detect([[7, 0.9, 0, 0, 1, 1]])[0].label == "7"


@pytest.mark.parametrize(
    "nothing",
    [
        np.zeros((0, 6), np.float32),
        np.array([[-1.0]], np.float32),
        np.array([-1.0], np.float32),
        np.array([[-1, 0.9, 0, 0, 0, 0]], np.float32),
        np.zeros((0,), np.float32),
    ],
    ids=lambda output: str(output.shape),
)
def test_the_ways_to_say_nothing(nothing: Any) -> None:
    assert detect(nothing) == []


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_second_output_says_how_many_rows_count(count: int) -> None:
    rows = [[0, 0.9, 0, 0, 1, 1]] * 3
    assert len(detect(rows, np.array([count], np.int32))) == count
    assert len(detect(rows, np.array(count, np.int64))) == count


@pytest.mark.parametrize("shape", [(2, 5), (2, 7), (1, 2, 6), (6,), (1, 3, 8, 8)])
def test_another_shape_is_no_detector_s(shape: Any) -> None:
    with pytest.raises(BadOutput, match="N, 6"):
        detect(np.ones(shape, np.float32))


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(0, 20), st.just(6)),
        elements=st.floats(-1e6, 1e6, width=32),
    )
)
def test_whatever_the_rows_the_results_are_sound(rows: Any) -> None:
    found = detect(rows)
    assert [result.score for result in found] == sorted(
        (result.score for result in found), reverse=True
    )
    for result in found:
        box = result.location
        assert 0.5 <= result.score <= 1
        assert result.index >= 0
        assert 0 <= box.left <= box.left + box.width <= WIDTH + 0.01
        assert 0 <= box.top <= box.top + box.height <= HEIGHT + 0.01


# -- classification


def test_probabilities_best_first_with_the_whole_frame() -> None:
    found = classify([[0.25, 0.5, 0.25]])
    assert [(result.index, result.label, result.score) for result in found] == [
        (1, "b", 0.5),
        (0, "a", 0.25),
        (2, "c", 0.25),
    ]
    assert {result.location for result in found} == {BBox(0, 0, WIDTH, HEIGHT)}


@pytest.mark.parametrize("top", [1, 2, 3, 5])
def test_only_the_top(top: int) -> None:
    assert len(classify([[0.25, 0.5, 0.25]], top)) == min(top, 3)


def test_logits_get_their_softmax() -> None:
    logits = [2.0, -1.0, 0.5]
    total = sum(math.exp(logit) for logit in logits)
    scores = {result.index: result.score for result in classify([logits])}
    for index, logit in enumerate(logits):
        assert scores[index] == pytest.approx(math.exp(logit) / total, abs=1e-4)


@pytest.mark.parametrize("logits", [[1000.0, 999.0], [-1000.0, -1001.0], [0.0, 0.0], [3.0, 4.0]])
def test_logits_of_any_size(logits: List[float]) -> None:
    scores = [result.score for result in classify([logits])]
    assert sum(scores) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("shape", [(3,), (1, 3), (1, 3, 1, 1), (1, 1, 3)])
def test_shapes_of_classifiers(shape: Any) -> None:
    scores = np.array([0.2, 0.7, 0.1], np.float32).reshape(shape)
    assert [result.index for result in classify(scores)] == [1, 0, 2]


@pytest.mark.parametrize("shape", [(2, 3), (1, 3, 8, 8)])
def test_another_shape_is_no_classifier_s(shape: Any) -> None:
    with pytest.raises(BadOutput, match="1, C"):
        classify(np.ones(shape, np.float32))
