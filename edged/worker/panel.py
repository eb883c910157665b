"""The answers of a classification, in a panel in the corner of the picture."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence

import cv2
import numpy as np

from edged.results import Result
from edged.worker.fonts import Mask, caption, ink
from edged.worker.style import Color, Picture, Sizes, class_color, name_masks

_ROWS = 5
_MOST = 2 / 3  # of the picture's height, or what one row takes
_SHADE = 0.3  # of the light stays behind the panel: white is readable on what is left
_TRACK: Color = (104, 104, 104)


class _Row(NamedTuple):
    """One answer. `name` is in pieces that stand side by side, `share` in 0..1."""

    name: List[Mask]
    score: Mask
    share: float
    color: Color


class _Layout(NamedTuple):
    """Pixels: of the panel, from the picture's corner; of the text in it; of a row."""

    margin: int
    pad: int
    width: int
    bar: int
    pitch: int


def draw_panel(picture: Picture, surest_first: Sequence[Result], sizes: Sizes) -> None:
    """Draw as many answers as fit, five at most, in place; nothing where none fits."""
    height, width = picture.shape[:2]
    margin = sizes.text // 2 if min(width, height) >= 10 * sizes.text else 0
    pad = sizes.pad if margin == 0 else 2 * sizes.pad
    bar = max(sizes.text // 6, 2)
    pitch = sizes.text + bar + sizes.pad
    count = int(height * _MOST - 2 * margin - 2 * pad + sizes.pad) // pitch
    room = width - 2 * margin - 2 * pad
    wanted = max(width * 2 // 5, 14 * sizes.text)
    rows = _rows(surest_first[: min(max(count, 1), _ROWS)], min(room, wanted), sizes)
    if not rows:
        return
    inner = max(_row_width(row, sizes.text) for row in rows)
    inner = max(inner, min(room, 7 * sizes.text))  # short names need bars that tell apart
    layout = _Layout(margin, pad, inner, bar, pitch)
    if 2 * (margin + pad) + len(rows) * pitch - sizes.pad <= height:
        _paint(picture, rows, layout, sizes)


def _rows(results: Sequence[Result], room: int, sizes: Sizes) -> List[_Row]:
    rows = (_row(result, room, sizes.text) for result in results)
    return [row for row in rows if row is not None]


def _row(result: Result, room: int, text: int) -> Optional[_Row]:
    written = caption(result.label, result.index)
    score = ink(written.ascii_face, f"{result.score:.2f}", text)
    if score.shape[1] > room:
        return None
    name = name_masks(written, text, room - score.shape[1] - text // 2)
    share = max(min(1.0, result.score), 0.0)
    return _Row(name, score, share, class_color(result.index))


def _row_width(row: _Row, text: int) -> int:
    width: int = sum(part.shape[1] for part in row.name) + text // 2 + row.score.shape[1]
    return width


def _paint(picture: Picture, rows: Sequence[_Row], layout: _Layout, sizes: Sizes) -> None:
    left, top = layout.margin, layout.margin
    right = left + 2 * layout.pad + layout.width
    bottom = top + 2 * layout.pad + len(rows) * layout.pitch - sizes.pad
    panel = picture[top:bottom, left:right]
    panel[:] = cv2.convertScaleAbs(panel, alpha=_SHADE)
    for number, row in enumerate(rows):
        y = layout.pad + number * layout.pitch
        x = layout.pad
        for part in row.name:
            _write(panel, part, x, y)
            x += part.shape[1]
        _write(panel, row.score, layout.pad + layout.width - row.score.shape[1], y)
        bar = panel[y + sizes.text : y + sizes.text + layout.bar, layout.pad : -layout.pad]
        bar[:] = _TRACK
        bar[:, : round(row.share * layout.width)] = row.color


def _write(panel: Picture, mask: Mask, x: int, y: int) -> None:
    """In white, which on a dark ground is the lighter of the two at each pixel."""
    rows, columns = mask.shape
    under = panel[y : y + rows, x : x + columns]
    np.maximum(under, mask[:, :, None], out=under)
