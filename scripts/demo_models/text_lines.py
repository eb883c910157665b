"""Printed lines as a text detector cuts them out of a camera's picture: what the reader sees."""

from typing import NamedTuple, Sequence, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from . import printing, scenes, wording
from .glyphs import Floats
from .photos import Picture
from .writing import Rng, soft_field

HEIGHT = 32
WIDEST = 640
# Height to width from which the service takes a line to be written upright, and lays it down: a
# letter alone comes to the reader lying, then.
TALL = 1.5
_CLASSES = {letter: i for i, letter in enumerate(("", *wording.LETTERS, " "))}
CLASSES = len(_CLASSES)


class Example(NamedTuple):
    """`image` is BGR [32,w,3]; `classes` and `centres` (x, in its pixels) are of each character."""

    image: Picture
    classes: NDArray[np.int32]
    centres: Floats
    text: str


def example(
    rng: Rng, photos: Sequence[Picture], held_out: bool = False, plain: bool = False
) -> Example:
    """One that is no wider than `WIDEST`; a `plain` one is what the shapes are learned from."""
    while True:
        path = printing.pick_font(rng, held_out)
        size = printing.SIZES[rng.integers(7 if plain else 0, 12 if plain else len(printing.SIZES))]
        line = printing.random_line(rng, path, size)
        if plain:
            picture, box = _plain(rng, line)
        else:
            image, box = _printed(rng, photos, line, path, size)
            picture = scenes.camera(rng, image, size * 0.04)
        cut, centres = cut_out(picture, _seen(rng, box), line, box)
        if cut.shape[1] <= WIDEST:
            classes = np.array([_CLASSES[letter] for letter in line.text], np.int32)
            return Example(cut, classes, centres, line.text)


def _plain(rng: Rng, line: printing.Line) -> Tuple[Picture, Floats]:
    """Dark on light or light on dark, and its box."""
    dark, light = rng.uniform(0, 80), rng.uniform(175, 255)
    mask = line.mask if rng.random() < 0.7 else 1 - line.mask
    image = light + (dark - light) * mask + rng.normal(0, rng.uniform(0, 5), mask.shape)
    picture = np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return picture, np.array(line.box, np.float32)


def _printed(
    rng: Rng, photos: Sequence[Picture], line: printing.Line, path: str, size: int
) -> Tuple[Floats, Floats]:
    """The line in its surroundings, float BGR, and its box there."""
    air = size // 2
    mask = np.pad(line.mask, air)
    box = np.array(line.box, np.float32) + air
    if rng.random() < 0.3:
        _neighbours(rng, mask, box, path, size)
    image = ground(rng, photos, *mask.shape)
    x1, y1, x2, y2 = box.astype(int)
    below = image[y1:y2, x1:x2].reshape(-1, 3)
    ink = printing.contrasting(rng, below)
    if rng.random() < 0.12:  # an outline, or a shadow
        reach = max(1, size // 14)
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        around = cv2.dilate(mask, kernel)
        if rng.random() < 0.5:
            around = np.roll(mask, (reach, reach), (0, 1))
        shade = printing.contrasting(rng, ink[None])
        image += (shade - image) * (around * rng.uniform(0.5, 1.0))[..., None]
    image += (ink - image) * (mask * rng.uniform(0.8, 1.0))[..., None]
    if rng.random() < 0.06:  # underlined
        y = int(box[3] + size * rng.uniform(-0.1, 0.15))
        cv2.line(image, (x1, y), (x2, y), ink.tolist(), max(1, size // 16))
    return image, box


def _neighbours(rng: Rng, mask: Floats, box: Floats, path: str, size: int) -> None:
    """What shows of the lines above and below."""
    step = (box[3] - box[1]) * rng.uniform(0.95, 1.4)
    for side in (-1, 1):
        other = printing.random_line(rng, path, size)
        top = round(box[1] + side * step - other.box[1])
        left = round(box[0] + rng.uniform(-2, 1) * size - other.box[0])
        rows = slice(max(top, 0), max(min(top + len(other.mask), len(mask)), 0))
        columns = slice(max(left, 0), max(min(left + other.mask.shape[1], mask.shape[1]), 0))
        seen = other.mask[
            rows.start - top : max(rows.stop - top, 0),
            columns.start - left : max(columns.stop - left, 0),
        ]
        part = mask[rows, columns]
        if part.shape == seen.shape:
            np.maximum(part, seen, out=part)


def ground(rng: Rng, photos: Sequence[Picture], height: int, width: int) -> Floats:
    """What is printed on: float BGR [height,width,3]."""
    kind = rng.random()
    if kind < 0.7:
        tone = rng.uniform(0, 255, 3) if rng.random() < 0.4 else np.full(3, rng.uniform(0, 255))
        if rng.random() < 0.6:  # paper
            tone = rng.uniform(190, 255) * rng.uniform(0.9, 1.0, 3)
        shade = (soft_field(rng, height, width, 4) - 0.5) * rng.uniform(0, 50)
        return (tone + shade[..., None]).astype(np.float32)
    photo = photos[rng.integers(len(photos))]
    zoom = rng.uniform(0.4, 2.5)
    h = min(max(8, int(height / zoom)), photo.shape[0])
    w = min(max(8, int(width / zoom)), photo.shape[1])
    y, x = rng.integers(photo.shape[0] - h + 1), rng.integers(photo.shape[1] - w + 1)
    part = cv2.resize(photo[y : y + h, x : x + w], (width, height)).astype(np.float32)
    if kind < 0.85:  # fainter, as behind a label
        part = part * rng.uniform(0.2, 0.6) + rng.uniform(0, 150, 3)
    return np.clip(part * rng.uniform(0.7, 1.1, 3), 0, 255).astype(np.float32)


def _seen(rng: Rng, box: Floats) -> Floats:
    """The corners [4,2] that a detector would find: about right."""
    x1, y1, x2, y2 = (float(v) for v in box)
    height, width = y2 - y1, x2 - x1
    left, right = rng.uniform(-0.03, 0.22, 2) * height
    top, bottom = rng.uniform(-0.08, 0.16, 2) * height
    if rng.random() < 0.15:  # a higher one, or one that stays at the ink
        top, bottom = rng.uniform(-0.12, 0.3, 2) * height
    quad = np.array(
        [
            [x1 - left, y1 - top],
            [x2 + right, y1 - top],
            [x2 + right, y2 + bottom],
            [x1 - left, y2 + bottom],
        ]
    )
    steepest = min(np.radians(4), 0.2 * height / max(width, 1.0))
    angle = np.clip(rng.normal(0, 0.5), -1, 1) * steepest
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = quad.mean(axis=0)
    tilted = (quad - middle) @ turn.T + middle + rng.normal(0, 0.025, (4, 2)) * height
    return np.asarray(tilted, np.float32)


def cut_out(
    picture: Picture, quad: Floats, line: printing.Line, box: Floats
) -> Tuple[Picture, Floats]:
    """The quad's inside at the reader's height, and the centres of the letters in it."""
    width = max(1, int(max(np.linalg.norm(quad[1] - quad[0]), np.linalg.norm(quad[2] - quad[3]))))
    height = max(1, int(max(np.linalg.norm(quad[3] - quad[0]), np.linalg.norm(quad[2] - quad[1]))))
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    transform = cv2.getPerspectiveTransform(quad, flat)
    cut = cv2.warpPerspective(
        picture, transform, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    shift = box[0] - line.box[0]
    middle = np.full(len(line.centres), (box[1] + box[3]) / 2)
    points = np.stack([line.centres + shift, middle], axis=1)[None].astype(np.float32)
    centres = cv2.perspectiveTransform(points, transform)[0, :, 0]
    if height >= TALL * width:
        cut = cv2.rotate(cut, cv2.ROTATE_90_COUNTERCLOCKWISE)
        centres = np.full_like(centres, height / 2)
        width, height = height, width
    wide = -(-HEIGHT * width // height)
    image = cv2.resize(cut, (wide, HEIGHT), interpolation=cv2.INTER_LINEAR)
    return np.asarray(image, np.uint8), np.asarray(centres * (wide / width), np.float32)
