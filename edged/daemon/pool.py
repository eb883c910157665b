"""One model as requests meet it: admitted or refused, answered, counted."""

from __future__ import annotations

import asyncio
from typing import List

import msgspec

from edged import wire
from edged.daemon.supervisor import MOST_FAILURES_IN_A_ROW, State, Supervisor
from edged.daemon.worker import Job
from edged.errors import DeadlinePassed, EdgedError, PoisonImage
from edged.results import Prediction


class Counters(msgspec.Struct):
    """Requests since this version was loaded, by what became of them, and workers restarted.

    `queued` wait now; of `poison` pictures those of earlier runs are known too.
    """

    answered: int = 0
    failed: int = 0
    refused: int = 0
    restarts: int = 0
    queued: int = 0
    poison: int = 0


class Pool:
    """The requests of one model, before a supervisor and its workers.

    `state` and `reason`, `engine`, `pids` and `swept` are the supervisor's.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._queue = supervisor.queue
        self._poison = supervisor.poison
        self._counters = Counters()
        self._loop = asyncio.get_running_loop()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._faults = 0

    @property
    def state(self) -> State:
        return self._supervisor.state

    @property
    def reason(self) -> str:
        return self._supervisor.reason

    @property
    def engine(self) -> str:
        return self._supervisor.engine

    @property
    def pids(self) -> List[int]:
        return self._supervisor.pids

    @property
    def swept(self) -> float:
        return self._supervisor.swept

    @property
    def only_fails(self) -> bool:
        """Whether it was asked and has never answered, by its own fault."""
        return self._faults > 0 and self._counters.answered == 0

    @property
    def counters(self) -> Counters:
        return msgspec.structs.replace(
            self._counters,
            restarts=self._supervisor.restarts,
            queued=len(self._queue),
            poison=len(self._poison),
        )

    async def start(self) -> None:
        """Returns when the model is ready or failed, or was stopped: `state` says which."""
        await self._supervisor.start()

    async def stop(self) -> None:
        """Ends the workers; whoever still waits is told that the daemon stops."""
        await self._supervisor.stop()

    async def hopeless(self) -> None:
        """Waits until the model has failed, or only fails, beyond doubt."""
        await self._supervisor.hopeless.wait()

    async def drain(self) -> None:
        """Ends the workers once all that was asked is answered. Nobody may ask any more."""
        await self._idle.wait()
        await self.stop()

    async def predict(
        self, image: bytes, options: wire.PredictOptions, deadline: float
    ) -> Prediction:
        """Raises ModelUnavailable, QueueFull, PoisonImage, DeadlinePassed, or what the worker says.

        `deadline` is in the loop's time. Cancelled, it drops the job while that is queued.
        """
        try:
            self._admit(deadline)
            if image in self._poison:
                raise PoisonImage()
        except EdgedError:
            self._counters.refused += 1
            raise
        job = Job(image, options, deadline, self._loop.create_future())
        timer = self._loop.call_at(deadline, job.fail, DeadlinePassed())
        self._queue.append(job)
        self._under_way += 1
        self._idle.clear()
        try:
            prediction = await job.answer
        except EdgedError as error:
            self._counters.failed += 1
            self._faults += error.http_status >= 500
            if self.only_fails and self._faults >= MOST_FAILURES_IN_A_ROW:
                self._supervisor.hopeless.set()
            raise
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
            timer.cancel()
            self._queue.discard(job)
        self._counters.answered += 1
        return prediction

    def admit(self, deadline: float) -> None:
        """Raises, before a picture is received, what `predict` would raise whatever it shows:
        ModelUnavailable, QueueFull or Stopping.
        """
        try:
            self._admit(deadline, to_come=True)
        except EdgedError:
            self._counters.refused += 1
            raise

    def _admit(self, deadline: float, to_come: bool = False) -> None:
        self._supervisor.check()
        self._queue.admit(deadline, to_come)
