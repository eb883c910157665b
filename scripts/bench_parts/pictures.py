"""The pictures: one scene at four sizes, as JPEGs of the weight that cameras give them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict

import cv2
import numpy as np
import numpy.typing as npt

from scripts.bench_parts.lab import FIXTURES, Lab, fingerprint

_PHOTO = FIXTURES / "photos" / "bus.jpg"
_NOISE = 3.0  # a sensor's, standard deviation in steps of 8 bits
_BYTES_A_PIXEL = 335_000 / (1920 * 1080)

Pixels = npt.NDArray[np.uint8]
"""BGR, (H, W, 3)."""


@dataclass(frozen=True)
class Shape:
    width: int
    height: int
    size: int = 0
    """Bytes of the JPEG; 0 is as many as a 1080p picture of 335 KB has for each pixel."""


SHAPES: Dict[str, Shape] = {
    "480p": Shape(640, 480),
    "720p": Shape(1280, 720),
    "1080p": Shape(1920, 1080),
    "2160p": Shape(3840, 2160),
    "200KB": Shape(1280, 720, 200_000),
}


def picture(lab: Lab, name: str) -> Path:
    """The JPEG called `name`, made at the first use."""
    shape = SHAPES[name]
    sources = [Path(__file__), *([_PHOTO] if _PHOTO.exists() else [])]
    path = lab.path("pictures", f"{name}-{fingerprint(*sources)}.jpg")
    if not path.exists():
        wanted = shape.size or round(_BYTES_A_PIXEL * shape.width * shape.height)
        path.write_bytes(_encode(_framed(_scene(), shape), wanted))
    return path


def _scene() -> Pixels:
    if _PHOTO.exists():
        photo = cv2.imread(str(_PHOTO))
        assert photo is not None
        return photo.astype(np.uint8, copy=False)
    return _drawn()


def _drawn() -> Pixels:
    """Soft light and hard edges, for want of a photograph."""
    rng = np.random.default_rng(7)
    light = rng.integers(40, 216, (9, 12, 3), np.uint8)
    scene: Pixels = cv2.resize(light, (1600, 1200), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    for _ in range(240):
        x, y, width, height = (
            int(value) for value in rng.integers((0, 0, 8, 8), (1600, 1200, 220, 220))
        )
        color = tuple(int(value) for value in rng.integers(0, 256, 3))
        if rng.random() < 0.5:
            cv2.rectangle(scene, (x, y), (x + width, y + height), color, -1)
        else:
            cv2.ellipse(scene, (x, y), (width, height), 0, 0, 360, color, 3)
    return scene


def _framed(scene: Pixels, shape: Shape) -> Pixels:
    """Its middle, filling the frame, with the noise of a sensor."""
    height, width = scene.shape[:2]
    scale = max(shape.width / width, shape.height / height)
    size = (max(round(width * scale), shape.width), max(round(height * scale), shape.height))
    large = cv2.resize(scene, size, interpolation=cv2.INTER_CUBIC)
    left, top = (size[0] - shape.width) // 2, (size[1] - shape.height) // 2
    cut = large[top : top + shape.height, left : left + shape.width]
    noise = np.random.default_rng(0).normal(0, _NOISE, cut.shape)
    framed: Pixels = np.clip(cut + noise, 0, 255).astype(np.uint8)
    return framed


def _encode(pixels: Pixels, wanted: int) -> bytes:
    """At the quality whose JPEG comes closest to `wanted` bytes from below."""
    low, high = 5, 100
    while high - low > 1:
        middle = (low + high) // 2
        if len(_jpeg(pixels, middle)) <= wanted:
            low = middle
        else:
            high = middle
    return _jpeg(pixels, low)


def _jpeg(pixels: Pixels, quality: int) -> bytes:
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()
