"""The Paddle Lite engine.

Paddle Lite answers a mistake with abort(), a crash or garbage, never with an
exception. So whatever reaches it has been checked here before: the file, the names,
the shapes and types of the inputs, the thread, and that numpy's writes arrive.
"""

from __future__ import annotations

import importlib
import platform
import threading
from types import ModuleType
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from edged.errors import BadOutput, EngineError
from edged.registry.spec import ModelSpec
from edged.wire import TensorInfo
from edged.worker.engines import Array, convert, nb, program

_DTYPES = {"FP32": "float32", "INT32": "int32", "INT64": "int64"}
_Shapes = Dict[str, Tuple[int, ...]]


def load(spec: ModelSpec, cache: str, threads: int) -> PaddleLite:
    """Converts if need be (into the folder `cache`), loads, and runs once.

    To be called while the process has one thread. Raises EngineError.
    """
    lite = _library()
    config = lite.MobileConfig()
    config.set_model_from_file(_nb_file(lite, spec, cache))
    if hasattr(config, "set_threads"):  # builds for ARM only
        config.set_threads(threads)
    engine = PaddleLite(lite.create_paddle_predictor(config), spec)
    engine.try_out()
    return engine


class PaddleLite:
    """One predictor, for inputs of one shape each: it does not survive another."""

    def __init__(self, predictor: Any, spec: ModelSpec) -> None:
        self._thread = threading.get_ident()
        self._predictor = predictor
        self._outputs: List[str] = predictor.get_output_names()
        if not self._outputs:
            raise EngineError("the network has no outputs")
        names: List[str] = predictor.get_input_names()
        shapes = _input_shapes(names, spec)
        self._inputs = [
            TensorInfo(name, shapes[name], _dtype(predictor.get_input(index), name))
            for index, name in enumerate(names)
        ]
        self._image = next(name for name in names if len(shapes[name]) == 4)
        for index, info in enumerate(self._inputs):
            # A tensor takes its shape, type and memory from the first array; later ones
            # are written into that memory.
            predictor.get_input(index).from_numpy(np.zeros(info.shape, info.dtype))
            check_writes(predictor.get_input(index), info)

    @property
    def inputs(self) -> Sequence[TensorInfo]:
        return self._inputs

    def run(self, feeds: Mapping[str, Array]) -> List[Array]:
        """As `Engine.run` says. An input's shape and dtype are exactly as in `inputs`."""
        if threading.get_ident() != self._thread:
            raise EngineError("the network runs on the thread that loaded it, and on no other")
        self._check(feeds)
        for index, info in enumerate(self._inputs):
            self._predictor.get_input(index).numpy()[...] = feeds[info.name]
        self._predictor.run()
        return [self._output(index) for index in range(len(self._outputs))]

    def try_out(self) -> None:
        """Runs on a blank picture, so that a network that cannot run is known at once.

        A blank one is no picture a camera sends, and a network may well divide by its
        contrast: one that answers NaN gets a second chance on noise. Raises EngineError.
        """
        try:
            self.run(self._trial(noise=False))
        except BadOutput:
            try:
                self.run(self._trial(noise=True))
            except BadOutput as error:
                raise EngineError(f"{error}, for a blank picture and for noise") from error

    def _trial(self, noise: bool) -> Dict[str, Array]:
        feeds: Dict[str, Array] = {}
        for info in self._inputs:
            feeds[info.name] = np.ones(info.shape, info.dtype)
        image = feeds[self._image]
        feeds[self._image] = np.zeros_like(image)
        if noise:
            values = np.random.default_rng(0).standard_normal(image.shape)
            feeds[self._image] = values.astype(image.dtype)
        if "im_shape" in feeds:
            feeds["im_shape"][...] = image.shape[2:]
        return feeds

    def _check(self, feeds: Mapping[str, object]) -> None:
        wanted = {info.name for info in self._inputs}
        if wanted != set(feeds):
            raise EngineError(f"the network takes {sorted(wanted)}, not {sorted(feeds)}")
        for info in self._inputs:
            array = feeds[info.name]
            # Other types convert into garbage, None included, which numpy would take for NaN.
            if not isinstance(array, np.ndarray) or array.dtype != info.dtype:
                got = getattr(array, "dtype", type(array).__name__)
                raise EngineError(f"input {info.name} takes {info.dtype}, not {got}")
            if array.shape != info.shape:
                raise EngineError(
                    f"input {info.name} takes the shape {list(info.shape)}, not {list(array.shape)}"
                )

    def _output(self, index: int) -> Array:
        # A copy: the tensor's own memory is written over by the next run.
        output = np.array(self._predictor.get_output(index).numpy())
        if np.issubdtype(output.dtype, np.floating) and not np.isfinite(output).all():
            raise BadOutput(f"output {self._outputs[index]} has values that are NaN or infinite")
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


def _library() -> ModuleType:
    """Paddle Lite. Raises EngineError saying where there are builds of it."""
    try:
        return importlib.import_module("paddlelite.lite")
    except ImportError as error:
        raise EngineError(
            f"Paddle Lite is not usable in this Python {platform.python_version()} ({error}):"
            " there are wheels for CPython 3.8 and 3.10 on x86-64, on ARM the board's"
            " vendor has a build"
        ) from error


def _nb_file(lite: ModuleType, spec: ModelSpec, cache: str) -> str:
    """The path of the network as an `.nb` that this machine can run."""
    files = spec.files
    if files.kind == "nb":
        nb.check(files.model)
        return files.model
    separate = files.kind == "separate"
    network = program.read(f"{files.model}/__model__" if separate else files.model)
    _check_declared(network.inputs, _input_shapes(list(network.inputs), spec))
    return convert.to_nb(lite, files, network.params, cache)


def _input_shapes(names: Sequence[str], spec: ModelSpec) -> _Shapes:
    """The shape each input gets: two have their names, the other one is the picture."""
    width, height = spec.input_size
    known: _Shapes = {"scale_factor": (1, 2), "im_shape": (1, 2)}
    pictures = [name for name in names if name not in known]
    if len(pictures) != 1:
        raise EngineError(
            f"of the network's inputs {', '.join(names)} one is to be the picture, besides"
            f" scale_factor and im_shape: not {' and '.join(pictures) or 'none'}"
        )
    known[pictures[0]] = (1, 3, height, width)
    return {name: known[name] for name in names}


def _check_declared(declared: Mapping[str, Tuple[int, ...]], shapes: _Shapes) -> None:
    for name, shape in shapes.items():
        fits = len(shape) == len(declared[name]) and all(
            made in (-1, given) for made, given in zip(declared[name], shape)
        )
        if not fits:
            raise EngineError(
                f"input {name} of the network is made for the shape {list(declared[name])},"
                f" the model's settings give it {list(shape)}"
            )


def _dtype(tensor: Any, name: str) -> str:
    precision: str = tensor.precision().name
    if precision not in _DTYPES:
        raise EngineError(f"input {name} of the network takes {precision}, which is not served")
    return _DTYPES[precision]
