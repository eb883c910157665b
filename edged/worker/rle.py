"""Masks as COCO run-length code, the compressed text that pycocotools reads and writes.

The lengths of the runs of a mask read column by column, beginning with what is not in
it. From the fourth on each is written as the difference to the one before the last, in
groups of five bits, the lowest first, each a character from 48 on whose sixth bit says
that another follows; the last group's highest bit is the sign.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
"""(H, W)"""

_BITS, _MORE, _FIRST = 5, 0x20, 48
_GROUPS = 7  # 35 bits: the runs of any picture


def encode(mask: Mask) -> str:
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    begins = np.concatenate(([0], changes, [flat.size]))
    counts = np.diff(begins)
    if flat.size and flat[0]:
        counts = np.concatenate(([0], counts))
    values = counts.astype(np.int64)
    values[3:] -= counts[1:-2]
    return _characters(values)


def _characters(values: npt.NDArray[np.int64]) -> str:
    shifts = np.arange(_GROUPS) * _BITS
    shifted = values[:, None] >> shifts
    groups = shifted & 0x1F
    # What is left after a group is nothing, when the group's highest bit has its sign.
    left = shifted >> _BITS
    more = np.where(groups & 0x10, left != -1, left != 0)
    written = np.ones_like(more)
    written[:, 1:] = np.logical_and.accumulate(more[:, :-1], axis=1)
    characters = groups + _FIRST + np.where(more, _MORE, 0)
    return str(characters[written].astype(np.uint8).tobytes(), "ascii")


def decode(text: str, height: int, width: int) -> Mask:
    """The mask that `encode` was given."""
    codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - _FIRST
    lasts = np.flatnonzero(codes & _MORE == 0)
    firsts = np.concatenate(([0], lasts[:-1] + 1))
    place = np.arange(len(codes)) - np.repeat(firsts, lasts - firsts + 1)
    values = np.add.reduceat((codes & 0x1F) << (place * _BITS), firsts)
    negative = codes[lasts] & 0x10 != 0
    values -= np.where(negative, 1 << ((place[lasts] + 1) * _BITS), 0)
    counts = values.copy()
    counts[1::2] = np.cumsum(values[1::2])
    counts[2::2] = np.cumsum(values[2::2])
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape((height, width), order="F")
