"""Pixels to the network's inputs, by the steps of a ModelSpec."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence, Tuple

import cv2
import numpy as np
import numpy.typing as npt

from edged.errors import EngineError
from edged.registry.spec import (
    CenterCrop,
    ModelSpec,
    Normalize,
    Pad,
    ResizeFit,
    Resizing,
    ToFloat,
)
from edged.worker.decode import Picture
from edged.worker.engines import Array, TensorInfo
from edged.worker.engines.inputs import picture_input
from edged.worker.geometry import offset, place, resized

_INTERP = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}

_PILLOW = "pillow_"

Size = Tuple[int, int]
"""(width, height) in pixels."""

_Pixels = npt.NDArray[Any]
"""BGR, (H, W, 3), uint8, or float32 after ToFloat."""


class Preprocess:
    """Made once for a model (EngineError where its network takes no floats); a call turns one
    picture into its named inputs.

    `image` is the name of the one that gets the picture.
    """

    def __init__(self, spec: ModelSpec, inputs: Sequence[TensorInfo]) -> None:
        self.image = picture_input([tensor.name for tensor in inputs])
        self._dtypes = {tensor.name: tensor.dtype for tensor in inputs}
        if self._dtypes[self.image] != "float32":
            raise EngineError(f"input {self.image} takes {self._dtypes[self.image]}, not float32")
        normalize = [step for step in spec.preprocess if isinstance(step, Normalize)]
        self._geometry = [step for step in spec.preprocess if not isinstance(step, Normalize)]
        self._normalize = normalize[0] if normalize else Normalize()
        self._blob = _blob_params(self._normalize)

    def __call__(
        self, picture: Picture, size: Optional[Size] = None, into: Optional[npt.NDArray[Any]] = None
    ) -> Dict[str, Array]:
        """`picture` is BGR (H, W, 3); the picture input comes out float32 NCHW.

        `size` is the (width, height) of the whole picture where this is a reduction of it.
        The picture input is written `into` an array of its shape, if there is one.

        `scale_factor` [[y, x]] and `im_shape` [[h, w]] tell of the resized picture,
        without what a pad adds to it; `im_size` [[h, w]] of the picture as it came.
        """
        width, height = size or (picture.shape[1], picture.shape[0])
        feeds: Dict[str, Array] = {self.image: self._picture_input(picture, (width, height), into)}
        if len(self._dtypes) > 1:
            self._tell_sizes(feeds, width, height)
        return feeds

    def _tell_sizes(self, feeds: Dict[str, Array], width: int, height: int) -> None:
        placement = place(self._geometry, width, height)
        told = {
            "scale_factor": (placement.scale_y, placement.scale_x),
            "im_shape": (placement.resized[1], placement.resized[0]),
            "im_size": (height, width),
        }
        for name, dtype in self._dtypes.items():
            if name != self.image:
                feeds[name] = np.array([told[name]], dtype)

    def _picture_input(
        self, picture: Picture, size: Size, into: Optional[npt.NDArray[Any]]
    ) -> Array:
        """`size` is the whole picture's, that the first resizing goes by."""
        pixels: _Pixels = picture
        exact = False
        for step in self._geometry:
            if isinstance(step, ToFloat):
                exact = True
            elif isinstance(step, Pad):  # the last of them
                return self._padded(pixels, step, into)
            elif isinstance(step, CenterCrop):
                pixels = _crop(pixels, step)
            else:
                pixels = _resize(pixels, step, size, exact)
            size = pixels.shape[1], pixels.shape[0]
        blob: Array = cv2.dnn.blobFromImageWithParams(pixels, into, self._blob)
        return blob

    def _padded(self, pixels: _Pixels, step: Pad, into: Optional[npt.NDArray[Any]]) -> Array:
        """Pads after normalising: a value that 8 bits cannot hold stays exact."""
        height, width = pixels.shape[:2]
        left, top = offset(step, (width, height))
        norm = self._normalize
        shape = (1, 3, step.height, step.width)
        blob = np.empty(shape, np.float32) if into is None else into
        for channel, (value, mean, std) in enumerate(zip(step.value, norm.mean, norm.std)):
            blob[0, channel] = (value * norm.scale - mean) / std
        blob[:, :, top : top + height, left : left + width] = cv2.dnn.blobFromImageWithParams(
            pixels, self._blob
        )
        return blob


def _blob_params(step: Normalize) -> cv2.dnn.Image2BlobParams:
    """(x * scale - mean) / std as cv2 writes it, (x - mean / scale) * (scale / std).

    cv2 takes mean and factor in the order of the blob's channels, after the swap.
    """
    params = cv2.dnn.Image2BlobParams()
    params.mean = (*(mean / step.scale for mean in step.mean), 0.0)
    params.scalefactor = (*(step.scale / std for std in step.std), 1.0)
    params.swapRB = step.color == "RGB"
    return params


def _crop(pixels: _Pixels, step: CenterCrop) -> _Pixels:
    height, width = pixels.shape[:2]
    left, top = offset(step, (width, height))
    return pixels[-top : step.height - top, -left : step.width - left]


def _resize(pixels: _Pixels, step: Resizing, whole: Size, exact: bool) -> _Pixels:
    """`pixels` are those of a picture of the size `whole` (width, height), or of a reduction of
    it. `exact`: the outcome is float32, whatever came in.
    """
    if exact and pixels.dtype == np.uint8:
        # One channel at a time: a photo of 48 megapixels as floats would take 576 MB.
        channels = (cv2.extractChannel(pixels, index) for index in range(3))
        return cv2.merge([_resampled(one.astype(np.float32), step, whole) for one in channels])
    return _resampled(pixels, step, whole)


def _resampled(pixels: _Pixels, step: Resizing, whole: Size) -> _Pixels:
    height, width = pixels.shape[:2]
    size, (x, y) = resized(step, whole)
    x, y = x * whole[0] / width, y * whole[1] / height
    if size == (width, height) and (x, y) == (1.0, 1.0):
        return pixels
    if step.interp.startswith(_PILLOW):
        return _by_pillow(pixels, size, step.interp[len(_PILLOW) :].upper())
    interp = _INTERP[step.interp]
    at_ratio = isinstance(step, ResizeFit) and step.by == "factor"
    if at_ratio and min(width * x, height * y) >= 1:  # else cv2 leaves nothing
        return cv2.resize(pixels, None, fx=x, fy=y, interpolation=interp)
    return cv2.resize(pixels, size, interpolation=interp)


def _by_pillow(pixels: _Pixels, size: Tuple[int, int], filter_name: str) -> _Pixels:
    from PIL import Image  # few models want it

    if pixels.ndim == 3 and pixels.dtype != np.uint8:  # of floats it takes one channel only
        return cv2.merge([_by_pillow(plane, size, filter_name) for plane in cv2.split(pixels)])
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling[filter_name]))
