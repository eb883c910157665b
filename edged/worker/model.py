"""One loaded model: a decoded picture in, results and the drawn picture out."""

from __future__ import annotations

import time
from typing import List, NamedTuple, Optional

from edged.results import Result, Stages
from edged.wire import Load, PredictOptions
from edged.worker.clock import Clock
from edged.worker.decode import Decoded, Picture, decode, decode_reduced, whole
from edged.worker.engines import loader
from edged.worker.render import draw, encode_jpeg
from edged.worker.tasks import TASKS


class Prepared(NamedTuple):
    """A decoded picture, the one to draw on where that was asked for, and the milliseconds
    that took."""

    picture: Decoded
    canvas: Optional[Picture]
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

    def prepare(self, data: bytes, options: PredictOptions) -> Prepared:
        """Raises BadImage or ImageTooLarge. May be called on any thread.

        It is drawn on the whole picture, also where the network sees a part of its pixels.
        """
        began = time.perf_counter()
        picture, canvas = decode_reduced(data, self._task.reduction), None
        if options.show:
            canvas = picture.pixels if picture.is_whole else decode(data)
        return Prepared(picture, canvas, (time.perf_counter() - began) * 1000)

    def predict(self, prepared: Prepared, options: PredictOptions, clock: Clock) -> Outcome:
        """Raises as `Task.predict`."""
        results = self._task.predict(prepared.picture, options, clock)
        drawn = b""
        if prepared.canvas is not None:
            draw(prepared.canvas, results, self._kind)
            drawn = encode_jpeg(prepared.canvas)
        clock.lap("draw")
        return Outcome(results, clock.stages(prepared.decode_ms), drawn)


class NoModel:
    """In its place where pictures are only decoded: it sees nothing in any."""

    def prepare(self, data: bytes, options: PredictOptions) -> Prepared:
        """Raises BadImage."""
        began = time.perf_counter()
        picture = whole(decode(data))
        return Prepared(picture, None, (time.perf_counter() - began) * 1000)

    def predict(self, prepared: Prepared, options: PredictOptions, clock: Clock) -> Outcome:
        return Outcome([], clock.stages(prepared.decode_ms), b"")
