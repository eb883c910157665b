"""A printed line of text as a mask, with where its letters are."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Tuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from . import fonts, wording
from .glyphs import Floats
from .writing import Rng

_ROOM = 4  # pixels of air around a mask


@dataclass(frozen=True)
class Line:
    """`mask` is [h,w], how much of a pixel is ink.

    `box` (x1, y1, x2, y2), in pixels of the mask, is as wide as the ink and as high as the font's
    tallest and deepest letters, whether the line has any: so a line's letters tell its size. A
    bracket that is higher still counts. `centres` [n] is the middle of each character in x.
    """

    text: str
    mask: Floats
    box: Tuple[float, float, float, float]
    centres: Floats


@lru_cache(maxsize=8192)
def _heights(path: str, size: int) -> Tuple[int, int]:
    """Of the tallest letters and of the deepest, from the baseline; up is less."""
    font = fonts.at(path, size)
    return int(font.getbbox("dlH", anchor="ls")[1]), int(font.getbbox("gpqy", anchor="ls")[3])


SIZES = (9, 10, 11, 12, 14, 16, 18, 21, 24, 28, 33, 39, 46, 54, 64, 76)
"""Pixels to the em; few, so that fonts are opened once."""


def pick_font(rng: Rng, held_out: bool) -> str:
    among = fonts.families(held_out)
    files = among[rng.integers(len(among))].files
    return files[rng.integers(len(files))]


def typeset(text: str, path: str, size: int, tracking: float = 0.0) -> Line:
    """`size` in pixels to the em; `tracking`, in em, is set between letters."""
    font = fonts.at(path, size)
    top, bottom = _heights(path, size)
    ends = np.array([font.getlength(text[:i]) for i in range(len(text) + 1)])
    ends += np.arange(len(ends)) * tracking * size
    left, baseline = _ROOM + size // 2, _ROOM + size // 3 - min(top, -size)
    image = Image.new("L", (int(ends[-1]) + 2 * left, baseline + size // 2 + bottom + _ROOM))
    draw = ImageDraw.Draw(image)
    if tracking:
        for letter, start in zip(text, ends):
            draw.text((left + start, baseline), letter, 255, font, anchor="ls")
    else:
        draw.text((left, baseline), text, 255, font, anchor="ls")
    mask = np.asarray(image, np.float32) / 255
    least = min(0.2, float(mask.max()) / 2)  # a small dot of a thin font is grey all over
    (columns,), (rows,) = (np.nonzero(mask.max(axis=axis) > least) for axis in (0, 1))
    box = (
        float(columns[0]),
        float(min(rows[0], baseline + top)),
        float(columns[-1] + 1),
        float(max(rows[-1] + 1, baseline + bottom)),
    )
    return Line(text, mask, box, ((ends[:-1] + ends[1:]) / 2 + left).astype(np.float32))


def random_line(rng: Rng, path: str, size: int, longest: int = wording.LONGEST) -> Line:
    tracking = float(rng.uniform(-0.03, 0.25)) if rng.random() < 0.2 else 0.0
    return typeset(wording.line(rng, longest), path, size, tracking)


def contrasting(rng: Rng, ground: NDArray[np.float32]) -> Floats:
    """An ink (BGR) that can be told from the ground [n,3], at times barely."""
    mean = ground.mean(axis=0)
    spread = float(ground.std(axis=0).mean())
    least = min(60.0 + 1.5 * spread, 130.0)
    for _ in range(20):
        ink = rng.uniform(0, 255, 3) if rng.random() < 0.4 else np.full(3, rng.uniform(0, 255))
        if rng.random() < 0.3:
            ink = np.full(3, rng.uniform(0, 60)) if mean.mean() > 127 else np.full(3, 245.0)
        if abs(float((ink - mean) @ np.array([0.114, 0.587, 0.299]))) > least:
            return ink.astype(np.float32)
    return np.full(3, 0.0 if mean.mean() > 127 else 255.0, np.float32)
