"""What everyone answers for a picture, in one form.

Of a classifier the five most probable [class, probability], of a detector [class, score,
x1, y1, x2, y2] of what is over the threshold; best first.
"""

from __future__ import annotations

from typing import List

Answer = List[List[float]]

# Decoders and preprocessing differ by rounding; edged writes two digits of a pixel.
_SCORE, _SCORE_SHARE, _PIXELS = 0.0001, 0.01, 1.0


def same(one: Answer, other: Answer) -> bool:
    """Classes equal and in one order, numbers off by no more than rounding."""
    return len(one) == len(other) and all(map(_same_row, one, other))


def _same_row(one: List[float], other: List[float]) -> bool:
    corners = zip(one[2:], other[2:])
    return (
        len(one) == len(other)
        and one[0] == other[0]
        and abs(one[1] - other[1]) <= _SCORE + _SCORE_SHARE * one[1]
        and all(abs(left - right) <= _PIXELS for left, right in corners)
    )
