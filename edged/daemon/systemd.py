"""What systemd is told of the daemon: the protocol of sd_notify(3), watchdog included."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from contextlib import asynccontextmanager
from typing import AsyncIterator, Callable, MutableMapping

_log = logging.getLogger(__name__)

# Every so often a start or a reload that goes on asks for so much more time, in seconds.
_START_PAUSE, _START_MORE = 5.0, 30.0
# Beyond the deadline, at the end: for the last answers to be read and the workers to end.
_STOP_MORE = 30.0


class Systemd:
    """Says nothing where nobody listens, as on a terminal."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Takes out of `environment` what is not for children."""
        address = environment.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        pid = environment.pop("WATCHDOG_PID", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        fed = microseconds.isdigit() and pid in ("", str(os.getpid()))
        self._watchdog = int(microseconds) / 1e6 if fed else 0.0
        self._is_ready = False
        self._reloads = 0

    def ready(self) -> None:
        self._is_ready = True
        self._say("READY=1")

    @asynccontextmanager
    async def reloading(self) -> AsyncIterator[None]:
        """Says so for as long as the block lasts, and asks for the time that it takes; nothing
        before the daemon is ready or when it stops, which that would end.
        """
        if not self._is_ready:
            yield
            return
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        self._reloads += 1
        asking = asyncio.get_running_loop().create_task(self.ask_for_time())
        try:
            yield
        finally:
            asking.cancel()
            self._reloaded()

    def _reloaded(self) -> None:
        self._reloads -= 1
        if self._is_ready and not self._reloads:
            self._say("READY=1")

    def stopping(self, deadline: float) -> None:
        """Every request has so long, in seconds, and may have come just now."""
        self._is_ready = False
        self._say("STOPPING=1", _more_time(deadline + _STOP_MORE))

    async def ask_for_time(self) -> None:
        """For ever: to convert a model takes longer than a start or a reload is given."""
        while True:
            self._say(_more_time(_START_MORE))
            await asyncio.sleep(_START_PAUSE)

    async def feed_watchdog(self, last_progress: Callable[[], float]) -> None:
        """For ever, but only when there was progress since it was last fed. `last_progress`
        is in the loop's time.
        """
        loop = asyncio.get_running_loop()
        fed = loop.time()
        while self._watchdog:
            await asyncio.sleep(self._watchdog / 4)
            if last_progress() > fed:
                self._say("WATCHDOG=1")
                fed = loop.time()

    def _say(self, *words: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out:
                out.sendto("\n".join(words).encode(), self._address)
        except OSError as error:
            _log.warning("systemd does not hear %s: %s", " ".join(words), error)


def _more_time(seconds: float) -> str:
    return f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}"
