"""The requests that wait for one model, and which worker gets the next."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Deque, Iterator, Optional, Sequence

from edged.daemon.worker import Finished, Job, Worker
from edged.errors import DeadlinePassed, EdgedError, QueueFull

# A worker holds one job that runs and two that wait in its hands, so that it is never without
# one while the daemon waits for a core. Where it decodes ahead, one of them is decoded; the other
# is for the end of the run: that holds the GIL, and what comes during it is begun only behind it.
_JOBS_PER_WORKER = 3
_EWMA_WEIGHT = 0.1


class JobQueue:
    """At most `limit` jobs of the model `name`, for whichever of `workers` are ready."""

    def __init__(self, name: str, limit: int, workers: Sequence[Worker]) -> None:
        self._name = name
        self._limit = limit
        self._workers = workers
        self._jobs: Deque[Job] = deque()
        self._seconds_per_job = 0.0  # moving average
        self._loop = asyncio.get_running_loop()

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)

    def admit(self, deadline: float, to_come: bool = False) -> None:
        """Raises QueueFull when one more job would not fit, or not be done by its deadline.

        `to_come`: its picture is still to be received. Then the last quarter of the places is
        left to those who have sent theirs, so that hardly any picture comes in vain.
        """
        limit = self._limit - self._limit // 4 if to_come else self._limit
        ahead, ready = len(self._jobs), 0
        for worker in self._workers:
            ahead += len(worker.jobs)
            ready += worker.ready
        wait = self._seconds_per_job * ahead / max(ready, 1)
        if len(self._jobs) >= limit:
            raise QueueFull(f"the queue of model {self._name} is full", retry_after=wait)
        if self._loop.time() + wait > deadline:
            message = f"the queue of model {self._name} is longer than the deadline allows"
            raise QueueFull(message, retry_after=wait)

    def append(self, job: Job) -> None:
        self._jobs.append(job)
        self.dispatch()

    def put_back(self, job: Job) -> None:
        """At the head: it has waited already. Dispatching is left to the caller."""
        self._jobs.appendleft(job)

    def discard(self, job: Job) -> None:
        if job in self._jobs:
            self._jobs.remove(job)

    def fail_all(self, error: EdgedError) -> None:
        while self._jobs:
            self._jobs.popleft().fail(error)

    def learn(self, finished: Finished) -> None:
        """Takes the time of a job that was answered into the estimate."""
        if finished.error is None:
            weight = _EWMA_WEIGHT if self._seconds_per_job else 1.0
            self._seconds_per_job += weight * (finished.seconds - self._seconds_per_job)

    def dispatch(self) -> None:
        """Sends what the workers have room for; drops what could not be done in time."""
        dropped = False
        while self._jobs:
            job = self._jobs[0]
            worker = self._least_loaded(job.alone)
            if worker is None:
                break
            self._jobs.popleft()
            if job.answer.done():
                continue
            if job.deadline - self._loop.time() < self._seconds_per_job:
                job.fail(DeadlinePassed())
                dropped = True
            else:
                worker.send(job)
        if dropped and not any(worker.jobs for worker in self._workers):
            # An estimate that refuses everything is never corrected by a run.
            self._seconds_per_job /= 2

    def _least_loaded(self, alone: bool) -> Optional[Worker]:
        room = 1 if alone else _JOBS_PER_WORKER
        free = [worker for worker in self._workers if worker.takes_jobs(room)]
        return min(free, key=lambda worker: len(worker.jobs), default=None)
