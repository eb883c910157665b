"""The engines: each a module with `load` and `library`, in a file of its name."""

from __future__ import annotations

import importlib
from contextlib import suppress
from types import ModuleType
from typing import Callable, Dict, List, NamedTuple, Protocol, Sequence, Tuple, TypeVar

import numpy as np
import numpy.typing as npt

from edged.errors import EngineError
from edged.registry.spec import ModelFiles
from edged.wire import EngineOptions, TensorInfo

Array = npt.NDArray[np.generic]

Opened = TypeVar("Opened")


class Network(NamedTuple):
    """Files, and the one size (width, height) of the pictures they are loaded for.

    Where another size is wanted too, the same files are loaded once more: a predictor of
    Paddle Lite does not survive a second one. `resizable` says that a size which the
    program declares is only that of the export, and does not bind; `trial`
    is whether loading ends with a run on a blank picture, which files that have run at
    another size can do without.
    """

    files: ModelFiles
    input_size: Tuple[int, int]
    resizable: bool = False
    trial: bool = True


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

    def load(self, network: Network, options: EngineOptions) -> Engine: ...

    def library(self) -> ModuleType:
        """Imports the engine's library. Raises EngineError saying where it is to be had."""


Load = Callable[[Network], Engine]


def first_engine(options: EngineOptions, open_with: Callable[[Load], Opened]) -> Tuple[str, Opened]:
    """What `open_with` makes by the first of `options.engines` that serves it, with its name.

    All networks of a model are on one engine. Raises EngineError with the reasons when
    none of them can.
    """
    reasons = []
    for name in options.engines:
        try:
            return name, open_with(_loader(name, options))
        except EngineError as error:
            reasons.append(str(error))
    raise EngineError("; ".join(reasons))


def _loader(name: str, options: EngineOptions) -> Load:
    def load(network: Network) -> Engine:
        return _module(name).load(network, options)

    return load


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
