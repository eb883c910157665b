"""The engines: each a module with `load` and `library`, in a file of its name."""

from __future__ import annotations

import importlib
from contextlib import suppress
from types import ModuleType
from typing import Dict, List, Protocol, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from edged.errors import EngineError
from edged.registry.spec import ModelSpec
from edged.wire import EngineOptions, TensorInfo

Array = npt.NDArray[np.generic]


class Engine(Protocol):
    """A loaded network. It is created and run on one thread."""

    @property
    def inputs(self) -> Sequence[TensorInfo]: ...

    def run(self, feeds: Dict[str, Array]) -> List[Array]:
        """Named inputs to outputs in the network's order; the arrays are the caller's own.

        Raises EngineError when `feeds` is not what the network takes (names, rank,
        shape, dtype) and BadOutput when an output is not finite.
        """


class EngineModule(Protocol):
    """What a module of this folder that is named after its engine offers."""

    def load(self, spec: ModelSpec, options: EngineOptions) -> Engine: ...

    def library(self) -> ModuleType:
        """Imports the engine's library. Raises EngineError saying where it is to be had."""


def load_engine(spec: ModelSpec, options: EngineOptions) -> Tuple[str, Engine]:
    """The first of `options.engines` that can serve the network, with its name.

    Raises EngineError with the reasons when none can.
    """
    reasons = []
    for name in options.engines:
        try:
            return name, _module(name).load(spec, options)
        except EngineError as error:
            reasons.append(str(error))
    raise EngineError("; ".join(reasons))


def warm(names: Sequence[str]) -> None:
    """Imports the libraries of engines once, in the process that workers are forked from.

    One that is not there is the affair of whoever loads a model with it.
    """
    for name in names:
        with suppress(EngineError):
            _module(name).library()


def _module(name: str) -> EngineModule:
    """Imported when wanted: an engine's module imports this one for its types."""
    module: EngineModule = importlib.import_module(f"edged.worker.engines.{name}")
    return module
