"""Text as masks of ink: cv2's own strokes for ASCII, a font of the machine otherwise.

A line of text is `height` pixels high whatever draws it: capitals are half of that
and stand on a baseline at three quarters of it, so that both kinds can share a line.
"""

from __future__ import annotations

import os
import unicodedata
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import TYPE_CHECKING, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

FONT_DIRS: Tuple[str, ...] = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
)
MAX_TEXT = 200  # characters; no frame shows more, and a label may be of any length

# The first of these that has a label's glyphs draws it: plain faces for letters,
# then those for Chinese from the best looking at small sizes down.
_PREFERRED = (
    "notosans-regular",
    "dejavusans.",
    "notosanscjk-regular",
    "notosanscjksc-regular",
    "notosanssc-regular",
    "sourcehansanssc-regular",
    "wqy-microhei",
    "droidsansfallback",
    "wqy-zenhei",
)
_LESS_LEGIBLE = ("bold", "italic", "oblique", "light", "thin", "black", "mono", "condense", "serif")
_MAX_FONTS = 200  # a label that no font has costs a look into each, 0.3 ms on a PC
_BASELINE = 0.75
_CAPITALS = 0.5
_CACHED_PIXELS = 1 << 16

Mask = NDArray[np.uint8]


class Face(ABC):
    """Something that draws lines of text."""

    @abstractmethod
    def has(self, text: str) -> bool:
        """Whether there is a glyph for every character that leaves ink."""

    @abstractmethod
    def width(self, text: str, height: int) -> int:
        """Pixels that `text` takes in a line `height` pixels high."""

    @abstractmethod
    def mask(self, text: str, height: int) -> Mask:
        """(height, width) of uint8, 255 where there is ink. Not to be written to."""


class Strokes(Face):
    """cv2's Hershey strokes. Draws ASCII and nothing else."""

    _FONT = cv2.FONT_HERSHEY_SIMPLEX
    _UNITS = 21  # height of its capitals at scale 1
    _WEIGHT = 0.13  # of a capital's height

    def has(self, text: str) -> bool:
        return text.isascii()

    def width(self, text: str, height: int) -> int:
        (width, _), _ = cv2.getTextSize(text, self._FONT, 16 * self._scale(height), 1)
        return int(np.ceil(width / 16)) + 1

    def mask(self, text: str, height: int) -> Mask:
        # putText's own strokes are a whole number of pixels wide and look ragged
        # at the sizes of labels; drawn large and shrunk they are smooth.
        zoom = 4 if height <= 64 else 2
        width, scale = self.width(text, height), zoom * self._scale(height)
        stroke = max(1, round(zoom * height * _CAPITALS * self._WEIGHT))
        large = np.zeros((zoom * height, zoom * width), np.uint8)
        origin = (stroke // 2, round(zoom * height * _BASELINE))
        cv2.putText(large, text, origin, self._FONT, scale, (255,), stroke, cv2.LINE_AA)
        mask = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(mask, np.uint8)

    def _scale(self, height: int) -> float:
        return height * _CAPITALS / self._UNITS


class FontFile(Face):
    """A TrueType or OpenType font, `index` telling the faces of a collection apart."""

    _EM = 0.7  # of a line's height: brings capitals to about half of it
    _PROBE = 32
    _NOT_A_CHARACTER = "\U0010ffff"

    def __init__(self, path: str) -> None:
        """Raises OSError where FreeType cannot use the file."""
        self._path = path
        self._index = _chinese_face(path)
        self._missing = self._glyph(self._NOT_A_CHARACTER)

    def has(self, text: str) -> bool:
        return all(self._glyph(char) != self._missing for char in set(text) - {" "})

    def width(self, text: str, height: int) -> int:
        return int(np.ceil(self._sized(height).getlength(text))) + 1

    def mask(self, text: str, height: int) -> Mask:
        from PIL import Image, ImageDraw

        canvas = Image.new("L", (self.width(text, height), height))
        origin = (0, round(height * _BASELINE))
        ImageDraw.Draw(canvas).text(origin, text, 255, self._sized(height), anchor="ls")
        return np.asarray(canvas, np.uint8)

    def _sized(self, height: int) -> FreeTypeFont:
        return _open(self._path, self._index, max(1, round(height * self._EM)))

    def _glyph(self, char: str) -> Tuple[Tuple[int, int], bytes]:
        ink = _open(self._path, self._index, self._PROBE).getmask(char)
        return ink.size, bytes(ink)


class Caption(NamedTuple):
    """What to write for a class, and the face that has the glyphs."""

    name: str
    face: Face
    ascii_face: Face


STROKES = Strokes()


def clean(label: str) -> str:
    """One line of what can be seen: no control or format characters, no line breaks."""
    seen: List[str] = []
    for char in label[:MAX_TEXT]:
        kind = unicodedata.category(char)
        if char.isspace() or kind[0] == "Z":
            seen.append(" ")
        elif kind[0] != "C" and not "\ufe00" <= char <= "\ufe0f":  # variation selectors
            seen.append(char)
    return " ".join("".join(seen).split())


@lru_cache(maxsize=4096)
def face_for(text: str) -> Optional[Face]:
    """The face that has every glyph of a cleaned `text`, None where there is none."""
    if text.isascii():
        return STROKES
    for path in _font_files():
        font = _load(path)
        if font is not None and font.has(text):
            return font
    return None


@lru_cache(maxsize=4096)
def caption(label: str, index: int) -> Caption:
    """The label where it can be drawn, else the class by number."""
    name = clean(label)
    face = face_for(name) if name else None
    if face is None:
        return Caption(f"#{index}", STROKES, STROKES)
    return Caption(name, face, face if face.has("0123456789.") else STROKES)


def ink(face: Face, text: str, height: int) -> Mask:
    """As face.mask, remembered for the next frame unless it is large."""
    if len(text) * height * height > _CACHED_PIXELS:
        return face.mask(text, height)
    return _remembered(face, text, height)


def forget() -> None:
    """Look at the machine's fonts anew."""
    for cache in (caption, face_for, _font_files, _load, _open, _remembered):
        cache.cache_clear()


@lru_cache(maxsize=256)
def _remembered(face: Face, text: str, height: int) -> Mask:
    return face.mask(text, height)


@lru_cache(maxsize=8)  # an open font holds some 200 KB
def _open(path: str, index: int, size: int) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(path, size, index)


@lru_cache(maxsize=None)
def _load(path: str) -> Optional[FontFile]:
    try:
        return FontFile(path)
    except (OSError, ImportError):  # a font that FreeType refuses, a Pillow built without it
        return None


def _chinese_face(path: str) -> int:
    """The face for simplified Chinese in a collection: one code point, several shapes."""
    if not path.lower().endswith(".ttc"):
        return 0
    for index in range(16):
        try:
            family, _ = _open(path, index, 16).getname()
        except OSError:  # past the last face
            break
        if family is not None and family.endswith(" SC"):
            return index
    return 0


@lru_cache(maxsize=1)
def _font_files() -> Tuple[str, ...]:
    """Paths, the preferred first, in the same order on every run."""
    found: List[str] = []
    for top in FONT_DIRS:
        for folder, _, names in os.walk(os.path.expanduser(top)):
            found += [
                os.path.join(folder, name)
                for name in names
                if name.lower().endswith((".ttf", ".otf", ".ttc"))
            ]
    return tuple(sorted(found, key=_rank)[:_MAX_FONTS])


def _rank(path: str) -> Tuple[int, int, str]:
    name = os.path.basename(path).lower()
    place = next((i for i, start in enumerate(_PREFERRED) if name.startswith(start)), 99)
    return place, sum(word in name for word in _LESS_LEGIBLE), path
