"""Outputs of a classifier: the classes with the highest probability."""

from __future__ import annotations

from typing import List, Sequence

import numpy as np
import numpy.typing as npt

from edged.errors import BadOutput
from edged.registry.spec import ModelSpec
from edged.results import Result, clip_bbox
from edged.worker.engines import Array


def results(
    outputs: Sequence[Array], spec: ModelSpec, width: int, height: int, top: int
) -> List[Result]:
    """`outputs[0]` is [1, C], probabilities or logits; every result has the whole frame."""
    scores = outputs[0].squeeze()  # some graphs end in a pooling: [1, C, 1, 1]
    if scores.ndim != 1:
        raise BadOutput(f"a classifier answers [1, C], this one {list(outputs[0].shape)}")
    probabilities = _as_probabilities(scores.astype(np.float32))
    frame = clip_bbox(0, 0, width, height, width, height)
    best = np.argsort(-probabilities, kind="stable")[:top]
    return [
        Result(
            index=int(index),
            label=spec.label(int(index)),
            score=round(float(probabilities[index]), 5),
            location=frame,
        )
        for index in best
    ]


def _as_probabilities(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Exporters put the softmax into the graph or leave it out; the numbers tell which."""
    if scores.min() >= 0 and abs(float(scores.sum()) - 1) < 0.01:
        return scores
    exponentials = np.exp(scores - scores.max())
    probabilities: npt.NDArray[np.float32] = exponentials / exponentials.sum()
    return probabilities
