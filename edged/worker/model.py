"""One loaded model: a decoded picture in, results and the drawn picture out."""

from __future__ import annotations

from typing import List, NamedTuple

from edged.results import Result, Stages
from edged.wire import Load, PredictOptions
from edged.worker.clock import Clock
from edged.worker.decode import Picture
from edged.worker.engines import loader
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
        spec = load.spec
        self._kind = spec.task
        self._task = TASKS[spec.task](spec, loader(load.options))

    def predict(self, prepared: Prepared, options: PredictOptions, clock: Clock) -> Outcome:
        """Raises as `Task.predict`."""
        picture = prepared.picture
        results = self._task.predict(picture, options, clock)
        drawn = b""
        if options.show:
            draw(picture, results, self._kind)
            drawn = encode_jpeg(picture)
        clock.lap("draw")
        return Outcome(results, clock.stages(prepared.decode_ms), drawn)
