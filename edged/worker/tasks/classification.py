"""Outputs of a classifier: the most probable classes, or all that are over a threshold."""

from __future__ import annotations

from typing import List, Sequence

import numpy as np
import numpy.typing as npt

from edged.errors import BadOutput
from edged.registry.spec import ModelSpec
from edged.results import BBox, Result
from edged.worker.engines import Array

_Floats = npt.NDArray[np.float32]

# So many are found one after the other in the time in which a thousand are sorted.
_FEW = 10


def results(
    outputs: Sequence[Array], spec: ModelSpec, width: int, height: int, top: int
) -> List[Result]:
    """`outputs[0]` is [1, C], probabilities or logits; every result has the whole frame.

    `top` binds only where one class is true: of several, all that are over their
    threshold are answers.
    """
    shape = outputs[0].shape  # some graphs end in a pooling: [1, C, 1, 1]
    if outputs[0].size != max(shape, default=0):
        raise BadOutput(f"a classifier answers [1, C], this one {list(shape)}")
    scores = _in_32_bits(outputs[0].reshape(-1))
    if spec.classes.answer == "each":
        probabilities = _each_its_own(scores)
        best = _over_thresholds(probabilities, spec)
    else:
        probabilities = _as_probabilities(scores)
        either = spec.classes.answer == "either"
        best = _one_of_two(probabilities, spec) if either else _most_probable(probabilities, top)
    frame = BBox(0.0, 0.0, float(width), float(height))
    return [
        Result(
            index=int(index),
            label=spec.label(int(index)),
            score=round(float(probabilities[index]), 5),
            location=frame,
        )
        for index in best
    ]


def _in_32_bits(scores: Array) -> _Floats:
    if scores.dtype == np.float32:
        return scores.astype(np.float32, copy=False)
    with np.errstate(over="ignore"):
        narrowed = scores.astype(np.float32)
    if not np.isfinite(narrowed).all():
        raise BadOutput("a classifier's scores have room in 32 bits, not these")
    return narrowed


def _most_probable(probabilities: _Floats, count: int) -> npt.NDArray[np.intp]:
    """The first `count` of `_sorted`; a few of many are found sooner one after the other."""
    if count > _FEW or count >= len(probabilities):
        return _sorted(probabilities)[:count]
    left = probabilities.copy()
    best = np.empty(count, np.intp)
    for place in range(count):
        best[place] = index = left.argmax()
        left[index] = -np.inf
    return best


def _one_of_two(probabilities: _Floats, spec: ModelSpec) -> npt.NDArray[np.intp]:
    if len(probabilities) != 2:
        raise BadOutput(f"of two classes one is to be answered, here are {len(probabilities)}")
    return np.array([int(probabilities[1] >= spec.threshold)])


def _sorted(probabilities: _Floats) -> npt.NDArray[np.intp]:
    return np.argsort(-probabilities, kind="stable")


def _over_thresholds(probabilities: _Floats, spec: ModelSpec) -> npt.NDArray[np.intp]:
    thresholds = np.full(len(probabilities), spec.threshold, np.float32)
    own = spec.classes.thresholds[: len(thresholds)]
    thresholds[: len(own)] = own
    best_first = _sorted(probabilities)
    return best_first[probabilities[best_first] >= thresholds[best_first]]


def _each_its_own(scores: _Floats) -> _Floats:
    """As `_as_probabilities`, for a sigmoid."""
    if scores.min() >= 0 and scores.max() <= 1:
        return scores
    half = np.float32(0.5)
    probabilities: _Floats = half + half * np.tanh(half * scores)  # the same, without overflows
    return probabilities


def _as_probabilities(scores: _Floats) -> _Floats:
    """Exporters put the softmax into the graph or leave it out; the numbers tell which."""
    if scores.min() >= 0 and abs(float(scores.sum()) - 1) < 0.01:
        return scores
    exponentials = np.exp(scores - scores.max())
    probabilities: _Floats = exponentials / exponentials.sum()
    return probabilities
