"""Photographs that ship inside the wheels of scikit-image, scikit-learn, SciPy and Matplotlib."""

import bz2
from functools import lru_cache
from importlib.resources import files
from typing import List, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

# Split by photograph: nothing of a held-out one is seen in training.
TRAIN = (
    "skimage/data/astronaut.png",
    "skimage/data/motorcycle_left.png",
    "skimage/data/rocket.jpg",
    "skimage/data/camera.png",
    "skimage/data/brick.png",
    "skimage/data/grass.png",
    "skimage/data/gravel.png",
    "skimage/data/coins.png",
    "sklearn/datasets/images/china.jpg",
    "sklearn/datasets/images/flower.jpg",
    "scipy/misc/face.dat",
)
HELD_OUT = (
    "skimage/data/coffee.png",
    "skimage/data/chelsea.png",
    "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
)
# Grain all over: with noise on top nobody could tell.
TEXTURES = ("skimage/data/brick.png", "skimage/data/grass.png", "skimage/data/gravel.png")
# Letters that nobody marked are on these.
LETTERED = ("skimage/data/astronaut.png", "matplotlib/mpl-data/sample_data/grace_hopper.jpg")
RACCOON_SHAPE = (768, 1024, 3)


def load(path: str) -> Picture:
    """One photograph as BGR [h,w,3], named by its path among the installed packages."""
    package, _, inside = path.partition("/")
    data = (files(package) / inside).read_bytes()
    if path.endswith(".dat"):
        # SciPy keeps its raccoon as packed pixels, and its own loader may go to the network.
        rgb = np.frombuffer(bz2.decompress(data), np.uint8).reshape(RACCOON_SHAPE)
        return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8)
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


@lru_cache(maxsize=4)
def load_all(paths: Tuple[str, ...]) -> List[Picture]:
    return [load(path) for path in paths]
