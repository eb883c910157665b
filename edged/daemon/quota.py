"""How often each key has asked: in this second, on this day, in all."""

from __future__ import annotations

import time
from datetime import date
from typing import Callable, Dict, Tuple

from edged.errors import DailyLimit, SecondLimit, TotalLimit
from edged.keys import Key, Usage

_NEVER = Usage("", 0, 0)
# A clock that is set back by no more does not begin the day anew.
_DAYS_BACK = 7


class Quota:
    """Counts what is admitted; what a limit refuses costs the key nothing. `monotonic` is a
    clock, in seconds.

    What is new since it was saved is added to what the store has, where other daemons on
    the same state directory count too.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._saved: Dict[str, Usage] = {}
        self._new: Dict[str, Usage] = {}
        # Of each key: when its second began, and requests since.
        self._seconds: Dict[str, Tuple[float, int]] = {}

    def restore(self, usage: Dict[str, Usage]) -> None:
        """What the store has."""
        self._saved = dict(usage)

    def unsaved(self) -> Dict[str, Usage]:
        """What is to be added to the store."""
        return dict(self._new)

    def saved(self, usage: Dict[str, Usage]) -> None:
        """It has been; a key that has asked again meanwhile keeps what is new."""
        for api_key, added in usage.items():
            self._saved[api_key] = plus(self._saved.get(api_key, _NEVER), added)
            now = self._new.pop(api_key)
            total = now.total - added.total
            if total:
                today = now.today - added.today if now.day == added.day else now.today
                self._new[api_key] = Usage(now.day, today, total)

    def admit(self, key: Key) -> None:
        """One request more. Raises SecondLimit, DailyLimit or TotalLimit."""
        rules, now = key.rules, self._monotonic()
        began, count = self._seconds.get(key.api_key, (now, 0))
        if now - began >= 1:
            began, count = now, 0
        new = self._new.get(key.api_key, _NEVER)
        usage = plus(self._saved.get(key.api_key, _NEVER), new)
        day = _day_after(usage.day)
        today = usage.today if usage.day == day else 0
        if rules.total is not None and usage.total >= rules.total:
            raise TotalLimit()
        if rules.per_day is not None and today >= rules.per_day:
            raise DailyLimit()
        if rules.per_second is not None and count >= rules.per_second:
            raise SecondLimit()
        self._seconds[key.api_key] = began, count + 1
        self._new[key.api_key] = plus(new, Usage(day, 1, 1))


def plus(usage: Usage, added: Usage) -> Usage:
    """`added` is of the same day, or of a later one."""
    today = usage.today if usage.day == added.day or not added.total else 0
    return Usage(added.day or usage.day, today + added.today, usage.total + added.total)


def _day_after(last: str) -> str:
    """Today, or the day of the last request where the clock has been set back a little."""
    today = date.today()
    if last and 0 < (date.fromisoformat(last) - today).days <= _DAYS_BACK:
        return last
    return today.isoformat()
