"""How long each stage of a request takes."""

from __future__ import annotations

import time
from typing import Callable, Dict, Literal

from edged.results import Stages

Stage = Literal["preprocess", "run", "postprocess", "draw"]


class Clock:
    """Runs from its making. A stage may come more than once: its times add up.

    Between the parts of long work a task calls `begin_part`, which says that it goes on
    (`run_timeout` is for one part), and raises DeadlinePassed when it need not.
    """

    def __init__(self, begin_part: Callable[[], None] = lambda: None) -> None:
        self.begin_part = begin_part
        self._last = time.perf_counter()
        self._spent: Dict[Stage, float] = dict.fromkeys(
            ("preprocess", "run", "postprocess", "draw"), 0.0
        )

    def lap(self, stage: Stage) -> None:
        """What has passed since the last lap was `stage`."""
        now = time.perf_counter()
        self._spent[stage] += (now - self._last) * 1000
        self._last = now

    def stages(self, decode_ms: float) -> Stages:
        return Stages(decode=decode_ms, **self._spent)
