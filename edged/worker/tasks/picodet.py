"""PicoDet's own outputs, of exports that end before the post-processing.

For each level, finest first, a map of scores [1, HW, C], then for each level one of the
distances to the four sides, [1, HW, 4 (n + 1)]: each distance as a distribution over 0
to n strides.
"""

from __future__ import annotations

import math
from typing import List, Sequence, Tuple

import cv2
import numpy as np
import numpy.typing as npt

from edged.errors import BadOutput
from edged.registry.spec import ModelSpec
from edged.worker.engines import Array

_Floats = npt.NDArray[np.float32]

_MOST_CANDIDATES, _MOST_BOXES = 1000, 100  # of a class before NMS, of all after it


def rows(outputs: Sequence[Array], spec: ModelSpec) -> _Floats:
    """(N, 6): class, score, x1, y1, x2, y2 in pixels of the network's input.

    Over the model's threshold, and after NMS class by class. Raises BadOutput when the
    outputs are not such maps of this model's input and strides.
    """
    levels = len(outputs) // 2
    if len(outputs) != 2 * len(spec.boxes.strides):
        raise BadOutput(
            f"the network answers {len(outputs)} maps, for {len(spec.boxes.strides)} strides"
            " it should be twice as many"
        )
    found = [
        _level(scores, distances, stride, spec)
        for scores, distances, stride in zip(outputs[:levels], outputs[levels:], spec.boxes.strides)
    ]
    scores = np.concatenate([scores for scores, _ in found])
    boxes = np.concatenate([boxes for _, boxes in found])
    kept = [
        _best_of_class(index, scores[:, index], boxes, spec)
        for index in np.flatnonzero((scores >= spec.threshold).any(axis=0)).tolist()
    ]
    if not kept:
        return np.empty((0, 6), np.float32)
    boxes = np.concatenate(kept)
    best: _Floats = boxes[(-boxes[:, 1]).argsort(kind="stable")][:_MOST_BOXES]
    return best


def _level(
    scores: Array, distances: Array, stride: int, spec: ModelSpec
) -> Tuple[_Floats, _Floats]:
    """Of the cells with anything over the threshold: scores (N, C), boxes (N, 4)."""
    width, height = spec.fixed_size
    columns, lines = math.ceil(width / stride), math.ceil(height / stride)
    cells = columns * lines
    fits = scores.ndim == distances.ndim == 3 and scores.shape[:2] == distances.shape[:2]
    if not fits or scores.shape[1] != cells or distances.shape[2] % 4:
        raise BadOutput(
            f"maps of {list(scores.shape)} and {list(distances.shape)} are not those of"
            f" a PicoDet of {width} x {height} at stride {stride}"
        )
    by_class = scores[0].astype(np.float32)
    (over,) = np.nonzero((by_class >= spec.threshold).any(axis=1))
    steps = distances.shape[2] // 4
    logits = distances[0][over].astype(np.float32).reshape(len(over), 4, steps)
    sides = _expected(logits) * stride
    x, y = (over % columns + 0.5) * stride, (over // columns + 0.5) * stride
    centers = np.stack([x, y], axis=1).astype(np.float32)
    boxes = np.hstack([centers - sides[:, :2], centers + sides[:, 2:]])
    boxes = boxes.clip(0, np.array([width, height, width, height], np.float32))
    return by_class[over], boxes


def _expected(logits: _Floats) -> _Floats:
    """The mean of each distribution over 0, 1, 2 and so on, along the last axis."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    steps = np.arange(logits.shape[-1], dtype=np.float32)
    mean: _Floats = (weights * steps).sum(axis=-1) / weights.sum(axis=-1)
    return mean


def _best_of_class(index: int, scores: _Floats, boxes: _Floats, spec: ModelSpec) -> _Floats:
    over = scores >= spec.threshold
    scores, boxes = scores[over], boxes[over]
    sizes = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    kept: List[int] = list(
        cv2.dnn.NMSBoxes(
            sizes.tolist(),
            scores.tolist(),
            0.0,
            spec.boxes.nms_threshold,
            top_k=_MOST_CANDIDATES,
        )
    )
    classes = np.full((len(kept), 1), index, np.float32)
    return np.hstack([classes, scores[kept, None], boxes[kept]])
