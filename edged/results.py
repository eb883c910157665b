"""What a model answers, free of any dialect and of numpy."""

from __future__ import annotations

from typing import Any, Dict, List

import msgspec


class BBox(msgspec.Struct, frozen=True):
    """Pixels of the picture as a viewer shows it; left, top is the upper left corner."""

    left: float
    top: float
    width: float
    height: float


class Result(msgspec.Struct, frozen=True):
    """One thing seen. `index` is the class number, `score` is in 0..1."""

    index: int
    label: str
    score: float
    location: BBox
    extended: Dict[str, Any] = {}


class Stages(msgspec.Struct, frozen=True):
    """Milliseconds a worker spent on one request, stage by stage."""

    decode: float
    preprocess: float
    run: float
    postprocess: float
    draw: float


class Prediction(msgspec.Struct, frozen=True):
    """All that one model says of one picture of `width` x `height` pixels.

    `picture` is the drawn JPEG, empty when it was not asked for.
    """

    results: List[Result]
    width: int
    height: int
    stages: Stages
    picture: bytes = b""


def clip_bbox(x1: float, y1: float, x2: float, y2: float, width: int, height: int) -> BBox:
    """Corners in pixels to a box inside a frame of `width` x `height`.

    Rounded to hundredths: finer digits are noise and only lengthen the answer.
    """
    left, right = (round(min(max(x, 0.0), width), 2) for x in (x1, x2))
    top, bottom = (round(min(max(y, 0.0), height), 2) for y in (y1, y2))
    return BBox(left, top, round(max(right - left, 0.0), 2), round(max(bottom - top, 0.0), 2))
