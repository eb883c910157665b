"""Pixels to the network's inputs, by the steps of a ModelSpec."""

from __future__ import annotations

from typing import Dict, Sequence, Tuple

import cv2
import numpy as np

from edged.errors import BadImage, EngineError, ImageTooLarge
from edged.registry.spec import AnyStep, CenterCrop, ModelSpec, Normalize, Resize, ResizeShort
from edged.wire import TensorInfo
from edged.worker.decode import Picture
from edged.worker.engines import Array

_INTERP = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}

# A strip of 16,384 x 1 pixels with its short side at 256 would fill 3 GB.
_MOST_PIXELS = 1 << 25

# PaddleDetection's inputs beside the picture, by name.
_SCALE_FACTOR, _IM_SHAPE = "scale_factor", "im_shape"


class Preprocess:
    """Made once for a model; a call turns one picture into its named inputs."""

    def __init__(self, spec: ModelSpec, inputs: Sequence[TensorInfo]) -> None:
        names = [tensor.name for tensor in inputs]
        images = [name for name in names if name not in (_SCALE_FACTOR, _IM_SHAPE)]
        if len(images) != 1:
            raise EngineError(f"of the inputs {names} it is not clear which is the picture")
        self._image = images[0]
        self._wants = frozenset(names)
        normalize = [step for step in spec.preprocess if isinstance(step, Normalize)]
        self._geometry = [step for step in spec.preprocess if not isinstance(step, Normalize)]
        self._blob = _blob_params(normalize[0] if normalize else Normalize())

    def __call__(self, picture: Picture) -> Dict[str, Array]:
        """`picture` is BGR (H, W, 3); the picture input comes out float32 NCHW."""
        height, width = picture.shape[:2]
        for step in self._geometry:
            picture = _apply(step, picture)
        feeds: Dict[str, Array] = {
            self._image: cv2.dnn.blobFromImageWithParams(picture, self._blob)
        }
        new_height, new_width = picture.shape[:2]
        if _SCALE_FACTOR in self._wants:
            scale = [[new_height / height, new_width / width]]
            feeds[_SCALE_FACTOR] = np.array(scale, np.float32)
        if _IM_SHAPE in self._wants:
            feeds[_IM_SHAPE] = np.array([[new_height, new_width]], np.float32)
        return feeds


def _blob_params(step: Normalize) -> cv2.dnn.Image2BlobParams:
    """(x * scale - mean) / std as cv2 writes it, (x - mean / scale) * (scale / std).

    cv2 takes mean and factor in the order of the blob's channels, after the swap.
    """
    params = cv2.dnn.Image2BlobParams()
    params.mean = (*(mean / step.scale for mean in step.mean), 0.0)
    params.scalefactor = (*(step.scale / std for std in step.std), 1.0)
    params.swapRB = step.color == "RGB"
    return params


def _apply(step: AnyStep, picture: Picture) -> Picture:
    if isinstance(step, Resize):
        return _resize(picture, (step.width, step.height), step.interp)
    if isinstance(step, ResizeShort):
        height, width = picture.shape[:2]
        ratio = step.size / min(height, width)
        size = round(width * ratio), round(height * ratio)
        if size[0] * size[1] > _MOST_PIXELS:
            raise ImageTooLarge(f"the image is too narrow for this model: {width} x {height}")
        return _resize(picture, size, step.interp)
    if isinstance(step, CenterCrop):
        height, width = picture.shape[:2]
        top, left = (height - step.height) // 2, (width - step.width) // 2
        if top < 0 or left < 0:
            raise BadImage(f"the image is smaller than the model's {step.width} x {step.height}")
        return picture[top : top + step.height, left : left + step.width]
    raise TypeError(step)


def _resize(picture: Picture, size: Tuple[int, int], interp: str) -> Picture:
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    resized = cv2.resize(picture, size, interpolation=_INTERP[interp])
    return resized.astype(np.uint8, copy=False)
