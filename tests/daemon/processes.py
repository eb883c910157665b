"""The processes of a daemon's workers: held still, and ended, at moments of a test's own."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Iterator, List

from tests.support import RunningDaemon, alive, wait_for

HELD = 3
"""Requests with a worker at most: one runs, one is decoded, one comes next."""


def ready_workers(daemon: RunningDaemon, mid: int, count: int) -> List[int]:
    """The pids of the workers, when so many are there and have loaded the model.

    The daemon has to log at level debug.
    """

    def ready() -> List[int]:
        pids: List[int] = daemon.model(mid)["workers"]
        log = daemon.log()
        loaded = [pid for pid in pids if f"worker {pid} is ready" in log]
        return loaded if len(loaded) == count else []

    pids: List[int] = wait_for(ready)
    return pids


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """The processes hold still for as long as the block lasts, unless they are killed in it."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
        wait_for(partial(_is_stopped, pid))
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def small_files(daemon: RunningDaemon, limit: int) -> Iterator[None]:
    """As on a full disk: no file of the daemon grows past so many bytes."""
    pid = daemon.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def end_worker(daemon: RunningDaemon, pid: int, number: int = signal.SIGKILL) -> None:
    """Ends a stopped worker by a signal, before it does anything else.

    Returns when the daemon has dealt with it: what the worker held is with another one, or
    in the queue.
    """
    os.kill(pid, number)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not alive(pid))
    models = daemon.request("GET", "/api/models").json["data"]
    wait_for(lambda: all(pid not in daemon.model(model["mid"])["workers"] for model in models))


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
