"""From pictures to a network's input."""

from typing import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # RGB
STD = np.array([0.229, 0.224, 0.225], np.float32)
SCALE = 1 / 255.0


def normalised(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """BGR pictures of one size to [n,3,h,w] in RGB, as model.yaml's normalize asks for."""
    rgb = cv2.dnn.blobFromImages(pictures, SCALE, swapRB=True)
    return np.asarray((rgb - MEAN[:, None, None]) / STD[:, None, None], np.float32)
