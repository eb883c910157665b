"""Letters from a network's time steps: connectionist temporal classification.

Graves et al., Connectionist Temporal Classification, ICML 2006: best path decoding, by
which each step gives its likeliest class, repeats are one, and a blank (class 0) parts
letters that stand twice.
"""

from __future__ import annotations

from typing import NamedTuple, Sequence

import numpy as np
from numpy.typing import NDArray

_BLANK = 0


class Text(NamedTuple):
    """`score` is the mean probability of the letters, 0 where there are none."""

    text: str
    score: float


def decode(steps: NDArray[np.float32], letters: Sequence[str]) -> Text:
    """`steps` is (T, C), the probabilities of `letters`, of which the first is the blank."""
    best = steps.argmax(axis=1)
    begins = np.ones(len(best), np.bool_)
    begins[1:] = best[1:] != best[:-1]
    (kept,) = np.nonzero(begins & (best != _BLANK))
    if not len(kept):
        return Text("", 0.0)
    score = float(steps[kept, best[kept]].mean())
    return Text("".join(letters[index] for index in best[kept].tolist()), score)
