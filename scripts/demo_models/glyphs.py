"""Handwritten digits as distance fields, from which a stroke of any width can be drawn.

scikit-learn's digits are 8x8 pixels. Enlarged and thinned to the pen's path they become strokes
again; a second kind of writing is drawn here from polylines, and a third is kept for tests.
"""

from dataclasses import dataclass
from typing import List, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize
from sklearn.datasets import load_digits

from .hands import Hand

THICKEST = 10.0  # half a line's width in a field; thicker ones are blots
SIDE = 96  # of a field, pixels; the digit fills about the middle 64
Floats = NDArray[np.float32]
# Closed loops that a digit may have.
LOOPS = {
    0: (1,),
    1: (0,),
    2: (0, 1),
    3: (0,),
    4: (0, 1),
    5: (0,),
    6: (1,),
    7: (0,),
    8: (2,),
    9: (1,),
}


@dataclass(frozen=True)
class Glyph:
    """A digit as distances [SIDE,SIDE]: pixels from the pen's path or a thick line's middle."""

    label: int
    field: Floats
    thin: bool = True  # from the path, so that the pen's width is free


def _smooth(points: Floats, rounds: int) -> Floats:
    """Corner cutting; the ends stay."""
    for _ in range(rounds):
        near, far = points[:-1] * 0.75 + points[1:] * 0.25, points[:-1] * 0.25 + points[1:] * 0.75
        cut = np.stack([near, far], axis=1).reshape(-1, 2)
        points = np.concatenate([points[:1], cut, points[-1:]]).astype(np.float32)
    return points


def written(rng: np.random.Generator, hand: Hand, label: int) -> Glyph:
    """A digit of one hand, with the points moved as an unsteady hand moves them."""
    variants = hand[label]
    wobble = rng.uniform(0.01, 0.045)
    aspect = rng.uniform(0.55, 0.95)
    paper = np.full((SIDE, SIDE), 255, np.uint8)
    for stroke in variants[rng.integers(len(variants))]:
        points = np.asarray(stroke, np.float32)
        points = points + rng.normal(0, wobble, points.shape).astype(np.float32)
        points = _smooth(points, int(rng.integers(1, 4)))
        middle = (points - 0.5) * np.array([aspect, 1.0], np.float32) * 64 + SIDE / 2
        cv2.polylines(paper, [np.round(middle * 16).astype(np.int32)], False, 0, 1, cv2.LINE_8, 4)
    return Glyph(label, _distance(paper))


def _distance(paper: NDArray[np.uint8]) -> Floats:
    return np.asarray(cv2.distanceTransform(paper, cv2.DIST_L2, 5), np.float32)


def _thinned(ink: NDArray[np.bool_]) -> Floats:
    return _distance(np.where(skeletonize(ink), 0, 255).astype(np.uint8))


def _outlined(ink: NDArray[np.bool_]) -> Floats:
    """Keeps the writer's own line width: the outline counts as 4 pixels from the path."""
    mask = ink.astype(np.uint8) * 255
    signed = _distance(255 - mask) - _distance(mask)
    return np.maximum(signed + 4.0, 0.0).astype(np.float32)


def _holes(ink: NDArray[np.bool_]) -> int:
    """Closed loops of a digit."""
    return int(cv2.connectedComponents((~ink).astype(np.uint8), connectivity=4)[0]) - 2


def _ink(image: Floats, label: int) -> List[NDArray[np.bool_]]:
    """An 8x8 digit enlarged, at the first threshold that keeps its loops; empty if none does."""
    small = cv2.copyMakeBorder(image, 2, 2, 2, 2, cv2.BORDER_CONSTANT)
    large = cv2.GaussianBlur(
        cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), (0, 0), 1.5
    )
    for threshold in (7.5, 6.5, 9.0, 5.0, 10.5, 4.0, 12.0):
        ink = large > threshold
        if _holes(ink) in LOOPS[label] and cv2.connectedComponents(ink.astype(np.uint8))[0] == 2:
            return [ink]
    return []


def scanned(seed: int = 7) -> Tuple[List[Glyph], List[Glyph]]:
    """scikit-learn's digits for training and held out (one in five), two glyphs of each sample."""
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    train: List[Glyph] = []
    held_out: List[Glyph] = []
    for rank, sample in enumerate(order):
        label = int(digits.target[sample])
        for ink in _ink(digits.images[sample].astype(np.float32), label):
            target = held_out if rank % 5 == 0 else train
            target.append(Glyph(label, _thinned(ink)))
            if _distance(ink.astype(np.uint8)).max() < THICKEST:
                target.append(Glyph(label, _outlined(ink), thin=False))
    return train, held_out
