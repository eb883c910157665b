"""Which pictures a model collects, and what it saw in them as labels of a dataset."""

from __future__ import annotations

import math
from collections import Counter
from typing import Dict, List, Optional, Sequence

from edged.datasets.label_names import label_name, label_of
from edged.datasets.rules import MOST_DATASET_NAME, is_dataset_name
from edged.datasets.types import Box, Kind, Label
from edged.errors import ModelFolderError
from edged.registry.spec import Collect, ModelSpec, Task
from edged.results import Prediction, Result

KINDS: Dict[Task, Kind] = {
    "classification": "IMAGE_CLASSIFICATION",
    "detection": "OBJECT_DETECTION",
    "segmentation": "IMAGE_SEGMENTATION",
}
"""Of a task, the type of the datasets that its pictures go to."""

_MINUTE = 60.0  # seconds


def check(collect: Collect, task: Task, labels: Sequence[str]) -> None:
    """`labels` are the model's, empty where it came without. Raises ModelFolderError."""
    if task not in KINDS:
        raise ModelFolderError(f"collect: there are no datasets for the task {task}")
    if not is_dataset_name(collect.dataset):
        raise ModelFolderError(
            f"collect, dataset: it must have 1 to {MOST_DATASET_NAME} characters"
        )
    unknown = set(collect.labels).difference(labels)
    if labels and unknown:
        raise ModelFolderError(f"collect, labels: the model has no label {min(unknown)!r}")
    ((name, count),) = Counter(map(label_name, set(labels))).most_common(1) or [("", 0)]
    if count > 1:
        raise ModelFolderError(f"collect: two of the labels would both be {name} in a dataset")


def seen(spec: ModelSpec, prediction: Prediction) -> Sequence[Result]:
    """What the model says is in the picture: of a classifier whose classes exclude each other
    the best, of a detector what is over the model's threshold, whatever the request's was.
    """
    if spec.task == "classification" and spec.classes.answer == "best":
        return prediction.results[:1]
    if spec.task == "detection":
        return [one for one in prediction.results if one.score >= spec.threshold]
    return prediction.results


def labels_of(spec: ModelSpec, prediction: Prediction) -> List[Label]:
    """Boxes are in whole pixels and lie in the picture; one that has no pixel of it is left
    out.
    """
    results = seen(spec, prediction)
    if spec.task != "detection":
        return [label_of(name) for name in dict.fromkeys(one.label for one in results)]
    boxes = [(one.label, _box(one, prediction)) for one in results]
    return [label_of(name, box) for name, box in boxes if box.width > 0 and box.height > 0]


def _box(result: Result, prediction: Prediction) -> Box:
    """Corner by corner, so that it cannot pass the edge by rounding."""
    at = result.location
    left, right = (min(max(round(x), 0), prediction.width) for x in (at.left, at.left + at.width))
    top, bottom = (min(max(round(y), 0), prediction.height) for y in (at.top, at.top + at.height))
    return Box(left, top, right - left, bottom - top)


class Selection:
    """The pictures of one model that are to be collected. Counts from its making on."""

    def __init__(self, collect: Collect) -> None:
        self.rules = collect
        self._rule = _Rule(collect.below, collect.every)
        self._by_label = {
            label: _Rule(
                collect.below if own.below is None else own.below, own.every or collect.every
            )
            for label, own in collect.labels.items()
        }
        # Even, since the frames of one second are all alike.
        self._pause = _MINUTE / collect.per_minute
        self._next = -math.inf

    def takes(self, results: Sequence[Result], now: float) -> bool:
        """Whether a picture in which these are seen is wanted. `now` is in seconds."""
        if not self._wants(results) or now < self._next:
            return False
        self._next = now + self._pause
        return True

    def _wants(self, results: Sequence[Result]) -> bool:
        if not self._by_label:
            return self._rule.wants([one.score for one in results])
        scores: Dict[str, List[float]] = {}
        for one in results:
            if one.label in self._by_label:
                scores.setdefault(one.label, []).append(one.score)
        # Each of them counts this picture, so all are asked.
        wants = [self._by_label[label].wants(found) for label, found in scores.items()]
        return any(wants)


class _Rule:
    def __init__(self, below: Optional[float], every: int) -> None:
        self._below = below
        self._every = every
        self._count = 0

    def wants(self, scores: Sequence[float]) -> bool:
        if self._below is not None and min(scores, default=1.0) >= self._below:
            return False
        self._count += 1
        return (self._count - 1) % self._every == 0
