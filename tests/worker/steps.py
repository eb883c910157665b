"""What the tests of the preprocessing share: pictures, one call, and normalising in numpy."""

from __future__ import annotations

from typing import Any, Dict, Sequence

import numpy as np
from numpy.typing import NDArray

from edged.registry.formats.description import input_size
from edged.registry.spec import AnyStep, ModelFiles, ModelSpec, Normalize
from edged.worker.engines import TensorInfo
from edged.worker.preprocess import Preprocess

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]

SIZES = [(53, 37), (37, 53), (640, 480), (480, 640), (641, 479), (1001, 100), (99, 1000), (1, 1)]
"""(width, height)"""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORM = Normalize("RGB", 1 / 255, MEAN, STD)


def noise(width: int, height: int) -> Picture:
    """BGR, every pixel another: what is taken from the wrong place shows."""
    return np.random.default_rng(width).integers(0, 256, (height, width, 3)).astype(np.uint8)


def preprocess(steps: Sequence[AnyStep], *extra: TensorInfo, dtype: str = "float32") -> Preprocess:
    """For a network that takes the picture as `image`, and the inputs `extra`."""
    size = input_size(steps)
    spec = ModelSpec(
        mid=1,
        name="model",
        task="detection",
        exporter="test",
        folder="/",
        files=ModelFiles("nb", "/model.nb"),
        preprocess=tuple(steps),
        input_size=size,
    )
    return Preprocess(spec, [TensorInfo("image", (1, 3, size[1], size[0]), dtype), *extra])


def run(steps: Sequence[AnyStep], picture: Picture, *extra: TensorInfo) -> Dict[str, Any]:
    feeds = preprocess(steps, *extra)(picture)
    width, height = input_size(steps)
    assert feeds["image"].shape == (1, 3, height, width)
    assert feeds["image"].dtype == np.float32
    return feeds


def blob(steps: Sequence[AnyStep], picture: Picture) -> NDArray[np.float32]:
    """(3, H, W)"""
    image: NDArray[np.float32] = run(steps, picture)["image"][0]
    return image


def rgb(picture: NDArray[Any]) -> Floats:
    return np.asarray(picture[:, :, ::-1], np.float64)


def normalized(pixels: Floats, norm: Normalize = NORM) -> Floats:
    """(H, W, 3) in the order of `norm.color` to (3, H, W)."""
    planes = [
        (pixels[:, :, channel] * norm.scale - norm.mean[channel]) / norm.std[channel]
        for channel in range(3)
    ]
    return np.stack(planes)


def same(got: NDArray[Any], expected: NDArray[Any], tolerance: float = 1e-5) -> None:
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() < tolerance
