"""Boxes by their edges, exactly: what was written is read again as the same numbers.

Floats would not do: 0.1 + 0.2 - 0.1 is not 0.2.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from edged.datasets.types import Box

_MOST = Decimal(10) ** 9  # pixels; far over any picture, and nothing gets slow by it


class Edges(NamedTuple):
    """In pixels, 0 being the edge of the picture."""

    left: Decimal
    top: Decimal
    right: Decimal
    bottom: Decimal


def edges_of(box: Box) -> Edges:
    left, top, width, height = (Decimal(repr(value)) for value in box)
    return Edges(left, top, left + width, top + height)


def box_of(edges: Edges) -> Box:
    left, top, right, bottom = edges
    return Box(*map(float, (left, top, right - left, bottom - top)))


def clipped(box: Box, width: int, height: int) -> Box:
    """A box that passes an edge by a pixel or less is cut there: tools round, and some count
    pixels from 1, others from 0. Any other box is as it was."""
    left, top, right, bottom = edges_of(box)
    fits = left >= -1 and top >= -1 and right <= width + 1 and bottom <= height + 1
    if not fits or (left >= 0 and top >= 0 and right <= width and bottom <= height):
        return box
    far = min(right, Decimal(width)), min(bottom, Decimal(height))
    return box_of(Edges(max(left, Decimal(0)), max(top, Decimal(0)), *far))


def number(text: str) -> Decimal:
    """Raises ValueError for what is no number of pixels."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"{text.strip()[:32]!r} is no number") from None
    if not value.is_finite() or not -_MOST < value < _MOST:
        raise ValueError(f"{text.strip()[:32]} is no number of pixels")
    return value


def plain(value: Decimal) -> str:
    """Without an exponent, and without a fraction where it is a whole number."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
