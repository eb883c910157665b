"""What is done with one picture, in three ways: naive, limit, and edged's own.

Imported by whoever runs a network, so it needs Paddle Lite.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Protocol, Tuple

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
from paddlelite import lite

from edged.registry.spec import ModelSpec, Normalize, Resize
from edged.worker import decode as edged_decode
from edged.worker.engines import Network, TensorInfo, mkl, paddlelite
from edged.worker.engines.inputs import input_shapes
from edged.worker.preprocess import Preprocess
from edged.worker.process import keep_freed_memory
from scripts.bench_parts.answers import Answer
from scripts.bench_parts.models import spec_of

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
"""(H, W, 3)."""

TOP = 5
_INTERP = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}
_DTYPES = {"FP32": "float32", "INT32": "int32", "INT64": "int64"}


class Function(Protocol):
    """Split in two so that a loop can decode the next picture while it infers."""

    def decode(self, jpeg: bytes) -> Pixels: ...

    def infer(self, picture: Pixels) -> Answer: ...


def _predictor(spec: ModelSpec) -> Any:
    config = lite.MobileConfig()
    config.set_model_from_file(spec.files.model)
    return lite.create_paddle_predictor(config)


def _as_a_worker() -> None:
    """What edged sets for its workers."""
    keep_freed_memory()
    mkl.prefer_avx2()
    paddlelite.run_on_one_thread()
    cv2.setNumThreads(1)


def _steps(spec: ModelSpec) -> Tuple[Resize, Normalize]:
    """The models here have these two."""
    resize, normalize = spec.preprocess
    assert isinstance(resize, Resize)
    assert isinstance(normalize, Normalize)
    return resize, normalize


def _answer(spec: ModelSpec, output: Floats, width: int, height: int) -> Answer:
    """`width` and `height` are the picture's: boxes end where it does."""
    if spec.task == "classification":
        logits = output.reshape(-1)
        powers = np.exp(logits - logits.max())
        probabilities = powers / powers.sum()
        best = np.argsort(-probabilities)[:TOP]
        return [[int(index), float(probabilities[index])] for index in best]
    kept = output[output[:, 1] >= spec.threshold]
    kept[:, 2:] = kept[:, 2:].clip(0, (width, height, width, height))
    rows: Answer = kept[np.argsort(-kept[:, 1])].tolist()
    return rows


class Naive:
    """The loop people write."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._predictor = _predictor(spec)
        self._names: List[str] = self._predictor.get_input_names()
        self._resize, normalize = _steps(spec)
        self._scale = np.float32(normalize.scale)
        self._mean = np.array(normalize.mean, np.float32)
        self._std = np.array(normalize.std, np.float32)

    def decode(self, jpeg: bytes) -> Pixels:
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)

    def infer(self, picture: Pixels) -> Answer:
        height, width = picture.shape[:2]
        step = self._resize
        small = cv2.resize(picture, (step.width, step.height), interpolation=_INTERP[step.interp])
        pixels = (small.astype(np.float32) * self._scale - self._mean) / self._std
        chw = np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])
        told = {
            "scale_factor": [step.height / height, step.width / width],
            "im_shape": [step.height, step.width],
        }
        for index, name in enumerate(self._names):
            feed = np.array([told[name]], np.float32) if name in told else chw
            self._predictor.get_input(index).from_numpy(feed)
        self._predictor.run()
        return _answer(self._spec, self._predictor.get_output(0).numpy(), width, height)


class Limit:
    """Every trick known, and no server: freed memory kept, no threads of cv2 and of OpenMP where
    each core has a process, libjpeg-turbo by simplejpeg, pixels that stay in the caches, no swap
    of a large picture, normalising in one pass, straight into the network's memory, MKL's AVX2
    on every processor that has it.
    """

    def __init__(self, spec: ModelSpec) -> None:
        _as_a_worker()
        self._spec = spec
        self._predictor = _predictor(spec)
        self._names: List[str] = self._predictor.get_input_names()
        self._resize, normalize = _steps(spec)
        step = self._resize
        self._params = cv2.dnn.Image2BlobParams()
        self._params.mean = (*(mean / normalize.scale for mean in normalize.mean), 0.0)
        self._params.scalefactor = (*(normalize.scale / std for std in normalize.std), 1.0)
        self._params.swapRB = normalize.color == "RGB"
        shapes = input_shapes(self._names, Network(spec.files, (step.width, step.height)))
        for index, name in enumerate(self._names):
            self._predictor.get_input(index).from_numpy(np.zeros(shapes[name], np.float32))

    def decode(self, jpeg: bytes) -> Pixels:
        height, width, _, _ = simplejpeg.decode_jpeg_header(jpeg)
        memory = edged_decode.pixel_memory(width, height)
        picture: Pixels = simplejpeg.decode_jpeg(jpeg, colorspace="BGR", buffer=memory)
        return picture

    def infer(self, picture: Pixels) -> Answer:
        height, width = picture.shape[:2]
        step = self._resize
        small = cv2.resize(picture, (step.width, step.height), interpolation=_INTERP[step.interp])
        for index, name in enumerate(self._names):
            view = self._predictor.get_input(index).numpy()
            if name == "scale_factor":
                view[...] = (step.height / height, step.width / width)
            elif name == "im_shape":
                view[...] = (step.height, step.width)
            else:
                cv2.dnn.blobFromImageWithParams(small, view, self._params)
        self._predictor.run()
        return _answer(self._spec, self._predictor.get_output(0).numpy(), width, height)


class Own:
    """edged's decode and preprocess, as its worker uses them, for the inside of a peer."""

    def __init__(self, spec: ModelSpec) -> None:
        _as_a_worker()
        self._spec = spec
        self._predictor = _predictor(spec)
        names: List[str] = self._predictor.get_input_names()
        shapes = input_shapes(names, Network(spec.files, spec.fixed_size))
        self._inputs: Dict[str, Any] = {}
        infos = []
        for index, name in enumerate(names):
            tensor = self._predictor.get_input(index)
            info = TensorInfo(name, shapes[name], _DTYPES[tensor.precision().name])
            tensor.from_numpy(np.zeros(info.shape, info.dtype))
            infos.append(info)
            self._inputs[name] = tensor
        self._preprocess = Preprocess(spec, infos)

    def decode(self, jpeg: bytes) -> Pixels:
        return edged_decode.decode(jpeg)

    def infer(self, picture: Pixels) -> Answer:
        height, width = picture.shape[:2]
        for name, feed in self._preprocess(picture).items():
            self._inputs[name].numpy()[...] = feed
        self._predictor.run()
        return _answer(self._spec, self._predictor.get_output(0).numpy(), width, height)


FUNCTIONS: Dict[str, Callable[[ModelSpec], Function]] = {
    "naive": Naive,
    "limit": Limit,
    "edged": Own,
}


def make(name: str, folder: Path) -> Function:
    return FUNCTIONS[name](spec_of(folder))


class Whole:
    """What a peer calls: a JPEG in, the answer out."""

    def __init__(self, function: Function) -> None:
        self._function = function

    def __call__(self, jpeg: bytes) -> Answer:
        return self._function.infer(self._function.decode(jpeg))


def of_environment() -> Whole:
    """The function and the model that the benchmark names to a peer."""
    return Whole(make(os.environ["BENCH_FUNCTION"], Path(os.environ["BENCH_MODEL"])))
