"""The kinds of models that are one network: a picture in, its outputs to results."""

from __future__ import annotations

from typing import Callable, List, Sequence, Tuple

import msgspec

from edged.errors import BadOutput, EngineError
from edged.registry.spec import ModelSpec
from edged.results import Result
from edged.wire import PredictOptions
from edged.worker.clock import Clock
from edged.worker.decode import Decoded
from edged.worker.engines import Array, Engine, Load, Network
from edged.worker.engines.inputs import try_out
from edged.worker.geometry import reduction
from edged.worker.preprocess import Preprocess

Results = Callable[[Sequence[Array], ModelSpec, int, int, int], List[Result]]
"""(outputs, spec, width, height, top) -> results, best score first; `width` and `height`
are the picture's, in pixels as a viewer shows it."""


def single(results: Results, rows: bool = False) -> Callable[[ModelSpec, Load], SingleNetwork]:
    """The task whose network's outputs `results` reads; `rows` is of `Network`."""

    def open_task(spec: ModelSpec, load: Load) -> SingleNetwork:
        network = Network(spec.files, spec.fixed_size, rows=rows)
        return SingleNetwork(spec, load(network), results)

    return open_task


class SingleNetwork:
    """As `Task` says."""

    def __init__(self, spec: ModelSpec, engine: Engine, results: Results) -> None:
        self._spec = spec
        self._engine = engine
        self._preprocess = Preprocess(spec, engine.inputs)
        self._results = results
        self._try_out()

    def _try_out(self) -> None:
        """Raises EngineError for a network that cannot run, or is of another task."""
        outputs, (width, height) = try_out(self._engine), self._spec.fixed_size
        try:
            self._results(outputs, self._spec, width, height, 1)
        except BadOutput as error:
            raise EngineError(f"it cannot serve as {self._spec.task}: {error}") from error

    def reduction(self, size: Tuple[int, int]) -> int:
        return reduction(self._spec.preprocess, size) if self._spec.decode == "scaled" else 1

    def predict(self, picture: Decoded, options: PredictOptions, clock: Clock) -> List[Result]:
        width, height = picture.size
        memory = self._engine.memory(self._preprocess.image)
        feeds = self._preprocess(picture.pixels, picture.size, memory)
        clock.lap("preprocess")
        outputs = self._engine.run(feeds)
        clock.lap("run")
        spec = self._spec
        if options.threshold is not None:
            spec = msgspec.structs.replace(spec, threshold=options.threshold)
        results = self._results(outputs, spec, width, height, options.top)
        clock.lap("postprocess")
        return results
