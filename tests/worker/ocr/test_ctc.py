"""Best path decoding, as Graves et al. define it."""

from __future__ import annotations

from typing import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.worker.ocr.ctc import Text, decode

LETTERS = ("", "a", "b", " ")


def steps(classes: Sequence[int], probability: float = 0.9) -> NDArray[np.float32]:
    rest = (1 - probability) / (len(LETTERS) - 1)
    made = np.full((len(classes), len(LETTERS)), rest, np.float32)
    made[np.arange(len(classes)), list(classes)] = probability
    return made


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        ([1, 2], "ab"),
        ([1, 1, 1, 2, 2], "ab"),
        ([1, 0, 1], "aa"),
        ([0, 0, 1, 1, 0, 0, 1, 0], "aa"),
        ([1, 3, 2], "a b"),
        ([1, 2, 1, 2], "abab"),
    ],
)
def test_repeats_collapse_and_blanks_part(classes: Sequence[int], text: str) -> None:
    assert decode(steps(classes), LETTERS).text == text


@pytest.mark.parametrize("classes", [[], [0], [0, 0, 0]])
def test_nothing_but_blanks_is_no_text(classes: Sequence[int]) -> None:
    assert decode(steps(classes), LETTERS) == Text("", 0.0)


def test_the_score_is_the_mean_of_the_letters_at_their_first_step() -> None:
    made = np.concatenate([steps([0], 0.99), steps([1], 0.8), steps([1], 0.5), steps([2], 0.6)])
    assert decode(made, LETTERS).score == pytest.approx(0.7)
