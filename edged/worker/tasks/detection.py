"""Outputs of a detector, with the post-processing in its graph or without."""

from __future__ import annotations

from typing import List, Sequence

import numpy as np
import numpy.typing as npt

from edged.errors import BadOutput
from edged.registry.spec import ModelSpec
from edged.results import Result, clip_bbox
from edged.worker.engines import Array
from edged.worker.geometry import place
from edged.worker.tasks import picodet

_Rows = npt.NDArray[np.float32]
"""(N, 6): class, score, x1, y1, x2, y2."""


def results(
    outputs: Sequence[Array], spec: ModelSpec, width: int, height: int, top: int
) -> List[Result]:
    """Up to three outputs: [N, 6] of class, score, x1, y1, x2, y2 in pixels of the picture,
    and how many of the rows count. More: PicoDet's maps, before the post-processing.

    A graph that found nothing answers a row of class -1, or a single number. A row that
    is not finite is dropped; BadOutput when all are, which is not to look like nothing
    found. `top` does not bind a detector: every box over the threshold is an answer.
    """
    if len(outputs) > 3:
        rows = picodet.rows(outputs, spec)
        rows = _to_picture(rows, spec, width, height)
    else:
        rows = _counted(outputs)
        if spec.boxes.normed:
            input_width, input_height = spec.fixed_size
            rows[:, 2:] *= (input_width, input_height, input_width, input_height)
            rows = _to_picture(rows, spec, width, height)
    rows = _finite(rows)
    first = 1 if spec.boxes.background else 0
    kept = rows[(rows[:, 0] >= first) & (rows[:, 1] >= spec.threshold)]
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


def _counted(outputs: Sequence[Array]) -> _Rows:
    rows = outputs[0].astype(np.float32)
    if rows.size <= 1:
        return np.empty((0, 6), np.float32)
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise BadOutput(f"a detector answers [N, 6], this one {list(outputs[0].shape)}")
    if len(outputs) > 1 and outputs[1].size == 1:
        rows = rows[: int(outputs[1].reshape(-1)[0])]
    return rows


def _finite(rows: _Rows) -> _Rows:
    finite = np.isfinite(rows).all(axis=1)
    if len(rows) and not finite.any():
        raise BadOutput("every box has values that are NaN or infinite")
    kept: _Rows = rows[finite]
    return kept


def _to_picture(rows: _Rows, spec: ModelSpec, width: int, height: int) -> _Rows:
    """Corners from pixels of the network's input to those of the picture."""
    placement = place(spec.preprocess, width, height)
    offset = np.array([placement.left, placement.top] * 2, np.float32)
    scale = np.array([placement.scale_x, placement.scale_y] * 2, np.float32)
    moved = rows.copy()
    moved[:, 2:] = (rows[:, 2:] - offset) / scale
    return moved
