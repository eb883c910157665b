"""What becomes of a classifier's output."""

from __future__ import annotations

from typing import Any, List, Literal, Tuple, Type

import numpy as np
import pytest

from edged.errors import BadOutput
from edged.registry.spec import Classes, ModelFiles, ModelSpec
from edged.worker.tasks.classification import results


def answer(
    scores: List[float],
    classes: Classes,
    threshold: float = 0.5,
    top: int = 2,
    kind: Type[np.floating[Any]] = np.float32,
) -> List[Tuple[int, Any]]:
    spec = ModelSpec(
        mid=1,
        name="model",
        task="classification",
        exporter="test",
        folder="/",
        files=ModelFiles("nb", "/model.nb"),
        preprocess=(),
        input_size=(8, 8),
        threshold=threshold,
        classes=classes,
    )
    found = results([np.array([scores], kind)], spec, 64, 48, top)
    return [(one.index, pytest.approx(one.score, abs=1e-4)) for one in found]


def test_the_best_few() -> None:
    assert answer([0.1, 0.7, 0.2], Classes()) == [(1, 0.7), (2, 0.2)]
    assert answer([0.0, np.log(3)], Classes(), top=1) == [(1, 0.75)]


def test_of_equal_ones_the_first() -> None:
    assert answer([0.2, 0.1, 0.2, 0.3, 0.2], Classes()) == [(3, 0.3), (0, 0.2)]
    assert answer([0.25] * 4, Classes(), top=3) == [(0, 0.25), (1, 0.25), (2, 0.25)]


@pytest.mark.parametrize("top", [3, 4, 1000])
def test_there_are_no_more_than_there_are(top: int) -> None:
    assert answer([0.1, 0.7, 0.2], Classes(), top=top) == [(1, 0.7), (2, 0.2), (0, 0.1)]


@pytest.mark.parametrize("answers", ["best", "each"])
def test_what_is_too_large_is_not_an_answer_of_nothing(answers: Literal["best", "each"]) -> None:
    """As float32 it is infinite, and what is made of that is NaN."""
    with pytest.raises(BadOutput, match="32 bits"):
        answer([1e39, 1.0, -1e39], Classes(answers), kind=np.float64)


def test_all_that_are_over_their_threshold() -> None:
    each = Classes("each", (0.9, 0.2))
    assert answer([0.8, 0.3, 0.6, 0.4, 0.7], each) == [(4, 0.7), (2, 0.6), (1, 0.3)]
    assert answer([0.1, 0.1, 0.1], Classes("each")) == []
    assert answer([0.5], Classes("each", (0.1,) * 9)) == [(0, 0.5)]


def test_several_labels_as_logits() -> None:
    assert answer([-200.0, 200.0, np.log(3)], Classes("each")) == [(1, 1.0), (2, 0.75)]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([0.05, 0.95], (1, 0.95)), ([0.2, 0.8], (0, 0.2)), ([0.9, 0.1], (0, 0.9))],
)
def test_one_of_two(scores: List[float], expected: Any) -> None:
    assert answer(scores, Classes("either"), 0.9) == [expected]


def test_one_of_two_needs_two() -> None:
    with pytest.raises(BadOutput, match="two classes"):
        answer([0.1, 0.7, 0.2], Classes("either"))
