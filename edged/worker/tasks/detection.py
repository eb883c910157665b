"""Outputs of a detector whose graph holds the post-processing."""

from __future__ import annotations

from typing import List, Sequence

import numpy as np

from edged.errors import BadOutput
from edged.registry.spec import ModelSpec
from edged.results import Result, clip_bbox
from edged.worker.engines import Array


def results(
    outputs: Sequence[Array], spec: ModelSpec, width: int, height: int, top: int
) -> List[Result]:
    """`outputs[0]` is [N, 6]: class, score, x1, y1, x2, y2 in pixels of the picture.

    `outputs[1]`, where there is one, is how many of the rows count. A graph that
    found nothing answers a row of class -1, or a single number. `top` does not bind a
    detector: every box over the threshold is an answer.
    """
    rows = outputs[0].astype(np.float32, copy=False)
    if rows.size <= 1:
        return []
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise BadOutput(f"a detector answers [N, 6], this one {list(rows.shape)}")
    if len(outputs) > 1 and outputs[1].size == 1:
        rows = rows[: int(outputs[1].reshape(-1)[0])]
    kept = rows[(rows[:, 0] >= 0) & (rows[:, 1] >= spec.threshold)]
    best_first = kept[(-kept[:, 1]).argsort(kind="stable")]
    return [
        Result(
            index=int(index),
            label=spec.label(int(index)),
            score=round(min(score, 1.0), 5),
            location=clip_bbox(x1, y1, x2, y2, width, height),
        )
        for index, score, x1, y1, x2, y2 in best_first.tolist()
    ]
