"""Run-length code against pycocotools, which defines it, and against known answers."""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np
import pytest

from edged.worker.rle import Mask, decode, encode


def masks() -> List[Mask]:
    random = np.random.default_rng(5)
    blob = np.add.outer((np.arange(1080) - 500) ** 2, (np.arange(1920) - 900) ** 2) < 400**2
    return [
        np.zeros((3, 5), np.bool_),
        np.ones((3, 5), np.bool_),
        np.zeros((1, 1), np.bool_),
        np.ones((1, 1), np.bool_),
        np.eye(7, dtype=np.bool_),
        np.arange(12).reshape(3, 4) % 2 == 0,
        random.random((37, 53)) > 0.5,
        random.random((480, 640)) > 0.98,
        blob,
        np.pad(np.ones((1, 1), np.bool_), ((3000, 0), (4000, 0))),
    ]


@pytest.mark.parametrize("mask", masks(), ids=lambda mask: f"{mask.shape}")
def test_what_was_encoded_is_decoded(mask: Mask) -> None:
    assert np.array_equal(decode(encode(mask), *mask.shape), mask)


@pytest.mark.parametrize("mask", masks(), ids=lambda mask: f"{mask.shape}")
def test_it_is_what_pycocotools_writes(mask: Mask) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert encode(mask) == expected["counts"].decode()
    ours = {"size": list(mask.shape), "counts": encode(mask)}
    assert np.array_equal(coco.decode(ours), mask)
    assert coco.area(ours) == mask.sum()


@pytest.mark.parametrize(
    ("shape", "cells", "text"),
    [
        # By hand: runs of 15; 0, 15; 3, 1, 1, 1; 100, 1, 3899.
        ((3, 5), [], "?"),
        ((3, 5), range(15), "0?"),
        ((1, 6), [3, 5], "3110"),
        ((1, 4000), [100], "T31ki3"),
    ],
)
def test_known_answers(shape: Tuple[int, int], cells: Any, text: str) -> None:
    mask = np.zeros(shape[0] * shape[1], np.bool_)
    mask[list(cells)] = True
    assert encode(mask.reshape(shape)) == text
