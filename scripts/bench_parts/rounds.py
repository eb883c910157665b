"""Interleaved rounds: everyone has a turn in each, in an order that rotates."""

from __future__ import annotations

import statistics
from typing import Callable, Dict, List, NamedTuple, Sequence, TypeVar

Name = TypeVar("Name")

Series = List[float]
"""One figure for each round."""


class Spread(NamedTuple):
    median: float
    lowest: float
    highest: float


def spread(series: Series) -> Spread:
    return Spread(statistics.median(series), min(series), max(series))


def interleave(
    names: Sequence[Name], rounds: int, measure: Callable[[Name], float]
) -> Dict[Name, Series]:
    """`measure` of each name, once a round: a slow minute of the machine hits all alike."""
    series: Dict[Name, Series] = {name: [] for name in names}
    for turn in range(rounds):
        start = turn % len(names)
        for name in (*names[start:], *names[:start]):
            series[name].append(measure(name))
    return series


def ratios(over: Series, under: Series) -> Series:
    """Round by round: both sides of a ratio saw the same machine."""
    return [one / other for one, other in zip(over, under)]


def best(series: Dict[str, Series], names: Sequence[str]) -> str:
    """Whose median is the highest."""
    return max(names, key=lambda name: statistics.median(series[name]))


def percentile(values: List[float], share: float) -> float:
    """The smallest of `values` that a `share` of them do not pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]
