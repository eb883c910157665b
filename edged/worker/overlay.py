"""Masks drawn translucently, so that what is under them can still be seen."""

from __future__ import annotations

from typing import Optional, Tuple

import cv2
import numpy as np

from edged.results import Result
from edged.worker.rle import decode
from edged.worker.style import Picture, Sizes, class_color

_SHARE = 0.45  # of the color: of less, pale ones vanish on a bright picture


def draw_mask(picture: Picture, result: Result, sizes: Sizes) -> Optional[Tuple[int, int]]:
    """Tints the pixels of `extended.mask` and outlines them, in place.

    Returns x, y of the highest point of its largest part; None where the result has no
    mask of the picture's size, or an empty one.
    """
    code = result.extended.get("mask")
    if code is None or code["size"] != list(picture.shape[:2]):
        return None
    mask = decode(code["counts"], *picture.shape[:2]).view(np.uint8)
    left, top, width, height = cv2.boundingRect(mask)
    if not width:
        return None
    part = np.s_[top : top + height, left : left + width]
    under, inside = picture[part], mask[part]
    color = np.full_like(under, class_color(result.index))
    tinted = cv2.addWeighted(under, 1 - _SHARE, color, _SHARE, 0)
    np.copyto(under, tinted, where=inside.view(np.bool_)[:, :, None])
    # With those of its holes.
    outlines, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(picture, outlines, -1, class_color(result.index), sizes.line)
    x, y = min(max(outlines, key=cv2.contourArea)[:, 0].tolist(), key=lambda point: point[1])
    return x, y
