"""One model process, as the daemon sees it: frames out, frames in, the jobs it holds."""

from __future__ import annotations

import asyncio
from typing import Dict, NamedTuple, Optional, Tuple, Union

from edged import wire
from edged.daemon.process import Death, Process
from edged.errors import ERRORS, DeadlinePassed, EdgedError
from edged.results import Prediction

# Seconds for a process to end by itself once its channel is closed, and for the rest of
# its stderr after that.
_END_SECONDS = 2.0
_LAST_WORDS_SECONDS = 1.0


class Job:
    """One picture on its way through a model. `deadline` is in the loop's time, which on Linux
    is that of CLOCK_MONOTONIC in every process.

    `answer` carries the outcome; cancelled, it means that nobody waits any more.
    `deaths` counts the workers lost with it, `crashes` those among them that nobody
    killed.
    """

    __slots__ = ("answer", "crashes", "deadline", "deaths", "image", "options")

    def __init__(
        self,
        image: bytes,
        options: wire.PredictOptions,
        deadline: float,
        answer: asyncio.Future[Prediction],
    ) -> None:
        self.image = image
        self.options = options
        self.deadline = deadline
        self.answer = answer
        self.deaths = 0
        self.crashes = 0

    @property
    def alone(self) -> bool:
        """Whether it must have a worker for itself, so that it is known what a death is due to."""
        return self.deaths > 0

    def fail(self, error: EdgedError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class WorkerLost(Exception):
    """The process has ended, with `death`; `last_words` is the end of its stderr."""

    def __init__(self, death: Death, last_words: str) -> None:
        super().__init__(f"{death}{': ' + last_words if last_words else ''}")
        self.death = death


class Finished(NamedTuple):
    """A job is done. `error` is what the worker said instead of an answer."""

    job: Job
    error: Optional[EdgedError]
    seconds: float
    rss: int


class Worker:
    """Sends jobs and reads what comes back; keeps the clocks the pool judges by.

    `since` is when the worker last had a reason to move on (a job on an empty desk, a
    run that began, an answer): what has been silent for longer than a run may take
    hangs. `overdue` is the job it then was killed for.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._last_id = 0
        self._loop = asyncio.get_running_loop()
        self.jobs: Dict[int, Job] = {}
        self.since = self._began = self._loop.time()
        self.answered = 0
        self.failures_in_a_row = 0
        self.ready = False
        self.retiring = False
        self.overdue: Optional[Job] = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def takes_jobs(self, room: int) -> bool:
        """Whether it may be sent a job, if `room` is the most it may hold with it."""
        if not self.ready or self.retiring or len(self.jobs) >= room:
            return False
        if self._process.channel.closing:  # its death is only being waited for
            return False
        return not any(job.alone for job in self.jobs.values())

    async def load(self, load: Union[wire.Load, wire.LoadNothing]) -> wire.Loaded:
        """Raises EdgedError when the model cannot be served, WorkerLost when the process died."""
        self._process.channel.send([wire.encode(load)])
        message, _ = await self._receive()
        if isinstance(message, wire.Loaded):
            return message
        if isinstance(message, wire.Failure):
            raise _error(message)
        raise TypeError(message)

    def send(self, job: Job) -> None:
        if not self.jobs:
            self.since = self._began = self._loop.time()
        self._last_id += 1
        self.jobs[self._last_id] = job
        infer = wire.Infer(self._last_id, job.options, job.deadline)
        self._process.channel.send([wire.encode(infer, len(job.image)), job.image])

    async def next_finished(self) -> Finished:
        """Waits for the next job to be done and settles its answer. Raises WorkerLost."""
        while True:
            message, payload = await self._receive()
            self.since = self._loop.time()
            if isinstance(message, wire.Running):
                continue
            # All that it had to do for this job and not during the one before.
            took, self._began = self.since - self._began, self.since
            if isinstance(message, wire.Answer):
                return self._settle(message, payload, took)
            if isinstance(message, wire.Failure) and message.id is not None:
                return self._refuse(message, message.id, took)
            raise TypeError(message)

    def retire(self) -> None:
        """To be replaced, after the jobs it holds."""
        self.retiring = True
        if not self.jobs:
            self.close()

    def close(self) -> None:
        """Ends the process once it has done what was sent: its channel says so."""
        self._process.channel.close()

    def kill(self) -> None:
        self._process.kill()

    async def end(self) -> Death:
        """Closes the channel and waits; kills the process when it does not end by itself.

        Returns when its last words are there.
        """
        self.close()
        death = self._process.death
        await asyncio.wait([death], timeout=_END_SECONDS)
        if not death.done():
            self.kill()
        await asyncio.wait([death])
        await asyncio.wait([self._process.words.closed], timeout=_LAST_WORDS_SECONDS)
        return death.result()

    def _settle(self, message: wire.Answer, picture: bytes, took: float) -> Finished:
        job = self.jobs.pop(message.id)
        self.answered += 1
        self.failures_in_a_row = 0
        if not job.answer.done():
            job.answer.set_result(
                Prediction(message.results, message.width, message.height, message.stages, picture)
            )
        return Finished(job, None, took, message.rss)

    def _refuse(self, message: wire.Failure, request: int, took: float) -> Finished:
        job = self.jobs.pop(request)
        error = _error(message)
        # The picture's fault, or that of who had the worker before: the model is well.
        if error.http_status < 500 or isinstance(error, DeadlinePassed):
            self.answered += 1
            self.failures_in_a_row = 0
        else:
            self.failures_in_a_row += 1
        job.fail(error)
        return Finished(job, error, took, 0)

    async def _receive(self) -> Tuple[wire.FromWorker, bytes]:
        try:
            return await self._process.channel.receive()
        except ConnectionError:
            raise await self._lost() from None

    async def _lost(self) -> WorkerLost:
        death = await self.end()
        return WorkerLost(death, " | ".join(list(self._process.words.lines)[-3:]))


def _error(failure: wire.Failure) -> EdgedError:
    return ERRORS.get(failure.error, EdgedError)(failure.message)
