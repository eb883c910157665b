"""Outputs of a segmenter: one result for each class that is seen."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np
import numpy.typing as npt

from edged.errors import BadOutput
from edged.registry.spec import ModelSpec
from edged.results import BBox, Result
from edged.worker.engines import Array
from edged.worker.geometry import Placement, place
from edged.worker.rle import Mask, encode

_BACKGROUND = ("background", "_background_", "__background__", "bg", "背景")

_Floats = npt.NDArray[np.float32]
_Classes = npt.NDArray[np.int32]


class _Maps(NamedTuple):
    """At the picture's own size: each pixel's class, -1 for none, and its score.

    `seen` are the classes that may be among them.
    """

    seen: List[int]
    classes: _Classes
    scores: _Floats


class _Part(NamedTuple):
    """Rows and columns of the network's map that show the picture, and where in it."""

    map: Tuple[slice, slice]
    picture: Tuple[slice, slice]


def results(
    outputs: Sequence[Array], spec: ModelSpec, width: int, height: int, top: int
) -> List[Result]:
    """`outputs[0]` is [1, C, H, W], probabilities or logits, or classes [1, H, W].

    Beside classes `outputs[1]` may be their scores, [1, H, W] or [1, H, W, C]; without
    them a score is 1. `extended` has the `mask` as COCO run-length code of the
    picture's own size, and its `area` in pixels. The class 0 is left out where it is
    named background, or is the first of two that have no names. `top` does not bind.
    """
    placement = place(spec.preprocess, width, height)
    scores = _scores(outputs)
    if scores is not None:
        maps = _from_scores(scores, placement, width, height)
        classes = len(scores)
    else:
        maps = _from_classes(outputs, placement, width, height)
        classes = 0
    without_first = _is_background(spec.labels, classes)
    found = [
        result
        for index in maps.seen
        if index > 0 or (index == 0 and not without_first)
        for result in _result(index, maps, spec)
    ]
    return sorted(found, key=lambda result: -result.score)


def _is_background(labels: Sequence[str], classes: int) -> bool:
    return labels[0].lower() in _BACKGROUND if labels else classes == 2


def _result(index: int, maps: _Maps, spec: ModelSpec) -> List[Result]:
    """One, or none where making the picture's size of it has left nothing."""
    mask: Mask = maps.classes == index
    area = int(np.count_nonzero(mask))
    if not area:
        return []
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    inside = np.s_[top : top + height, left : left + width]
    score, *_ = cv2.mean(maps.scores[inside], mask[inside].view(np.uint8))
    result = Result(
        index=index,
        label=spec.label(index),
        score=round(min(max(score, 0.0), 1.0), 5),
        location=BBox(float(left), float(top), float(width), float(height)),
        extended={
            "mask": {"size": list(mask.shape), "counts": encode(mask)},
            "area": area,
        },
    )
    return [result]


def _scores(outputs: Sequence[Array]) -> Optional[_Floats]:
    """Probabilities (C, H, W), None where the network answers classes."""
    first = outputs[0]
    if first.ndim != 4 or not np.issubdtype(first.dtype, np.floating):
        return None
    scores: _Floats = first[0].astype(np.float32, copy=False)
    if len(scores) == 1:
        if np.array_equal(scores, np.rint(scores)):  # classes, written as floats
            return None
        # (1 + tanh(x / 2)) / 2 is the sigmoid, without overflows.
        share = scores if _are_shares(scores) else (1 + np.tanh(scores / 2)) / 2
        both: _Floats = np.concatenate([1 - share, share])
        return both
    if _are_shares(scores) and np.abs(scores.sum(axis=0) - 1).max() < 0.01:
        return scores
    exponentials = np.exp(scores - scores.max(axis=0))
    probabilities: _Floats = exponentials / exponentials.sum(axis=0)
    return probabilities


def _are_shares(scores: _Floats) -> bool:
    return bool(scores.min() >= 0 and scores.max() <= 1.0001)


def _from_scores(scores: _Floats, placement: Placement, width: int, height: int) -> _Maps:
    """Each class's map is resized and then the best one taken: edges come out smooth.

    Only of classes that win somewhere on the network's own map, to save time.
    """
    part = _part(scores.shape[1:], placement, width, height)
    shown = scores[:, part.map[0], part.map[1]]
    maps = _nowhere(np.unique(shown.argmax(axis=0)).tolist(), width, height)
    classes, best = maps.classes[part.picture], maps.scores[part.picture]
    for index in maps.seen:
        one = cv2.resize(shown[index], best.shape[::-1])
        np.copyto(classes, index, where=one > best)
        np.maximum(best, one, out=best)
    return maps


def _from_classes(outputs: Sequence[Array], placement: Placement, width: int, height: int) -> _Maps:
    """Classes are taken from the nearest pixel: there is nothing between two of them."""
    shape = outputs[0].shape
    map = outputs[0].reshape(shape[-2:]) if outputs[0].size == np.prod(shape[-2:]) else None
    if map is None or len(shape) < 2:
        raise BadOutput(f"a segmenter answers [1, C, H, W] or [1, H, W], this one {list(shape)}")
    part = _part(map.shape, placement, width, height)
    shown = map[part.map].astype(np.int32)
    maps = _nowhere(np.unique(shown).tolist(), width, height)
    size = maps.classes[part.picture].shape[::-1]
    maps.classes[part.picture] = cv2.resize(shown, size, interpolation=cv2.INTER_NEAREST)
    scores = _scores_of(shown, map.shape, outputs[1:], part)
    maps.scores[part.picture] = cv2.resize(scores, size, interpolation=cv2.INTER_NEAREST)
    return maps


def _scores_of(
    classes: _Classes, shape: Tuple[int, ...], rest: Sequence[Array], part: _Part
) -> _Floats:
    """The score of each pixel's class, of the shape of `classes`."""
    if rest and rest[0].shape[:-1] == (1, *shape):
        by_class = rest[0][0][part.map].astype(np.float32)
        index = classes.clip(0, by_class.shape[2] - 1)[:, :, None]
        picked: _Floats = np.take_along_axis(by_class, index, axis=2)[:, :, 0]
        return picked
    if rest and rest[0].size == np.prod(shape):
        return rest[0].reshape(shape)[part.map].astype(np.float32)
    return np.ones(classes.shape, np.float32)


def _nowhere(seen: List[int], width: int, height: int) -> _Maps:
    """What is cut off before the network sees it has no class."""
    return _Maps(
        seen, np.full((height, width), -1, np.int32), np.full((height, width), -1, np.float32)
    )


def _part(shape: Tuple[int, ...], placement: Placement, width: int, height: int) -> _Part:
    rows = _span(shape[0], placement.size[1], placement.top, placement.scale_y, height)
    columns = _span(shape[1], placement.size[0], placement.left, placement.scale_x, width)
    return _Part((rows[0], columns[0]), (rows[1], columns[1]))


def _span(cells: int, side: int, start: float, scale: float, pixels: int) -> Tuple[slice, slice]:
    """Of the map's `cells` over `side` pixels of input, those with the picture, and where it is."""
    first, last = max(start, 0.0), min(start + pixels * scale, side)
    cell = cells / side
    begin = min(round(first * cell), cells - 1)
    end = max(round(last * cell), begin + 1)
    left = min(max(round((first - start) / scale), 0), pixels - 1)
    right = min(max(round((last - start) / scale), left + 1), pixels)
    return slice(begin, end), slice(left, right)
