"""The engines: each a module with `load`, named once in `load_engine`."""

from __future__ import annotations

from contextlib import suppress
from typing import Dict, List, Sequence

import numpy as np
import numpy.typing as npt
from typing_extensions import Protocol

from edged.registry.spec import ModelSpec
from edged.wire import TensorInfo

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


def load_engine(spec: ModelSpec, cache: str, threads: int) -> Engine:
    """Raises EngineError, with the reason, when the network cannot be served here."""
    from edged.worker.engines import paddlelite

    return paddlelite.load(spec, cache, threads)


def warm() -> None:
    """Imports the libraries of the engines once, in the process that workers are forked from."""
    with suppress(ImportError):
        import paddlelite.lite  # noqa: F401
