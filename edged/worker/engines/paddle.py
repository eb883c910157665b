"""The Paddle Inference engine: the same model folders where Paddle Lite has no build.

Unlike Paddle Lite it reports what it does not like as an exception, copies its inputs
and outputs, and reads PIR programs (`inference.json`). It too holds the GIL in a run.
"""

from __future__ import annotations

import importlib
import platform
import re
import warnings
from types import ModuleType
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, TypeVar
from weakref import WeakValueDictionary

import numpy as np

from edged.errors import EngineError
from edged.registry import program
from edged.registry.spec import ModelFiles
from edged.wire import EngineOptions
from edged.worker.engines import Array, Network, TensorInfo
from edged.worker.engines.inputs import (
    OwnThread,
    check_declared,
    check_feeds,
    check_finite,
    input_shapes,
)

# What Paddle's enforce statements become in Python (phi/core/enforce.h, by category).
_ENFORCED = (RuntimeError, ValueError, IndexError, NotImplementedError, OSError, SystemError)
_CATEGORY = re.compile(r"\((\w+)\) (.+)")
_DTYPES = {"FLOAT32": "float32", "INT32": "int32", "INT64": "int64"}

Made = TypeVar("Made")

# The first engine of each network, while somebody has it or one that shares its weights.
_loaded: WeakValueDictionary[ModelFiles, Paddle] = WeakValueDictionary()


def load(network: Network, options: EngineOptions) -> Paddle:
    """Loads the exported files as they are. Raises EngineError."""
    files = network.files
    if files.kind == "nb":
        raise EngineError("an .nb is for Paddle Lite only, the paddle engine takes the full model")
    inference = library()
    loaded = _loaded.get(files)
    if not files.is_pir:
        check_declared(program.of(files).inputs, network)
    if loaded is not None:
        return loaded.at_size(network)
    config = _config(inference, files, options)
    engine = _loaded[files] = Paddle(_enforced(inference.create_predictor, config), network)
    return engine


def _config(inference: ModuleType, files: ModelFiles, options: EngineOptions) -> Any:
    where = [files.model] if files.params is None else [files.model, files.params]
    config = _enforced(inference.Config, *where)
    config.disable_gpu()
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(options.threads)
    if not files.is_pir:  # of a PIR program it is refused, or for nothing
        config.enable_memory_optim()
    return config


class Paddle:
    """One predictor, for inputs of one shape each, or up to `batch` of it."""

    def __init__(self, predictor: Any, network: Network, weights: Optional[Paddle] = None) -> None:
        """`weights` is the engine whose weights it shares: they go when that one does."""
        self._predictor = predictor
        self._weights = weights
        self._network = network
        self._check_thread = OwnThread()
        self._memory: Dict[str, Array] = {}
        names: List[str] = predictor.get_input_names()
        shapes = input_shapes(names, network)
        self._handles = {name: predictor.get_input_handle(name) for name in names}
        self._inputs = [
            TensorInfo(name, shapes[name], _dtype(handle, name))
            for name, handle in self._handles.items()
        ]

    @property
    def inputs(self) -> Sequence[TensorInfo]:
        return self._inputs

    @property
    def batch(self) -> int:
        return self._network.batch

    def memory(self, name: str) -> Array:
        if name not in self._memory:
            (info,) = (info for info in self._inputs if info.name == name)
            self._memory[name] = np.empty(info.shape, info.dtype)
        return self._memory[name]

    def at_size(self, network: Network) -> Paddle:
        """The same files once more. PP-OCR's recognition is there in 3 ms, not in 200, and
        takes 14 MB less.
        """
        self._check_thread()
        return Paddle(_enforced(self._predictor.clone), network, weights=self)

    def run(self, feeds: Mapping[str, Array]) -> List[Array]:
        """As `Engine.run` says. An input's dtype is exactly as in `inputs`, its shape too but
        for the number of pictures.
        """
        self._check_thread()
        check_feeds(self._inputs, feeds, self._network.batch)
        for name, handle in self._handles.items():
            handle.copy_from_cpu(feeds[name])
        _enforced(self._predictor.run)
        outputs = []
        for name in self._predictor.get_output_names():
            output: Array = self._predictor.get_output_handle(name).copy_to_cpu()
            check_finite(name, output, self._network)
            outputs.append(output)
        return outputs


def _enforced(make: Callable[..., Made], *arguments: Any) -> Made:
    """What `make` gives. Raises EngineError with Paddle's own sentence, without its stack."""
    try:
        return make(*arguments)
    except _ENFORCED as error:
        found = _CATEGORY.search(str(error))
        words = found.group(2) if found else str(error).strip().partition("\n")[0]
        raise EngineError(f"Paddle Inference says: {words[:300]}") from error


def library() -> ModuleType:
    """Paddle Inference. Raises EngineError saying how to install it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is no compiler cache, for one
            return importlib.import_module("paddle.inference")
    except Exception as error:  # a library that does not fit may raise anything
        raise EngineError(
            f"Paddle Inference is not usable in this Python {platform.python_version()} ({error}):"
            " pip install 'edged[paddle]', which needs CPython 3.9 or later"
        ) from error


def _dtype(handle: Any, name: str) -> str:
    kind: str = handle.type().name
    if kind not in _DTYPES:
        raise EngineError(f"input {name} of the network takes {kind}, which is not served")
    return _DTYPES[kind]
