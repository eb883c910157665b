"""What hangs is found from outside: a heartbeat in the worker would stop with the GIL."""

from __future__ import annotations

import asyncio
import logging
from typing import Sequence

from edged.daemon.worker import Worker

_log = logging.getLogger(__name__)

_SWEEP_SECONDS = 0.25


class Sweep:
    """Looks at `workers`, whoever they are by then, again and again. SIGKILL to those that
    are silent for longer than `run_timeout`, in seconds; their job is marked as `overdue`.

    `last` is when it last looked, in the loop's time.
    """

    def __init__(self, name: str, workers: Sequence[Worker], run_timeout: float) -> None:
        self._name = name
        self._workers = workers
        self._run_timeout = run_timeout
        self._loop = asyncio.get_running_loop()
        self.last = self._loop.time()

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = self._loop.time()
            # After a stop of the daemon itself, answers may lie unread: look next time.
            late = now - self.last > 4 * _SWEEP_SECONDS
            if not late:
                self._kill_hung(now)
            self.last = now

    def _kill_hung(self, now: float) -> None:
        for worker in self._workers:
            silent = now - worker.since > self._run_timeout
            if silent and worker.jobs and not worker.overdue:
                _log.error("%s: worker %d hangs and is killed", self._name, worker.pid)
                worker.overdue = next(iter(worker.jobs.values()))
                worker.retiring = True
                worker.kill()
