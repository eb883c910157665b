"""The kinds of models: each opened from a spec, then asked for picture after picture."""

from __future__ import annotations

from typing import Callable, Dict, List, Protocol, Tuple

from edged.registry.spec import ModelSpec
from edged.results import Result
from edged.wire import PredictOptions
from edged.worker.clock import Clock
from edged.worker.decode import Decoded
from edged.worker.engines import Load
from edged.worker.tasks import classification, detection, ocr, segmentation
from edged.worker.tasks.single import single


class Task(Protocol):
    """A loaded model. It is opened and asked on one thread."""

    def reduction(self, size: Tuple[int, int]) -> int:
        """At 1/n of its `size` (width, height) a picture is enough; 1 where nothing less is.

        Raises BadImage or ImageTooLarge as `predict`. May be asked on any thread.
        """

    def predict(self, picture: Decoded, options: PredictOptions, clock: Clock) -> List[Result]:
        """`clock` gets a lap for each stage. A drawn picture is not a task's business.

        The picture is left as it is. Raises EngineError, BadOutput, DeadlinePassed,
        and BadImage or ImageTooLarge for a picture that the model cannot take.
        """


OpenTask = Callable[[ModelSpec, Load], Task]
"""Loads what the spec names. Raises EngineError, and ModelFolderError for what no engine mends."""

TASKS: Dict[str, OpenTask] = {
    "classification": single(classification.results),
    "detection": single(detection.results, rows=True),
    "segmentation": single(segmentation.results),
    "ocr": ocr.Ocr,
}
