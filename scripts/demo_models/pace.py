"""How far a training has come, by steps or by the clock, and the learning rate there."""

import math
import time


class Pace:
    """A run ends after `steps`, or after `seconds` on a machine too slow or too busy for them."""

    def __init__(self, steps: int, seconds: float) -> None:
        self._steps, self._seconds = steps, seconds
        self._started = time.monotonic()

    def elapsed(self) -> float:
        return time.monotonic() - self._started

    def progress(self, step: int) -> float:
        """0 to 1, where training ends."""
        return min(1.0, max(step / self._steps, self.elapsed() / self._seconds))

    def rate(self, step: int, highest: float, warming: int = 100) -> float:
        """Up in a line for the first steps, then down as a cosine."""
        falling = (1 + math.cos(math.pi * self.progress(step))) / 2
        return highest * falling * min(1.0, (step + 1) / warming)
