"""Pictures into the shapes that the networks of an OCR model take."""

from __future__ import annotations

import math
from typing import Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edged.worker.decode import Picture
from edged.worker.ocr.db import Quad

Blob = NDArray[np.float32]
"""NCHW; one picture where nothing else is said."""
Size = Tuple[int, int]
"""(width, height) in pixels."""

_TALL = 1.5  # height to width from which a line is taken to be written upwards
_LONGEST_CROP = 16384

# Means and deviations are those of R, G, B, and PaddleOCR feeds them with B, G, R.
_PAGE = cv2.dnn.Image2BlobParams()
_PAGE.mean = (0.485 * 255, 0.456 * 255, 0.406 * 255, 0.0)
_PAGE.scalefactor = (1 / (0.229 * 255), 1 / (0.224 * 255), 1 / (0.225 * 255), 1.0)
_LINE = cv2.dnn.Image2BlobParams()
_LINE.mean = (127.5, 127.5, 127.5, 0.0)
_LINE.scalefactor = (1 / 127.5, 1 / 127.5, 1 / 127.5, 1.0)


def page_blob(picture: Picture, size: Size, canvas: Size) -> Blob:
    """The picture at `size` in the upper left of a canvas, of which the rest is 0."""
    return _blob(picture, size, canvas, _PAGE)


def line_blob(line: Picture, canvas: Size) -> Blob:
    """The line at the canvas's height on its left; one too wide is squeezed into it."""
    width = min(width_at(line, canvas[1]), canvas[0])
    return _blob(line, (width, canvas[1]), canvas, _LINE)


def width_at(line: Picture, height: int) -> int:
    """Pixels that a line takes when it is brought to `height`."""
    width: int = math.ceil(height * line.shape[1] / line.shape[0])
    return width


def _blob(picture: Picture, size: Size, canvas: Size, params: cv2.dnn.Image2BlobParams) -> Blob:
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    blob = np.zeros((1, 3, canvas[1], canvas[0]), np.float32)
    blob[:, :, : size[1], : size[0]] = cv2.dnn.blobFromImageWithParams(resized, params)
    return blob


def cut_out(picture: Picture, quad: Quad) -> Tuple[Picture, bool]:
    """What is inside of the quad, straightened, and whether its letters stand upright in it.

    Its sides are as long as the quad's. A line that is tall comes out turned by 90
    degrees counter-clockwise.
    """
    width, height = _size(quad)
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    transform = cv2.getPerspectiveTransform(quad, target)
    line = cv2.warpPerspective(
        picture,
        transform,
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if height < _TALL * width:
        return line.astype(np.uint8, copy=False), True
    turned = cv2.rotate(line, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return turned.astype(np.uint8, copy=False), False


def elongation(quad: Quad) -> float:
    """The longer side of what is cut out, by the shorter one."""
    width, height = _size(quad)
    return max(width / height, height / width)


def _size(quad: Quad) -> Size:
    upper_left, upper_right, lower_right, lower_left = quad
    width = max(_length(upper_left, upper_right), _length(lower_left, lower_right))
    height = max(_length(upper_left, lower_left), _length(upper_right, lower_right))
    return _side(width), _side(height)


def _length(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(one - other))


def _side(length: float) -> int:
    return min(max(1, int(length)), _LONGEST_CROP)
