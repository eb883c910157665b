"""The kinds of models: each turns a network's outputs into results.

A task is a function (outputs, spec, width, height, top) -> results, best score
first; `width` and `height` are the picture's, in pixels as a viewer shows it.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Sequence

from edged.registry.spec import ModelSpec
from edged.results import Result
from edged.worker.engines import Array
from edged.worker.tasks import classification, detection, segmentation

Task = Callable[[Sequence[Array], ModelSpec, int, int, int], List[Result]]

TASKS: Dict[str, Task] = {
    "classification": classification.results,
    "detection": detection.results,
    "segmentation": segmentation.results,
}
