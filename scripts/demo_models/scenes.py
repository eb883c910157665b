"""Scenes with handwritten digits: sheets, notes and boards in photographs, seen by a camera."""

from dataclasses import dataclass
from typing import Sequence, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .glyphs import Floats
from .photos import Picture
from .writing import SMALLEST, Draw, Rng, Surface, clutter, number, soft_field, write

PAPERS = (
    (245, 245, 245),
    (225, 238, 245),
    (150, 235, 250),
    (200, 220, 190),
    (235, 215, 190),
    (215, 200, 245),
    (130, 170, 195),
)
LARGE = 48.0  # height from which a digit counts as large, as SMALLEST
BOARDS = ((45, 60, 35), (35, 35, 35), (70, 45, 30))


@dataclass
class Scene:
    """A BGR picture with boxes [n,4] (x1, y1, x2, y2 in pixels) and labels [n]."""

    image: Picture
    boxes: Floats
    labels: NDArray[np.int64]


def background(rng: Rng, photos: Sequence[Picture], height: int, width: int) -> Floats:
    """A random part of a photograph, turned to other colours, as float BGR [height,width,3]."""
    photo = photos[rng.integers(len(photos))]
    h, w = photo.shape[:2]
    side = rng.uniform(0.3, 1.0)
    ch, cw = int(h * side), int(w * min(1.0, side * rng.uniform(0.8, 1.25)))
    y, x = rng.integers(h - ch + 1), rng.integers(w - cw + 1)
    crop = photo[y : y + ch, x : x + cw]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    out = cv2.resize(
        np.ascontiguousarray(crop), (width, height), interpolation=cv2.INTER_AREA
    ).astype(np.float32)
    return np.clip(
        out * rng.uniform(0.6, 1.15, 3).astype(np.float32) + rng.uniform(-20, 20), 0, 255
    )


def pose(rng: Rng, sheet: Tuple[int, int], frame: Tuple[int, int]) -> NDArray[np.float64]:
    """The homography that lays a sheet (h, w) into a frame (h, w), up to 15 degrees turned."""
    h, w = sheet
    angle = np.radians(rng.uniform(-15, 15))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2.0
    corners = corners @ turn.T + rng.normal(0, 0.035, (4, 2)) * min(h, w)
    middle = np.array([frame[1] * rng.uniform(0.3, 0.7), frame[0] * rng.uniform(0.3, 0.7)])
    flat = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    return np.asarray(
        cv2.getPerspectiveTransform(flat, (corners + middle).astype(np.float32)), np.float64
    )


def _sheet(rng: Rng, frame: Tuple[int, int]) -> Surface:
    """Paper, a note or a board with its grain, and rulings on some."""
    side = max(frame)
    h, w = int(side * rng.uniform(0.5, 1.25)), int(side * rng.uniform(0.5, 1.25))
    dark = rng.random() < 0.15
    colours = BOARDS if dark else PAPERS
    colour = np.array(colours[rng.integers(len(colours))], np.float32) * rng.uniform(0.85, 1.05)
    canvas = np.empty((h, w, 3), np.float32)
    canvas[:] = colour
    canvas += ((soft_field(rng, h, w, 6) - 0.5) * rng.uniform(0, 30))[..., None]
    canvas += (soft_field(rng, h, w, 40) - 0.5)[..., None] * rng.uniform(0, 12)
    if rng.random() < 0.35:
        step, shade = rng.integers(max(8, side // 28), side // 8), colour * rng.uniform(0.6, 0.9)
        for y in range(int(step), h, int(step)):
            cv2.line(canvas, (0, y), (w, y), shade.tolist(), 1, cv2.LINE_AA)
        for x in range(int(step), w, int(step)) if rng.random() < 0.5 else ():
            cv2.line(canvas, (x, 0), (x, h), shade.tolist(), 1, cv2.LINE_AA)
    return Surface(canvas, pose(rng, (h, w), frame))


def camera(rng: Rng, image: Floats, unit: float) -> Picture:
    """Light that falls unevenly, focus, sensor and JPEG; blur is in `unit` pixels."""
    h, w = image.shape[:2]
    light = 1.0 + (soft_field(rng, h, w, 3) - 0.5) * rng.uniform(0, 0.8)
    if rng.random() < 0.3:  # the edge of a shadow
        normal, offset = rng.normal(0, 1, 2), rng.uniform(0.2, 0.8)
        ys, xs = np.mgrid[0:h, 0:w].astype(np.float32)
        side = normal[0] * (xs / w - offset) + normal[1] * (ys / h - offset)
        light = light * (
            1 - rng.uniform(0.15, 0.5) / (1 + np.exp(-np.clip(side * rng.uniform(8, 60), -30, 30)))
        )
    image = image * light[..., None] * rng.uniform(0.85, 1.12, 3)
    image = np.clip(image * rng.uniform(0.65, 1.15) + rng.uniform(-12, 12), 0, 255).astype(
        np.float32
    )
    if rng.random() < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.1) * unit)
    elif rng.random() < 0.3:
        length = max(1, int(rng.integers(2, 5) * unit))
        kernel = np.zeros((length, length), np.float32)
        cv2.line(
            kernel, (0, int(rng.integers(length))), (length - 1, int(rng.integers(length))), 1.0
        )
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    noise = rng.normal(0, 1, (h, w)).astype(np.float32) * rng.uniform(0, 9)
    picture = np.clip(image + noise[..., None] + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.7:
        _, data = cv2.imencode(
            ".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 95))]
        )
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return picture


def lay(image: Floats, surface: Surface) -> None:
    """Puts a sheet into the picture, with the soft shadow it casts."""
    h, w = image.shape[:2]
    cover = np.ones(surface.canvas.shape[:2], np.float32)
    mask = cv2.warpPerspective(cover, surface.to_frame, (w, h), flags=cv2.INTER_LINEAR)
    shadow = cv2.boxFilter(mask, -1, (15, 15))
    warped = cv2.warpPerspective(
        surface.canvas,
        surface.to_frame,
        (w, h),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    image *= (1 - 0.35 * shadow)[..., None]
    image += (warped - image) * mask[..., None]


def compose(
    rng: Rng,
    photos: Sequence[Picture],
    draw: Draw,
    frame: Tuple[int, int] = (320, 320),
    empty: float = 0.12,
) -> Scene:
    """One scene of `frame` (h, w); a share `empty` of them has clutter but no digit."""
    image = background(rng, photos, *frame)
    unit = max(frame) / 320.0
    on_sheet = rng.random() < 0.75
    surface = _sheet(rng, frame) if on_sheet else Surface(image, np.eye(3))
    for _ in range(int(rng.integers(0, 6))):
        clutter(rng, surface, unit)
    if rng.random() >= empty:
        # Large ones first in some: later they would find no room among the small.
        large = int(rng.integers(1, 12)) if rng.random() < 0.4 else 0
        for i in range(int(rng.integers(4, 60))):
            number(rng, surface, draw, frame, LARGE if i < large else SMALLEST)
    if on_sheet:
        lay(image, surface)
    boxes = np.array(surface.boxes, np.float32).reshape(-1, 4)
    return Scene(camera(rng, image, unit), boxes, np.array(surface.labels, np.int64))


def patch(rng: Rng, draw: Draw, side: int) -> Scene:
    """One digit, plain ink on a plain ground: what training learns the shapes from at first."""
    ground = np.full((side, side, 3), rng.uniform(170, 255), np.float32)
    surface = Surface(ground, np.eye(3))
    ink = np.full(3, rng.uniform(0, 90), np.float32)
    while not surface.labels:
        height = rng.uniform(0.3, 0.65) * side
        width = height * rng.uniform(0.75, 1.05)
        x, y = rng.uniform(0, 1, 2) * (side - 1.4 * height) + 0.2 * height
        glyph, radius = draw(rng), rng.uniform(2.0, 5.0)
        write(rng, surface, glyph, (x, y, width, height), (radius, ink), (side, side))
    if rng.random() < 0.3:
        ground = 255 - ground
    noise = rng.normal(0, rng.uniform(0, 6), (side, side, 1)) + rng.uniform(-20, 20, 3)
    picture = np.clip(ground + noise, 0, 255).astype(np.uint8)
    return Scene(picture, np.array(surface.boxes, np.float32), np.array(surface.labels, np.int64))
