"""A worker's process as the daemon holds it: its channel, its last words, how it ended."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import deque
from typing import Callable, Deque, NamedTuple, Optional

from edged import wire
from edged.daemon.channel import Channel

_log = logging.getLogger(__name__)

_OWN_DOING = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}
)
_TAIL_LINES = 40


class Death(NamedTuple):
    """How a worker ended. `status`: a negative signal number or an exit status.

    None where nobody saw it, because the zygote had died first.
    """

    status: Optional[int]

    @property
    def seen(self) -> bool:
        return self.status is not None

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL

    @property
    def own_doing(self) -> bool:
        """It crashed by itself or hit its own limit; nobody killed it from outside."""
        if self.status is None:
            return False
        return -self.status in _OWN_DOING or self.status == wire.EXIT_MEMORY

    def __str__(self) -> str:
        if self.status is None:
            return "it was lost with the fork server"
        if self.status == wire.EXIT_MEMORY:
            return "it went over twice its memory_mib"
        if self.status < 0:
            return f"it was ended by {signal.Signals(-self.status).name}"
        return f"it exited with status {self.status}"


class LastWords(asyncio.Protocol):
    """The tail of a worker's stderr; what the engine prints goes to the debug log."""

    def __init__(self) -> None:
        self.lines: Deque[str] = deque(maxlen=_TAIL_LINES)
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data)[-65536:].split(b"\n")
        for line in lines:
            self._add(line)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self._add(self._rest)
        if not self.closed.done():
            self.closed.set_result(None)

    def _add(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self.lines.append(text[:500])
            _log.debug("worker: %s", text)


class Process(NamedTuple):
    """A forked worker: its channel, and its end when that comes or `kill` is called."""

    pid: int
    channel: Channel
    death: asyncio.Future[Death]
    words: LastWords
    kill: Callable[[], None]
