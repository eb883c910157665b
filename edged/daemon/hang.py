"""What hangs is found from outside: a heartbeat in the worker would stop with the GIL."""

from __future__ import annotations

import asyncio
import logging
from typing import Sequence

from edged.daemon.worker import Worker

_log = logging.getLogger(__name__)

_SWEEP_SECONDS = 0.25


async def kill_hung(name: str, workers: Sequence[Worker], run_timeout: float) -> None:
    """For ever: SIGKILL to those of `workers`, whoever they are by then, that are silent for
    longer than a run may take, in seconds. Their job is marked as `overdue`.
    """
    loop = asyncio.get_running_loop()
    last = loop.time()
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        now = loop.time()
        # After a stop of the daemon itself, answers may lie unread: look next time.
        late, last = now - last > 4 * _SWEEP_SECONDS, now
        for worker in workers:
            silent = now - worker.since > run_timeout
            if silent and worker.jobs and not worker.overdue and not late:
                _log.error("%s: worker %d hangs and is killed", name, worker.pid)
                worker.overdue = next(iter(worker.jobs.values()))
                worker.retiring = True
                worker.kill()
