"""What boxes and panels share: sizes, colours, and names put into the room there is.

All sizes are in proportion to the picture, down to a floor that can still be read.
"""

from __future__ import annotations

import colorsys
import math
from functools import lru_cache
from typing import List, NamedTuple, Tuple

import numpy as np
from numpy.typing import NDArray

from edged.worker.fonts import Caption, Mask, ink

Picture = NDArray[np.uint8]
Color = Tuple[int, int, int]

_WHITE: Color = (255, 255, 255)
_BLACK: Color = (0, 0, 0)
_GOLDEN = 0.6180339887498949
# Hues of classes 8, 13, 21… apart nearly meet; four kinds of colour in turn part them.
# These four, of many tried, keep the first twenty classes furthest apart to the eye.
_SATURATION_VALUE = ((0.95, 1.0), (0.55, 1.0), (0.75, 0.8), (0.75, 0.72))
_DOTS = "..."


class Sizes(NamedTuple):
    """Pixels: width of a box's line, height of a line of text, space beside it."""

    line: int
    text: int
    pad: int


def sizes_for(width: int, height: int) -> Sizes:
    """Sizes for a picture of `width` x `height` pixels."""
    side = math.sqrt(width * height)
    short = min(width, height)
    text = max(round(0.022 * side), 18)
    # In a small picture legibility gives way to seeing what is in it.
    text = min(text, max(short // 6, 11))
    return Sizes(line=max(round(0.003 * side), 1), text=text, pad=max(text // 5, 2))


@lru_cache(maxsize=1024)
def class_color(index: int) -> Color:
    """BGR of a class: the same in every picture, far in hue from the classes beside it."""
    saturation, value = _SATURATION_VALUE[index % len(_SATURATION_VALUE)]
    rgb = colorsys.hsv_to_rgb((index + 1) * _GOLDEN % 1.0, saturation, value)
    red, green, blue = (round(255 * part) for part in rgb)
    return blue, green, red


def text_color(background: Color) -> Color:
    """Black or white, whichever has more contrast (by WCAG; at least 4.5 to 1)."""
    blue, green, red = (_linear(part) for part in background)
    luminance = 0.0722 * blue + 0.7152 * green + 0.2126 * red
    return _BLACK if (luminance + 0.05) ** 2 > 1.05 * 0.05 else _WHITE


def _linear(part: int) -> float:
    share = part / 255
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


@lru_cache(maxsize=1024)
def ramp(background: Color) -> Picture:
    """(256, 1, 3): from the background's color to its text's, by how much ink there is."""
    share = np.linspace(0, 1, 256)[:, None, None]
    back, text = np.array(background), np.array(text_color(background))
    return np.asarray(np.rint(back + share * (text - back)), np.uint8)


def name_masks(written: Caption, height: int, room: int) -> List[Mask]:
    """The name in at most `room` pixels, shortened if need be, [] if that leaves nothing."""
    name, face = written.name, written.face
    if face.width(name, height) <= room:
        return [ink(face, name, height)]
    room -= written.ascii_face.width(_DOTS, height)
    low, high = 0, len(name)
    while low < high:  # the longest beginning that fits
        middle = (low + high + 1) // 2
        if face.width(name[:middle], height) <= room:
            low = middle
        else:
            high = middle - 1
    kept = name[:low].rstrip()
    if not kept:
        return []
    return [ink(face, kept, height), ink(written.ascii_face, _DOTS, height)]
