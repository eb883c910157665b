"""The engines: each a module with `load` and `library`, in a file of its name."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Callable, Dict, List, NamedTuple, Protocol, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from edged.registry.spec import ModelFiles
from edged.wire import EngineOptions
from edged.worker.engines import mkl

Array = npt.NDArray[np.generic]


class TensorInfo(NamedTuple):
    name: str
    shape: Tuple[int, ...]
    dtype: str


class Network(NamedTuple):
    """Files, and the one size (width, height) of the pictures they are loaded for.

    Where another size is wanted too, the same files are loaded once more: a predictor of
    Paddle Lite does not survive a second one. `resizable` says that a size which the
    program declares is only that of the export, and does not bind. `batch` is how many
    pictures a run may have at most, of a program whose only input they are. `rows` is
    whether an output of two dimensions lists things, of which the task drops those that
    are not finite.
    """

    files: ModelFiles
    input_size: Tuple[int, int]
    resizable: bool = False
    batch: int = 1
    rows: bool = False


class Engine(Protocol):
    """A loaded network. It is created and run on one thread."""

    @property
    def inputs(self) -> Sequence[TensorInfo]:
        """Their shapes are those of one picture."""

    @property
    def batch(self) -> int:
        """Pictures that a run takes at most: 1 where more of them gain nothing."""

    def memory(self, name: str) -> Array:
        """Of one input, uninitialised, its shape and dtype as in `inputs`: to be written, and
        handed to the next `run`. That saves new memory for each picture, and with Paddle Lite a
        copy of it.
        """

    def run(self, feeds: Dict[str, Array]) -> List[Array]:
        """Named inputs to outputs in the network's order; the arrays are the caller's own.

        Raises EngineError when `feeds` is not what the network takes (names, rank,
        shape, dtype) and BadOutput when an output is not finite, see `Network.rows`.
        """


class EngineModule(Protocol):
    """What a module of this folder that is named after its engine offers."""

    def load(self, network: Network, options: EngineOptions) -> Engine: ...

    def library(self) -> ModuleType:
        """Imports the engine's library. Raises EngineError saying where it is to be had."""


Load = Callable[[Network], Engine]


def loader(options: EngineOptions) -> Load:
    """How a task has its networks loaded: all of a model's on one engine."""

    def load(network: Network) -> Engine:
        return _module(options.engine).load(network, options)

    return load


def warm(name: str) -> None:
    """Imports an engine's library, in the process that workers are forked from.

    Raises EngineError.
    """
    _module(name).library()


def _module(name: str) -> EngineModule:
    """Imported when wanted: an engine's module imports this one for its types."""
    mkl.prefer_avx2()
    module: EngineModule = importlib.import_module(f"edged.worker.engines.{name}")
    return module
