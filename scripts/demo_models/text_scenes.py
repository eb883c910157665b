"""Scenes with printed text: pages, signs and letters in photographs, seen by a camera."""

from dataclasses import dataclass
from typing import List, NamedTuple, Sequence, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from . import printing, scenes, text_lines
from .glyphs import Floats
from .photos import Picture
from .writing import Rng

UNIT = 0.7  # of the camera's blur, in pixels
SMALLEST = 8.0  # pixels of height from which a line counts
_GAP = 1.6  # em from which two pieces on one level are two lines


class Spot(NamedTuple):
    """A line and its corners [4,2] in the frame, clockwise from its upper left."""

    text: str
    quad: Floats


@dataclass
class Scene:
    """`counts` [n] is whether a line is wholly in the frame and large enough to be asked for."""

    image: Picture
    spots: List[Spot]
    counts: NDArray[np.bool_]


def compose(
    rng: Rng,
    photos: Sequence[Picture],
    frame: Tuple[int, int],
    held_out: bool = False,
    empty: float = 0.06,
) -> Scene:
    """One scene of `frame` (h, w), drawn with the held-out fonts or with the others."""
    image = scenes.background(rng, photos, *frame)
    spots: List[Spot] = []
    if rng.random() >= empty:
        taken = np.zeros(frame, np.uint8)
        if rng.random() < 0.7:
            spots += _sheet(rng, image, taken, held_out)
        for _ in range(int(rng.integers(1, 9)) if not spots or rng.random() < 0.4 else 0):
            spots += _over(rng, image, taken, held_out)
    counts = np.array([_counts(spot.quad, frame) for spot in spots], bool)
    return Scene(scenes.camera(rng, image, UNIT), spots, counts)


def height_of(quad: Floats) -> float:
    return float(np.linalg.norm(quad[3] - quad[0]) + np.linalg.norm(quad[2] - quad[1])) / 2


def _counts(quad: Floats, frame: Tuple[int, int]) -> bool:
    inside = quad.min() >= 0 and bool((quad.max(axis=0) <= (frame[1], frame[0])).all())
    return inside and height_of(quad) >= SMALLEST


def _corners(box: Sequence[float]) -> Floats:
    x1, y1, x2, y2 = box
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)


def _sheet(rng: Rng, image: Floats, taken: NDArray[np.uint8], held_out: bool) -> List[Spot]:
    """A page, label or sign in the frame, full of lines."""
    h, w = image.shape[:2]
    page = rng.random() < 0.5
    low, high = (0.6, 1.3) if page else (0.25, 0.9)
    size = (int(h * rng.uniform(low, high)), int(w * rng.uniform(low, high)))
    canvas = text_lines.ground(rng, (np.zeros((99, 99, 3), np.uint8),), *size)
    if page and rng.random() < 0.7:
        canvas = 255 - (255 - canvas) * np.float32(0.25)
    for _ in range(int(rng.integers(0, 5))):
        _shape(rng, canvas)
    lines = _filled(rng, canvas, held_out, 24 if page else 76)
    if rng.random() < 0.4:  # as scanned, or seen from straight above
        x, y = (rng.uniform(min(0, a - b), max(0, a - b)) for a, b in ((w, size[1]), (h, size[0])))
        to_frame = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])
    else:
        to_frame = scenes.pose(rng, size, (h, w))
    cover = cv2.warpPerspective(np.ones(size, np.float32), to_frame, (w, h))
    warped = cv2.warpPerspective(canvas, to_frame, (w, h), borderMode=cv2.BORDER_REPLICATE)
    image += (warped - image) * cover[..., None]
    taken[cover > 0] = 1
    spots = [
        Spot(text, cv2.perspectiveTransform(_corners(box)[None], to_frame)[0])
        for text, box in lines
    ]
    return [spot for spot in spots if _in_sight(spot.quad, (h, w))]


def _in_sight(quad: Floats, frame: Tuple[int, int]) -> bool:
    (x1, y1), (x2, y2) = quad.min(axis=0), quad.max(axis=0)
    return bool(x2 > 2 and y2 > 2 and x1 < frame[1] - 2 and y1 < frame[0] - 2)


def _filled(
    rng: Rng, canvas: Floats, held_out: bool, largest: int
) -> List[Tuple[str, Tuple[float, ...]]]:
    """Prints blocks of lines downwards; texts and boxes in the canvas's pixels."""
    h, w = canvas.shape[:2]
    lines: List[Tuple[str, Tuple[float, ...]]] = []
    y = rng.uniform(2, 0.15 * h)
    while y < h:
        path = printing.pick_font(rng, held_out)
        sizes = [size for size in printing.SIZES if size <= largest]
        size = sizes[rng.integers(len(sizes))]
        ink = printing.contrasting(rng, canvas.reshape(-1, 3)[::7])
        margin, leading = rng.uniform(2, 0.2 * w), rng.uniform(1.0, 1.7)
        centred, dense = rng.random() < 0.25, rng.random() < 0.5
        for _ in range(int(rng.integers(1, 9))):
            x = margin
            while x < w:
                line = printing.random_line(rng, path, size)
                wide = line.box[2] - line.box[0]
                left = (w - wide) / 2 if centred else x
                if left < 1 or left + wide > w - 1 or y + line.box[3] - line.box[1] > h - 1:
                    break
                if _stands_off(canvas, left, y, wide, size, ink):
                    box = _put(canvas, line, left - line.box[0], y - line.box[1], ink)
                    lines.append((line.text, box))
                x = left + wide + size * rng.uniform(_GAP, 4)
                if centred or not dense:
                    break
            y += size * 1.15 * leading
        y += size * rng.uniform(0.2, 1.5)
    return lines


def _stands_off(
    canvas: Floats, x: float, y: float, width: float, height: float, ink: Floats
) -> bool:
    """Whether ink can be read on what lies there: it may be a bar code, or a block of its tone."""
    below = canvas[int(y) : int(y + height) + 1, int(x) : int(x + width) + 1].reshape(-1, 3)
    weights = np.array([0.114, 0.587, 0.299], np.float32)
    light = below @ weights
    return bool(light.std() < 30 and abs(float(light.mean() - ink @ weights)) > 45)


def _put(canvas: Floats, line: printing.Line, x: float, y: float, ink: Floats) -> Tuple[float, ...]:
    """Blends a line in with its mask's corner at (x, y), and gives its box."""
    x, y = round(x), round(y)
    h, w = line.mask.shape
    rows, columns = slice(max(y, 0), max(y + h, 0)), slice(max(x, 0), max(x + w, 0))
    part = canvas[rows, columns]
    mask = line.mask[max(-y, 0) :, max(-x, 0) :][: part.shape[0], : part.shape[1]]
    part += (ink - part) * mask[..., None]
    return (line.box[0] + x, line.box[1] + y, line.box[2] + x, line.box[3] + y)


def _over(rng: Rng, image: Floats, taken: NDArray[np.uint8], held_out: bool) -> List[Spot]:
    """One line right on the picture, if a free place for it is found."""
    h, w = image.shape[:2]
    line = printing.random_line(
        rng, printing.pick_font(rng, held_out), printing.SIZES[rng.integers(2, 16)]
    )
    kind = rng.random()
    angle = rng.normal(0, 3) if kind < 0.75 else rng.uniform(-35, 35)
    if kind > 0.96:
        angle = -90 + rng.normal(0, 2)  # downwards: upwards it would be laid on its head
    x1, y1, x2, y2 = line.box
    for _ in range(4):
        middle = rng.uniform(0.1, 0.9, 2) * (w, h)
        turn = cv2.getRotationMatrix2D(((x1 + x2) / 2, (y1 + y2) / 2), angle, 1.0)
        turn[:, 2] += middle - ((x1 + x2) / 2, (y1 + y2) / 2)
        quad = cv2.transform(_corners(line.box)[None], turn)[0]
        if quad.min() < 0 or (quad.max(axis=0) > (w, h)).any():
            continue
        claim = np.zeros_like(taken)
        middle_of = quad.mean(axis=0)
        unit = (quad - middle_of) / np.maximum(np.linalg.norm(quad - middle_of, axis=1), 1)[:, None]
        cv2.fillConvexPoly(claim, np.rint(quad + unit * 0.5 * height_of(quad)).astype(int), 1)
        if (taken & claim).any():
            continue
        taken |= claim
        mask = cv2.warpAffine(line.mask, turn, (w, h))
        (left, top), (right, bottom) = quad.min(axis=0).astype(int), quad.max(axis=0).astype(int)
        below = image[top : bottom + 1, left : right + 1].reshape(-1, 3)
        ink = printing.contrasting(rng, below)
        if rng.random() < 0.3 or below.std() > 45:  # on wild ground it takes an outline
            reach = max(1, int(height_of(quad) / 14))
            around = cv2.dilate(mask, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
            image += (printing.contrasting(rng, ink[None]) - image) * around[..., None]
        image += (ink - image) * mask[..., None]
        return [Spot(line.text, quad)]
    return []


def _shape(rng: Rng, canvas: Floats) -> None:
    """Rules, frames, discs and bars: printed, but not letters."""
    h, w = canvas.shape[:2]
    tone = (rng.uniform(0, 255, 3) if rng.random() < 0.5 else np.full(3, 60.0)).tolist()
    thick = int(rng.integers(1, 4))
    x, y = int(rng.uniform(0, w)), int(rng.uniform(0, h))
    wide, high = int(rng.uniform(0.1, 0.6) * w), int(rng.uniform(0.05, 0.4) * h)
    kind = rng.integers(5)
    if kind == 0:
        cv2.line(canvas, (x, y), (x + wide, y), tone, thick)
    elif kind == 1:
        cv2.rectangle(canvas, (x, y), (x + wide, y + high), tone, thick)
    elif kind == 2:
        cv2.circle(canvas, (x, y), high // 2 + 2, tone, thick if rng.random() < 0.5 else -1)
    elif kind == 3:
        cv2.rectangle(canvas, (x, y), (x + wide, y + high), tone, -1)
    else:  # a bar code
        at = x
        while at < x + wide:
            bar = int(rng.integers(1, 4))
            cv2.rectangle(canvas, (at, y), (at + bar - 1, y + high), (25.0, 25.0, 25.0), -1)
            at += bar + int(rng.integers(1, 4))
