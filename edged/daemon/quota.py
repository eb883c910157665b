"""How often each key has asked: in this second, on this day, in all."""

from __future__ import annotations

import time
from typing import Callable, Dict, Set, Tuple

from edged.errors import DailyLimit, SecondLimit, TotalLimit
from edged.keys import Key, Usage

_NEVER = Usage("", 0, 0)


class Quota:
    """Counts what is admitted; what a limit refuses costs the key nothing. `monotonic` is a
    clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._usage: Dict[str, Usage] = {}
        self._changed: Set[str] = set()
        # Of each key: when its second began, on the monotonic clock, and requests since.
        self._seconds: Dict[str, Tuple[float, int]] = {}

    def restore(self, usage: Dict[str, Usage]) -> None:
        """Takes over what a daemon before this one has counted."""
        self._usage = {**usage, **self._usage}

    def unsaved(self) -> Dict[str, Usage]:
        """What has changed since it was `saved`."""
        return {api_key: self._usage[api_key] for api_key in self._changed}

    def saved(self, usage: Dict[str, Usage]) -> None:
        """A key that has asked again meanwhile stays to be saved."""
        self._changed -= {key for key, counts in usage.items() if self._usage[key] == counts}

    def admit(self, key: Key) -> None:
        """One request more. Raises SecondLimit, DailyLimit or TotalLimit."""
        rules, now = key.rules, self._monotonic()
        began, count = self._seconds.get(key.api_key, (now, 0))
        if now - began >= 1:
            began, count = now, 0
        usage = self._usage.get(key.api_key, _NEVER)
        day = time.strftime("%Y-%m-%d")
        if usage.day != day:
            usage = Usage(day, 0, usage.total)
        if rules.total is not None and usage.total >= rules.total:
            raise TotalLimit()
        if rules.per_day is not None and usage.today >= rules.per_day:
            raise DailyLimit()
        if rules.per_second is not None and count >= rules.per_second:
            raise SecondLimit()
        self._seconds[key.api_key] = began, count + 1
        self._usage[key.api_key] = Usage(day, usage.today + 1, usage.total + 1)
        self._changed.add(key.api_key)
