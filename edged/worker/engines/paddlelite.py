"""The Paddle Lite engine.

Paddle Lite answers a mistake with abort(), a crash or garbage, never with an
exception. So whatever reaches it has been checked here before: the file, the names,
the shapes and types of the inputs, the thread, and that numpy's writes arrive.
"""

from __future__ import annotations

import importlib
import os
import platform
from types import ModuleType
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np

from edged.errors import EngineError
from edged.registry import program
from edged.wire import EngineOptions
from edged.worker.engines import Array, Network, TensorInfo, convert, nb
from edged.worker.engines.inputs import (
    OwnThread,
    check_declared,
    check_feeds,
    check_finite,
    input_shapes,
)

_DTYPES = {"FP32": "float32", "INT32": "int32", "INT64": "int64"}


def load(network: Network, options: EngineOptions) -> PaddleLite:
    """Converts if need be (into the folder `options.cache`) and loads.

    To be called while the process has one thread. Raises EngineError.
    """
    lite = library()
    config = lite.MobileConfig()
    config.set_model_from_file(_nb_file(lite, network, options.cache))
    if hasattr(config, "set_threads"):  # builds for ARM only
        config.set_threads(options.threads)
    else:
        run_on_one_thread()
    if hasattr(config, "set_power_mode"):
        mode = f"LITE_POWER_{options.power_mode.upper()}"
        config.set_power_mode(getattr(lite.PowerMode, mode))
    return PaddleLite(lite.create_paddle_predictor(config), network)


def run_on_one_thread() -> None:
    """In this process, from its first run on. Whoever has set the variable keeps what it says.

    On x86 some operators wake a thread of OpenMP for each core, that spins and makes nothing
    faster: two workers on two cores ran PicoDet-XS 48 times a second where they do 69 times.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


class PaddleLite:
    """One predictor, for inputs of one shape each: it does not survive another."""

    def __init__(self, predictor: Any, network: Network) -> None:
        self._check_thread = OwnThread()
        self._predictor = predictor
        self._network = network
        self._outputs: List[str] = predictor.get_output_names()
        if not self._outputs:
            raise EngineError("the network has no outputs")
        names: List[str] = predictor.get_input_names()
        shapes = input_shapes(names, network)
        self._lent: Dict[str, Array] = {}
        self._inputs = [
            TensorInfo(name, shapes[name], _dtype(predictor.get_input(index), name))
            for index, name in enumerate(names)
        ]
        for index, info in enumerate(self._inputs):
            # A tensor takes its shape, type and memory from the first array; later ones
            # are written into that memory.
            predictor.get_input(index).from_numpy(np.zeros(info.shape, info.dtype))
            check_writes(predictor.get_input(index), info)

    @property
    def inputs(self) -> Sequence[TensorInfo]:
        return self._inputs

    @property
    def batch(self) -> int:
        """Two to eight lines of text in a run saved 3 to 9 % of the time, and took 1.6 to 8
        times the memory (x86-64).
        """
        return 1

    def memory(self, name: str) -> Array:
        names = [info.name for info in self._inputs]
        view: Array = self._predictor.get_input(names.index(name)).numpy()
        self._lent[name] = view
        return view

    def run(self, feeds: Mapping[str, Array]) -> List[Array]:
        """As `Engine.run` says. An input's shape and dtype are exactly as in `inputs`."""
        self._check_thread()
        check_feeds(self._inputs, feeds)
        for index, info in enumerate(self._inputs):
            if feeds[info.name] is not self._lent.pop(info.name, None):
                self._predictor.get_input(index).numpy()[...] = feeds[info.name]
        self._predictor.run()
        return [self._output(index) for index in range(len(self._outputs))]

    def _output(self, index: int) -> Array:
        # A copy: the tensor's own memory is written over by the next run.
        output = np.array(self._predictor.get_output(index).numpy())
        check_finite(self._outputs[index], output, self._network)
        return output


def check_writes(tensor: Any, info: TensorInfo) -> None:
    """Raises EngineError unless what is written to an input tensor's view can be read back.

    With numpy 2 an array handed to Paddle Lite 2.13 does not arrive at all, silently.
    """
    probe = np.arange(np.prod(info.shape)).reshape(info.shape).astype(info.dtype)
    view = tensor.numpy()
    arrived = view.shape == info.shape and view.dtype == info.dtype
    if arrived:
        view[...] = probe
        arrived = np.array_equal(tensor.numpy(), probe)
    if not arrived:
        raise EngineError(
            f"what numpy {np.__version__} writes to input {info.name} does not arrive in"
            " Paddle Lite: install numpy<2"
        )


def library() -> ModuleType:
    """Paddle Lite. Raises EngineError saying where there are builds of it."""
    try:
        return importlib.import_module("paddlelite.lite")
    except Exception as error:  # a library that does not fit may raise anything
        raise EngineError(
            f"Paddle Lite is not usable in this Python {platform.python_version()} ({error}):"
            " there are wheels for CPython 3.8 and 3.10 on x86-64, on ARM the board's"
            " vendor has a build"
        ) from error


def _nb_file(lite: ModuleType, network: Network, cache: str) -> str:
    """The path of the network as an `.nb` that this machine can run."""
    files = network.files
    if files.kind == "nb":
        nb.check(files.model)
        return files.model
    described = program.of(files)
    check_declared(described.inputs, network)
    return convert.to_nb(lite, files, described.params, cache)


def _dtype(tensor: Any, name: str) -> str:
    precision: str = tensor.precision().name
    if precision not in _DTYPES:
        raise EngineError(f"input {name} of the network takes {precision}, which is not served")
    return _DTYPES[precision]
