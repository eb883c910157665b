"""The workers of one model, and what becomes of them and of the model when they die.

The table of failures that this module carries out is in docs/workers.md.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Coroutine, List, Literal, NamedTuple, NoReturn, Optional, Sequence, Set, Union

from edged import wire
from edged.daemon.hang import Sweep
from edged.daemon.poison import Poison
from edged.daemon.process import Death
from edged.daemon.queue import JobQueue
from edged.daemon.worker import Finished, Job, Worker, WorkerLost
from edged.daemon.zygote import Zygote
from edged.errors import (
    DeadlinePassed,
    EdgedError,
    ModelFolderError,
    ModelUnavailable,
    PoisonImage,
    Stopping,
    WorkerDied,
)
from edged.registry.sample import Sample, tolerance_of
from edged.results import Prediction

_log = logging.getLogger(__name__)

# Seconds before the next try, after so many deaths in a row without an answer between.
_RESTART_PAUSES = (0.0, 0.2, 1.0, 3.0)
# How often one request may lose its worker, whoever killed it.
_MOST_DEATHS = 6
# A worker whose jobs fail this often in a row is replaced.
MOST_FAILURES_IN_A_ROW = 8
# A conversion at the first start is part of a load.
_LOAD_SECONDS = 300.0

State = Literal["loading", "ready", "failed", "stopped"]


class Attempt(NamedTuple):
    """One engine for the model, and how many workers it then gets."""

    load: Union[wire.Load, wire.LoadNothing]
    instances: int

    @property
    def engine(self) -> str:
        """Empty for a worker without a model."""
        return self.load.options.engine if isinstance(self.load, wire.Load) else ""


class Limits(NamedTuple):
    """Of one model. `run_timeout` in seconds, `memory` in bytes, `queue` in requests."""

    queue: int
    run_timeout: float
    memory: int


class Supervisor:
    """Starts workers, hands them what waits in `queue`, restarts what dies and ends what hangs.

    `state` is "loading" until a worker has answered the model's sample, "failed" with
    `reason` when the model cannot be served by any of `attempts`, which are tried in
    their order. Once ready, it stays with its engine. `hopeless` is set when it has failed, or
    by the pool when it only fails.
    """

    def __init__(
        self,
        name: str,
        attempts: Sequence[Attempt],
        limits: Limits,
        zygote: Zygote,
        poison: Poison,
        sample: Optional[Sample],
    ) -> None:
        self.state: State = "loading"
        self.reason = ""
        self.restarts = 0
        self._name = name
        self._attempt, *self._other_attempts = attempts
        self._reasons: List[str] = []
        self._limits = limits
        self._zygote = zygote
        self.poison = poison
        self._sample = sample
        self._loop = asyncio.get_running_loop()
        self._workers: List[Worker] = []
        self.queue = JobQueue(name, limits.queue, self._workers)
        self._sweep = Sweep(name, self._workers, limits.run_timeout)
        self._tasks: Set[asyncio.Task[None]] = set()
        self._settled = asyncio.Event()
        self._deaths_without_answer = 0
        self.hopeless = asyncio.Event()

    @property
    def engine(self) -> str:
        """Its name; until the model is ready, of the one that is tried."""
        return self._attempt.engine

    @property
    def pids(self) -> List[int]:
        return [worker.pid for worker in self._workers]

    @property
    def swept(self) -> float:
        """When its workers were last looked at for one that hangs, in the loop's time."""
        return self._sweep.last

    async def start(self) -> None:
        """Returns when the model is ready or failed, or was stopped: `state` says which."""
        self._run(self._sweep.run())
        await self.poison.load()
        self._run(self._supervise())
        await self._settled.wait()
        if self.state == "ready":
            for _ in range(self._attempt.instances - 1):
                self._run(self._supervise())

    async def stop(self) -> None:
        """Ends the workers; whoever still waits is told that the daemon stops."""
        self.state = "stopped"
        self._settled.set()
        workers, tasks = list(self._workers), list(self._tasks)
        for job in [*self.queue, *(job for worker in workers for job in worker.jobs.values())]:
            job.fail(Stopping())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(worker.end() for worker in workers))

    def check(self) -> None:
        """Raises Stopping or ModelUnavailable when the model is not served."""
        if self.state == "stopped":
            raise Stopping()
        if self.state == "loading":
            raise ModelUnavailable(f"model {self._name} is loading", retry_after=1)
        if self.state == "failed":
            raise self._unavailable()

    def _dispatch(self) -> None:
        if self.state == "failed":
            self.queue.fail_all(self._unavailable())
        self.queue.dispatch()

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("%s: internal error", self._name, exc_info=error)
            self._fail(f"internal error: {error!r}")

    @property
    def _serving(self) -> bool:
        return self.state in ("loading", "ready")

    async def _supervise(self) -> None:
        """Keeps one worker alive for as long as the model is served."""
        fruitless = 0
        while self._serving:
            try:
                worker = Worker(await self._zygote.spawn(self.engine))
                fruitless = await self._run_worker(worker, fruitless)
            except EdgedError as error:
                fruitless = self._give_up(error)
            self._dispatch()
            await asyncio.sleep(_RESTART_PAUSES[min(fruitless, len(_RESTART_PAUSES) - 1)])
            self.restarts += self._serving

    async def _run_worker(self, worker: Worker, fruitless: int) -> int:
        """From birth to death. `fruitless`: deaths in a row here that no answer came between.

        Returns how many of these there are now. Raises EdgedError when the model does not
        load.
        """
        self._workers.append(worker)
        try:
            await self._bring_up(worker, doubtful=fruitless > 0)
            await self._read_answers(worker)
        except WorkerLost as lost:
            return self._on_death(worker, lost, fruitless)
        finally:
            worker.close()
            self._workers.remove(worker)
            for job in worker.jobs.values():
                job.fail(WorkerDied())

    async def _bring_up(self, worker: Worker, doubtful: bool) -> None:
        """Loads the model; tries it on its sample the first time, and when workers die."""
        overdue = self._loop.call_later(_LOAD_SECONDS, worker.kill)
        try:
            await worker.load(self._attempt.load)
        finally:
            overdue.cancel()
        if self.state == "loading" or doubtful:
            await self._try_sample(worker)
        if self.state == "loading":
            self.state = "ready"
            self._settled.set()
        worker.ready = True
        _log.debug("%s: worker %d is ready", self._name, worker.pid)
        self._dispatch()

    async def _try_sample(self, worker: Worker) -> None:
        load = self._attempt.load
        if self._sample is None or isinstance(load, wire.LoadNothing):
            return
        answer: asyncio.Future[Prediction] = self._loop.create_future()
        deadline = self._loop.time() + _LOAD_SECONDS
        worker.send(Job(self._sample.image, wire.PredictOptions(), deadline, answer))
        try:
            self._learn(await worker.next_finished())
        finally:
            answer.cancel()  # if it died: nobody waits for another try
        tolerance = tolerance_of(load.spec.task)
        difference = self._sample.difference((await answer).results, load.spec.threshold, tolerance)
        if difference is not None:
            raise ModelUnavailable(f"its answer to sample.jpg is not sample.json: {difference}")

    async def _read_answers(self, worker: Worker) -> NoReturn:
        """Takes what the worker answers and hands it more, until it is lost."""
        while True:
            finished = await worker.next_finished()
            self._learn(finished)
            if finished.rss > self._limits.memory:
                megabytes = finished.rss >> 20
                _log.warning("%s: worker %d holds %d MB", self._name, worker.pid, megabytes)
                worker.retiring = True
            if worker.failures_in_a_row >= MOST_FAILURES_IN_A_ROW:
                _log.error("%s: worker %d only fails", self._name, worker.pid)
                worker.retiring = True
            if worker.retiring and not worker.jobs:
                _log.info("%s: worker %d is replaced", self._name, worker.pid)
                worker.close()
            self._dispatch()

    def _learn(self, finished: Finished) -> None:
        self.queue.learn(finished)
        if finished.error is None:
            self._deaths_without_answer = 0

    def _on_death(self, worker: Worker, lost: WorkerLost, fruitless: int) -> int:
        """Decides, after a death, what becomes of the worker's jobs and of the model."""
        was_ready, worker.ready = worker.ready, False
        jobs = list(worker.jobs.values())
        worker.jobs.clear()
        if worker.answered:
            fruitless = 0
        if worker.retiring and not jobs:
            return fruitless
        _log.error("%s: lost worker %d: %s", self._name, worker.pid, lost)
        for job in reversed(jobs):
            if job is worker.overdue:
                job.fail(DeadlinePassed("the model took longer than run_timeout"))
            else:
                self._requeue(job, lost.death, blame=worker.overdue is None)
        # A kill from outside says nothing about the model.
        counts = not lost.death.killed or worker.overdue or not was_ready
        if counts and lost.death.seen and not worker.answered:
            fruitless += 1
            self._deaths_without_answer += 1
        if self._deaths_without_answer > len(_RESTART_PAUSES):
            return self._give_up(WorkerDied(f"its process dies again and again: {lost}"))
        if self.state == "loading" and lost.death.own_doing and self._other_attempts:
            return self._give_up(WorkerDied(f"its process dies: {lost}"))
        return fruitless

    def _requeue(self, job: Job, death: Death, blame: bool) -> None:
        """The job goes to the head of the queue once more, unless it is the cause."""
        if blame and death.seen:
            was_alone = job.alone
            job.deaths += 1
            job.crashes += death.own_doing
            if was_alone and job.crashes > 1:
                self._mark_poison(job)
            elif job.deaths >= _MOST_DEATHS:
                job.fail(WorkerDied())
        if not job.answer.done():
            self.queue.put_back(job)

    def _mark_poison(self, job: Job) -> None:
        """Two workers crashed on it, one of them with nothing else to do."""
        self._run(self.poison.add(job.image))
        for other in [job, *self.queue]:
            if other.image == job.image:
                other.fail(PoisonImage(f"{PoisonImage.when} from now on"))

    def _give_up(self, error: EdgedError) -> int:
        """On the engine, if there is another to try, or on the model. The deaths in a row that
        the next worker has behind it.
        """
        if any(worker.ready for worker in self._workers):
            _log.error("%s goes on with a worker less for now: %s", self._name, error)
            return len(_RESTART_PAUSES)
        self._reasons.append(str(error))
        of_the_folder = isinstance(error, ModelFolderError)  # every engine says the same
        if self.state == "loading" and self._other_attempts and not of_the_folder:
            _log.warning("%s: %s does not serve it: %s", self._name, self.engine, error)
            self._attempt = self._other_attempts.pop(0)
            self._deaths_without_answer = 0
            return 0
        self._fail("; ".join(dict.fromkeys(self._reasons)))
        return len(_RESTART_PAUSES)

    def _fail(self, reason: str) -> None:
        _log.error("%s cannot be served: %s", self._name, reason)
        self.state, self.reason = "failed", reason
        self._settled.set()
        self.hopeless.set()
        for worker in self._workers:
            worker.retire()
        self._dispatch()

    def _unavailable(self) -> ModelUnavailable:
        message = f"model {self._name} cannot be served: {self.reason}"
        return ModelUnavailable(message)
