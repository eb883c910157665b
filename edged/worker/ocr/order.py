"""The order in which lines are read: downwards, and along a line to the right."""

from __future__ import annotations

from typing import List, Sequence

import numpy as np
from numpy.typing import NDArray

from edged.worker.ocr.db import Quad

# Chosen by one photograph of slanted lines and a printed page of two columns, no more.
# Of the smaller height: how far off its level, or off its axis, a piece of a line may be.
_OFF_LEVEL, _OFF_AXIS = 0.35, 0.4
_LEVEL = 0.09  # of a line's length, that it may rise or fall: 5 degrees


def reading_order(quads: Sequence[Quad], upside_down: bool = False) -> List[int]:
    """Indices of `quads`. Pieces of one line, however slanted, come one after another.

    A line stands where the upper left corner of its uppermost piece does.
    """
    if not quads:
        return []
    corners = np.stack(quads)
    if upside_down:  # a page turned by 180 degrees begins at its last corner
        corners = -np.roll(corners, 2, axis=1)
    in_line, apart = _in_line(corners), _apart(corners)
    lines: List[List[int]] = []
    for index in np.lexsort((corners[:, 0, 0], corners[:, 0, 1])).tolist():
        fitting = (
            line
            for line in reversed(lines)
            if in_line[index, line].any() and apart[index, line].all()
        )
        line = next(fitting, None)
        if line is None:
            lines.append([index])
        else:
            line.append(index)
    return [piece for line in lines for piece in sorted(line, key=corners[:, 0, 0].__getitem__)]


def _in_line(corners: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N, N): whether the axis of each, drawn on, meets the other; level ones may begin level.

    The axis of a short word is a few degrees off, so on a level page it tells too little.
    """
    heights = np.linalg.norm(corners[:, 3] - corners[:, 0], axis=1)
    smaller = np.minimum(heights[:, None], heights[None])
    off_level = np.abs(corners[:, None, 0, 1] - corners[None, :, 0, 1])
    starts = (corners[:, 0] + corners[:, 3]) / 2
    axes = (corners[:, 1] + corners[:, 2]) / 2 - starts
    axes = axes / np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1e-6)
    away = corners.mean(axis=1)[None] - starts[:, None]
    off_axis = np.abs(axes[:, None, 0] * away[..., 1] - axes[:, None, 1] * away[..., 0])
    flat = np.abs(axes[:, 1]) < _LEVEL
    level = (off_level < _OFF_LEVEL * smaller) & flat[:, None] & flat[None]
    in_line: NDArray[np.bool_] = level | (np.maximum(off_axis, off_axis.T) < _OFF_AXIS * smaller)
    return in_line


def _apart(corners: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N, N): whether two stand side by side: the middle of neither is above the other."""
    widths = np.ptp(corners[..., 0], axis=1)
    middles = corners[..., 0].mean(axis=1)
    apart: NDArray[np.bool_] = (
        np.abs(middles[:, None] - middles[None]) > np.maximum(widths[:, None], widths[None]) / 2
    )
    return apart
