"""How long each stage of a request takes."""

from __future__ import annotations

import time
from typing import Dict, Literal

from edged.results import Stages

Stage = Literal["preprocess", "run", "postprocess", "draw"]


class Clock:
    """Runs from its making. A stage may come more than once: its times add up."""

    def __init__(self) -> None:
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
