"""One loaded model: a decoded picture in, results and the drawn picture out."""

from __future__ import annotations

from typing import List, NamedTuple

from edged.results import Result, Stages
from edged.wire import Load, PredictOptions, TensorInfo
from edged.worker.clock import Clock
from edged.worker.decode import Picture
from edged.worker.engines import first_engine
from edged.worker.render import draw, encode_jpeg
from edged.worker.tasks import TASKS


class Prepared(NamedTuple):
    """A decoded picture and the milliseconds that took."""

    picture: Picture
    decode_ms: float


class Outcome(NamedTuple):
    results: List[Result]
    stages: Stages
    drawn: bytes


class Model:
    """Loads on construction (an EdgedError says why not). Used by one thread only."""

    def __init__(self, load: Load) -> None:
        spec, open_task = load.spec, TASKS[load.spec.task]
        self._kind = spec.task
        self.engine, self._task = first_engine(load.options, lambda by: open_task(spec, by))

    @property
    def inputs(self) -> List[TensorInfo]:
        return list(self._task.inputs)

    def predict(self, prepared: Prepared, options: PredictOptions) -> Outcome:
        """Raises as `Task.predict`."""
        picture, clock = prepared.picture, Clock()
        results = self._task.predict(picture, options, clock)
        drawn = b""
        if options.show:
            draw(picture, results, self._kind)
            drawn = encode_jpeg(picture)
        clock.lap("draw")
        return Outcome(results, clock.stages(prepared.decode_ms), drawn)
