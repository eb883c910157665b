"""One loaded model: a decoded picture in, results and the drawn picture out."""

from __future__ import annotations

import time
from typing import List, NamedTuple

from edged.results import Result, Stages
from edged.wire import Load, TensorInfo
from edged.worker.decode import Picture
from edged.worker.engines import load_engine
from edged.worker.preprocess import Preprocess
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
    """Loads on construction (EngineError says why not). Used by one thread only."""

    def __init__(self, load: Load) -> None:
        self._spec = load.spec
        self.engine, self._engine = load_engine(load.spec, load.options)
        self._preprocess = Preprocess(load.spec, self._engine.inputs)
        self._results = TASKS[load.spec.task]

    @property
    def inputs(self) -> List[TensorInfo]:
        return list(self._engine.inputs)

    def predict(self, prepared: Prepared, show: bool, top: int) -> Outcome:
        """`top` is how many classes a classifier answers. Raises EngineError, BadOutput."""
        picture = prepared.picture
        height, width = picture.shape[:2]
        clock = _Clock()
        feeds = self._preprocess(picture)
        preprocess_ms = clock.lap()
        outputs = self._engine.run(feeds)
        run_ms = clock.lap()
        results = self._results(outputs, self._spec, width, height, top)
        postprocess_ms = clock.lap()
        drawn = b""
        if show:
            draw(picture, results, self._spec.task)
            drawn = encode_jpeg(picture)
        stages = Stages(
            decode=prepared.decode_ms,
            preprocess=preprocess_ms,
            run=run_ms,
            postprocess=postprocess_ms,
            draw=clock.lap(),
        )
        return Outcome(results, stages, drawn)


class _Clock:
    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Milliseconds since the lap before."""
        now = time.perf_counter()
        lap, self._last = (now - self._last) * 1000, now
        return lap
