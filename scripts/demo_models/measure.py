"""How good a detector's rows are, by boxes that overlap the truth by half (IoU 0.5)."""

from dataclasses import dataclass
from typing import List, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from .scenes import Scene

Rows = NDArray[np.float32]  # [n,6]: class, score, x1, y1, x2, y2


@dataclass(frozen=True)
class Quality:
    """On a set of scenes; `mistaken` counts right boxes with the wrong digit."""

    map50: float
    precision: float
    recall: float
    digits: int
    mistaken: int


def _iou(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    return np.asarray(common / (np.prod(box[2:] - box[:2]) + areas - common), np.float32)


def _hits(scene: Scene, rows: Rows) -> NDArray[np.bool_]:
    """Which rows, best score first, meet a digit of their class that no better row has met."""
    free = np.ones(len(scene.boxes), bool)
    hits = np.zeros(len(rows), bool)
    for i, row in enumerate(rows):
        same = free & (scene.labels == int(row[0]))
        if not same.any():
            continue
        overlap = np.where(same, _iou(row[2:], scene.boxes), 0)
        best = int(overlap.argmax())
        if overlap[best] >= 0.5:
            free[best], hits[i] = False, True
    return hits


def _average_precision(scores: NDArray[np.float32], hits: NDArray[np.bool_], digits: int) -> float:
    """Area under the precision curve, made falling."""
    ordered = hits[np.argsort(-scores, kind="stable")]
    found = np.cumsum(ordered)
    precision = found / np.arange(1, len(ordered) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * ordered).sum() / digits)


def quality(scenes: Sequence[Scene], rows: Sequence[Rows], threshold: float) -> Quality:
    tables: List[Tuple[Rows, NDArray[np.bool_]]] = []
    mistaken = 0
    for scene, found in zip(scenes, rows):
        ordered = found[np.argsort(-found[:, 1], kind="stable")]
        hits = _hits(scene, ordered)
        tables.append((ordered, hits))
        for row in ordered[~hits & (ordered[:, 1] >= threshold)]:
            if len(scene.boxes) and _iou(row[2:], scene.boxes).max() >= 0.5:
                mistaken += 1
    everything = np.concatenate([table for table, _ in tables])
    all_hits = np.concatenate([hits for _, hits in tables])
    truth = np.concatenate([scene.labels for scene in scenes])
    precisions = []
    for label in np.unique(truth):
        mine = everything[:, 0] == label
        precisions.append(
            _average_precision(everything[mine, 1], all_hits[mine], int((truth == label).sum()))
        )
    sure = everything[:, 1] >= threshold
    right = int((all_hits & sure).sum())
    return Quality(
        float(np.mean(precisions)),
        right / max(1, int(sure.sum())),
        right / len(truth),
        len(truth),
        mistaken,
    )
