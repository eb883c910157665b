"""Writing on a flat surface: digits with any pen, letters and scribbles."""

from dataclasses import dataclass, field
from typing import Callable, List, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .glyphs import SIDE, Floats, Glyph

Rng = np.random.Generator
Draw = Callable[[Rng], Glyph]
Rectangle = Tuple[float, float, float, float]  # x, y, width, height
LETTERS = "ACEFHKMNPRTVWXYadefhkmnrtuvwxy?%&#+="  # none that is a digit to the eye
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
)
INKS = (
    (40, 30, 30),
    (130, 50, 25),
    (25, 25, 25),
    (45, 40, 170),
    (60, 110, 30),
    (120, 30, 100),
)  # BGR
SMALLEST, LARGEST = 16.0, 120.0  # height of a digit in a frame of 320 pixels


@dataclass
class Surface:
    """What is written on: a flat canvas [h,w,3] float BGR, and where it lies in the frame."""

    canvas: Floats
    to_frame: NDArray[np.float64]
    taken: List[Rectangle] = field(default_factory=list)
    boxes: List[NDArray[np.float64]] = field(default_factory=list)
    labels: List[int] = field(default_factory=list)

    def reserve(self, x: float, y: float, w: float, h: float) -> bool:
        """Claims a rectangle if it is free and inside the canvas."""
        height, width = self.canvas.shape[:2]
        if x < 2 or y < 2 or x + w > width - 2 or y + h > height - 2:
            return False
        for ox, oy, ow, oh in self.taken:
            if x < ox + ow and ox < x + w and y < oy + oh and oy < y + h:
                return False
        self.taken.append((x, y, w, h))
        return True


def _log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def soft_field(rng: Rng, height: int, width: int, cells: int) -> Floats:
    """Smooth noise in 0..1, [height,width]."""
    coarse = rng.random((cells, cells)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def _ink(rng: Rng, surface: Surface, x: float, y: float, w: float, h: float) -> Floats:
    """A colour that stands off from what lies below the rectangle."""
    below = float(surface.canvas[int(y) : int(y + h) + 1, int(x) : int(x + w) + 1].mean())
    if below > 110:
        ink = np.array(INKS[rng.integers(len(INKS))], np.float32) * rng.uniform(0.5, 1.3)
        return ink * min(1.0, (below - 60) / max(float(ink.mean()), 1.0))
    light = 255 - rng.uniform(0, 90, 3) * (rng.random() < 0.4) - rng.uniform(0, 35)
    return np.maximum(light, below + 75).astype(np.float32)


def _blend(surface: Surface, x: int, y: int, alpha: Floats, ink: Floats) -> None:
    h, w = alpha.shape
    part = surface.canvas[y : y + h, x : x + w]
    part += (ink - part) * alpha[..., None]


def _stroke(rng: Rng, glyph: Glyph, height: float, width: float, radius: float) -> Floats:
    """The digit's ink 0..1 in a patch, its body `height` by `width` pixels, bent and slanted."""
    ph, pw = int(height * 1.5) + 4, int(width * 1.5) + 4
    sy, sx = height / 64.0, width / 64.0
    slant = rng.uniform(-0.22, 0.22)
    turn = np.radians(rng.normal(0, 5))
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = np.diag([sx, sy]) @ np.array([[1.0, slant], [0.0, 1.0]]) @ spin
    shift = np.array([pw / 2, ph / 2]) - linear @ np.array([SIDE / 2, SIDE / 2])
    bent = glyph.field
    if rng.random() < 0.6:
        reach = rng.uniform(1, 3.5)
        ys, xs = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
        bent = cv2.remap(
            bent,
            xs + (soft_field(rng, SIDE, SIDE, 4) - 0.5) * 2 * reach,
            ys + (soft_field(rng, SIDE, SIDE, 4) - 0.5) * 2 * reach,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    scale = float(np.sqrt(sx * sy))
    affine = np.concatenate([linear, shift[:, None]], axis=1)
    flat = cv2.warpAffine(
        bent,
        affine,
        (pw, ph),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=float(SIDE),
    )
    return np.clip((radius - flat) * scale + 0.5, 0, 1).astype(np.float32)


def box_of(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The box of a digit's ink, with a little air and never thinner than a third of its height."""
    (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
    air = 0.04 * (y2 - y1) + 0.5
    half = max(x2 - x1 + 2 * air, (y2 - y1) / 3) / 2
    middle = (x1 + x2) / 2
    return np.array([middle - half, y1 - air, middle + half, y2 + air])


def write(
    rng: Rng,
    surface: Surface,
    glyph: Glyph,
    place: Rectangle,
    pen: Tuple[float, Floats],
    frame: Tuple[int, int],
) -> None:
    """Draws one digit into a reserved rectangle (x, y, w, h) and notes its box in the frame."""
    x, y, w, h = place
    alpha = _stroke(rng, glyph, h / 1.15, w / 1.15, pen[0])
    ph, pw = alpha.shape
    left, top = int(x + w / 2 - pw / 2), int(y + h / 2 - ph / 2)
    height, width = surface.canvas.shape[:2]
    if min(left, top) < 0 or left + pw > width or top + ph > height:
        return
    points = cv2.findNonZero((alpha > 0.35).astype(np.uint8))
    if points is None:
        return
    hull = cv2.convexHull(points).reshape(1, -1, 2) + np.array([left, top], np.float64)
    box = box_of(cv2.perspectiveTransform(hull, surface.to_frame)[0])
    outside = min(box[0], box[1]) < 0 or box[2] > frame[1] or box[3] > frame[0]
    if outside or box[3] - box[1] < 0.04 * max(frame):
        return
    if rng.random() < 0.35:  # a dry pen, chalk
        grain = rng.random(alpha.shape).astype(np.float32)
        alpha = alpha * np.clip(0.6 + 0.7 * grain, 0, 1)
    _blend(surface, left, top, alpha * rng.uniform(0.75, 1.0), pen[1])
    surface.boxes.append(box)
    surface.labels.append(glyph.label)


def number(
    rng: Rng, surface: Surface, draw: Draw, frame: Tuple[int, int], smallest: float = SMALLEST
) -> None:
    """One digit, or some in a row, by one pen."""
    unit = max(frame) / 320.0
    height = _log_uniform(rng, smallest, LARGEST) * unit * 1.15
    count = 1 if rng.random() < 0.5 else int(rng.integers(2, 7))
    width = height * rng.uniform(0.75, 1.15)
    step = width * rng.uniform(0.62, 1.1)
    h, w = surface.canvas.shape[:2]
    x, y = rng.uniform(0, max(1.0, w - step * count)), rng.uniform(0, max(1.0, h - height))
    if not surface.reserve(x, y, step * (count - 1) + width, height):
        return
    radius = rng.uniform(1.6, 5.2)
    ink = _ink(rng, surface, x, y, step * (count - 1) + width, height)
    # A thinner line than 1.4 pixels would vanish in the camera's blur; nobody could read it.
    pen = (max(radius, 0.7 * 64 / height), ink)
    for i in range(count):
        size = rng.uniform(0.88, 1.0)
        glyph = draw(rng)
        top = y + rng.uniform(0, 1 - size) * height
        write(rng, surface, glyph, (x + i * step, top, width * size, height * size), pen, frame)


def clutter(rng: Rng, surface: Surface, unit: float) -> None:
    """Letters, scribbles, crosses: what is written but is no digit."""
    h, w = surface.canvas.shape[:2]
    size = _log_uniform(rng, 14, 90) * unit
    kind = rng.random()
    count = int(rng.integers(1, 7)) if kind < 0.5 else 1
    x, y = rng.uniform(0, w), rng.uniform(0, h)
    if not surface.reserve(x, y, size * count * 0.9, size * 1.2):
        return
    ink = _ink(rng, surface, x, y, size * count, size).tolist()
    thick = max(1, int(size * rng.uniform(0.03, 0.12)))
    if kind < 0.5:
        text = "".join(LETTERS[i] for i in rng.integers(len(LETTERS), size=count))
        font = FONTS[rng.integers(len(FONTS))]
        (tw, _), _ = cv2.getTextSize(text, font, 1.0, 1)
        scale = min(size / 26.0, size * count * 0.85 / tw)
        cv2.putText(
            surface.canvas, text, (int(x), int(y + size)), font, scale, ink, thick, cv2.LINE_AA
        )
        return
    points = np.array([x, y]) + rng.random((int(rng.integers(7, 18)), 2)) * np.array(
        [size * 0.9, size]
    )
    if kind < 0.65:  # a cross or a check mark
        points = np.array([[x, y + size * 0.6], [x + size * 0.3, y + size], [x + size * 0.85, y]])
    cv2.polylines(
        surface.canvas, [np.round(points * 16).astype(np.int32)], False, ink, thick, cv2.LINE_AA, 4
    )
