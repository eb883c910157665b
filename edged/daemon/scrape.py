"""The route that Prometheus reads."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, Tuple

from aiohttp import web

from edged.daemon.board import read_board
from edged.daemon.metrics import METRICS, Metrics, label
from edged.daemon.routes import Caller, Route
from edged.daemon.samples import Samples
from edged.daemon.service import Service
from edged.daemon.usage import Usage

PATH = "/metrics"

_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# The kernel walks all pages of a process to tell its PSS, and a sensor may be slow: whoever asks
# sooner gets the same once more.
_FRESH_SECONDS = 1.0


class Scrape:
    """GET /metrics. What must be read from files is read in a thread."""

    def __init__(self, metrics: Metrics, service: Service) -> None:
        self._metrics = metrics
        self._service = service
        self._usage = Usage()
        self._machine: Samples = {}
        self._read_at = float("-inf")
        # Of its own, and one: whoever asks does not take the threads that others need.
        self._thread = ThreadPoolExecutor(1, "metrics")

    def routes(self) -> List[Route]:
        return [Route("GET", PATH, self._scrape)]

    async def _scrape(self, request: web.Request, caller: Caller) -> web.Response:
        samples, pids = _of_models(self._service)
        loop = asyncio.get_running_loop()
        text = await loop.run_in_executor(self._thread, self._render, samples, pids)
        return web.Response(body=text, headers={"Content-Type": _TYPE})

    def _render(self, samples: Samples, pids: Dict[str, List[int]]) -> bytes:
        now = time.monotonic()
        if now - self._read_at >= _FRESH_SECONDS:
            self._read_at = now
            self._machine = {**self._usage.read(pids), **read_board()}
        return self._metrics.render({**samples, **self._machine})


def _of_models(service: Service) -> Tuple[Samples, Dict[str, List[int]]]:
    """What the pools know of themselves, and the processes of each model by its label."""
    samples: Samples = {metric.name: {} for metric in METRICS}
    pids = {}
    for served in service.models:
        mid = label(served.entry.mid)
        samples["edged_model_ready"][mid, served.entry.name] = served.state == "ready"
        if served.pool is None:
            continue
        counters = served.pool.counters
        pids[mid] = served.pool.pids
        samples["edged_model_workers"][mid,] = len(pids[mid])
        samples["edged_model_queued"][mid,] = counters.queued
        samples["edged_model_refused_total"][mid,] = counters.refused
        samples["edged_model_restarts_total"][mid,] = counters.restarts
        samples["edged_model_poison_pictures"][mid,] = counters.poison
    return samples, pids
