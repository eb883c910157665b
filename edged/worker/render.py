"""Results drawn on the picture they were found in."""

from __future__ import annotations

import math
from typing import List, NamedTuple, Optional, Sequence, Tuple

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edged.results import BBox, Result
from edged.worker.fonts import Mask, caption, ink
from edged.worker.overlay import draw_mask
from edged.worker.panel import draw_panel
from edged.worker.style import (
    Color,
    Picture,
    Sizes,
    class_color,
    name_masks,
    ramp,
    sizes_for,
)

_JPEG_QUALITY = 85
_STEPS_DOWN = 6  # places tried inside a box in a crowd
_TEXT_TO_LINE = 0.55  # height of what was read to that of the line it was read from
_SMALLEST_TEXT = 13


class Corners(NamedTuple):
    """Whole pixels, all four inside the picture and part of the box."""

    x1: int
    y1: int
    x2: int
    y2: int


class Tag(NamedTuple):
    """A label's text and where its upper left corner goes."""

    mask: Mask
    x: int
    y: int
    color: Color


def draw(picture: Picture, results: Sequence[Result], task: str) -> None:
    """Draw on `picture`, (H, W, 3) of uint8, BGR, C-contiguous, in place."""
    height, width = picture.shape[:2]
    sizes = sizes_for(width, height)
    surest_first = sorted(results, key=lambda result: result.score, reverse=True)
    if task == "classification":
        draw_panel(picture, surest_first, sizes)
    elif task == "ocr":
        _draw_text(picture, results, sizes)
    else:
        _draw_boxes(picture, surest_first, sizes)


def encode_jpeg(picture: Picture) -> bytes:
    """A JPEG of (H, W, 3) of uint8, BGR."""
    # As fast as simplejpeg (5.0 against 5.2 ms at 1080p): both are libjpeg-turbo.
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return encoded.tobytes()


def _draw_boxes(picture: Picture, results: Sequence[Result], sizes: Sizes) -> None:
    height, width = picture.shape[:2]
    seen = [
        (result, corners)
        for result in results
        for corners in [_corners(result.location, width, height, sizes.line)]
        if corners is not None
    ]
    for place, (result, box) in reversed(list(enumerate(seen))):
        top = draw_mask(picture, result, sizes)
        if top is None:
            color = class_color(result.index)
            cv2.rectangle(picture, (box.x1, box.y1), (box.x2, box.y2), color, sizes.line)
        else:  # the corner of its box may be far from what it is
            seen[place] = result, box._replace(x1=top[0], y1=top[1])
    _paint(picture, _tags(seen, width, height, sizes))


def _draw_text(picture: Picture, lines: Sequence[Result], sizes: Sizes) -> None:
    """The quad of each line, in a colour of its own, and what was read beside it."""
    height, width = picture.shape[:2]
    seen = []
    for number, line in enumerate(lines):
        box = _corners(line.location, width, height, sizes.line)
        if box is None:
            continue
        seen.append((msgspec.structs.replace(line, index=number), box))
        quad = np.array(line.extended["quad"], np.int32)
        cv2.polylines(picture, [quad], True, class_color(number), sizes.line, cv2.LINE_AA)
    # On a printed page, tags as large as the lines would hide them all.
    middle = np.median([box.y2 - box.y1 for _, box in seen] or [0])
    text = min(sizes.text, max(round(_TEXT_TO_LINE * float(middle)), _SMALLEST_TEXT))
    small = Sizes(sizes.line, text, max(text // 5, 2))
    _paint(picture, _tags(seen, width, height, small, cover_boxes=False))


def _paint(picture: Picture, tags: Sequence[Tag]) -> None:
    for tag in reversed(tags):  # over all the lines, the first over the others
        rows, columns = tag.mask.shape
        painted = cv2.applyColorMap(tag.mask, ramp(tag.color))
        picture[tag.y : tag.y + rows, tag.x : tag.x + columns] = painted


def _corners(box: BBox, width: int, height: int, line: int) -> Optional[Corners]:
    """Where the middle of a line runs that is `line` wide and stays in the frame."""
    x2, y2 = box.left + box.width, box.top + box.height
    if not all(map(math.isfinite, (box.left, box.top, x2, y2))):
        return None
    if box.left > width or box.top > height or x2 < 0 or y2 < 0:
        return None
    half = line // 2
    right, bottom = max(width - 1 - half, half), max(height - 1 - half, half)
    return Corners(
        x1=round(min(max(box.left, half), right)),
        y1=round(min(max(box.top, half), bottom)),
        x2=round(min(max(x2 - 1, box.left, half), right)),
        y2=round(min(max(y2 - 1, box.top, half), bottom)),
    )


def _tags(
    seen: Sequence[Tuple[Result, Corners]],
    width: int,
    height: int,
    sizes: Sizes,
    cover_boxes: bool = True,
) -> List[Tag]:
    """A tag for each result that has room for one. The first choose their place first.

    Unless they may `cover_boxes`, they stand beside them as long as there is room.
    """
    cell = max(sizes.text // 4, 1)
    taken = np.zeros((height // cell + 2, width // cell + 2), np.bool_)
    choose = _places if cover_boxes else _places_beside
    for _, box in () if cover_boxes else seen:
        _cells(taken, box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1, cell)[:] = True
    tags: List[Tag] = []
    for result, box in seen:
        # A long label is shortened rather than drawn across the picture.
        limit = min(width, max(width // 2, box.x2 - box.x1, 12 * sizes.text))
        mask = _tag_mask(result, limit, sizes)
        if mask is None or mask.shape[0] > height:
            continue
        columns = mask.shape[1]
        places = choose(box, columns, sizes, width, height)
        free = (
            (x, y) for x, y in places if not _cells(taken, x, y, columns, sizes.text, cell).any()
        )
        x, y = next(free, places[0])
        _cells(taken, x, y, columns, sizes.text, cell)[:] = True
        tags.append(Tag(mask, x, y, class_color(result.index)))
    return tags


def _cells(
    taken: NDArray[np.bool_], x: int, y: int, columns: int, rows: int, cell: int
) -> NDArray[np.bool_]:
    """The part of the coarse map that a tag would cover."""
    left, right = round(x / cell), round((x + columns) / cell)
    top, bottom = round(y / cell), round((y + rows) / cell)
    return taken[top:bottom, left:right]


def _places(
    box: Corners, columns: int, sizes: Sizes, width: int, height: int
) -> List[Tuple[int, int]]:
    """Upper left corners for a box's tag, the best first, at least one, all in the frame."""
    rows, half = sizes.text, sizes.line // 2
    left, right = box.x1 - half, box.x2 + half + 1 - columns
    above, below = box.y1 - half - rows, box.y2 + half + 1
    top, bottom = box.y1 - half, box.y2 + half + 1 - rows
    roomy = box.y2 - box.y1 >= 2 * rows  # else a tag inside would hide what is boxed
    inside = [(left, top), (left, bottom), (right, top), (right, bottom)] if roomy else []
    outside = [(left, above), (right, above), (left, below), (right, below)]
    down = [(left, y) for y in range(top + rows, bottom - rows, rows)[:_STEPS_DOWN]]
    wanted = outside[:1] + inside[:1] + outside[1:] + inside[1:] + down
    fits = [(x, y) for x, y in wanted if 0 <= y <= height - rows] or [(left, top)]
    return [(min(max(x, 0), width - columns), min(max(y, 0), height - rows)) for x, y in fits]


def _places_beside(
    box: Corners, columns: int, sizes: Sizes, width: int, height: int
) -> List[Tuple[int, int]]:
    """As _places, but none of them on the box."""
    rows, gap = sizes.text, sizes.line + 1
    above, below = box.y1 - gap - rows, box.y2 + gap
    middle = (box.y1 + box.y2 - rows) // 2
    left, right = box.x1 - gap - columns, box.x2 + gap
    wanted = [(box.x1, above), (box.x1, below), (right, middle), (left, middle)]
    wanted += [(box.x2 - columns, above), (box.x2 - columns, below)]
    fits = [(x, y) for x, y in wanted if 0 <= x <= width - columns and 0 <= y <= height - rows] or [
        (box.x1, above)
    ]
    return [(min(max(x, 0), width - columns), min(max(y, 0), height - rows)) for x, y in fits]


def _tag_mask(result: Result, limit: int, sizes: Sizes) -> Optional[Mask]:
    """The text of a tag at most `limit` wide, None where not even the score fits."""
    written = caption(result.label, result.index)
    score = ink(written.ascii_face, f"{result.score:.2f}", sizes.text)
    room = limit - 2 * sizes.pad - score.shape[1]
    if room < 0:
        return None
    gap = np.zeros((sizes.text, sizes.text // 4), np.uint8)
    name = name_masks(written, sizes.text, room - gap.shape[1])
    parts = [*name, gap, score] if name else [score]
    side = np.zeros((sizes.text, sizes.pad), np.uint8)
    return np.hstack([side, *parts, side])
