"""What the daemon makes of a request that its worker gave up because nobody waits any more."""

from __future__ import annotations

import asyncio
from typing import Any, Sequence

import pytest

from edged import wire
from edged.daemon.channel import Channel
from edged.daemon.worker import Job, Worker
from edged.errors import DeadlinePassed
from tests.daemon.test_channel import feed


class Process(Channel):
    """Of which only the channel is used; `answer` is what it says to each request."""

    def __init__(self, answer: str) -> None:
        super().__init__()
        self.channel = self
        self._answer = answer
        self._asked = 0

    def send(self, parts: Sequence[bytes]) -> None:
        self._asked += 1
        failure = wire.Failure(self._asked, self._answer, "")
        feed(self, wire.encode(wire.Running(self._asked)) + wire.encode(failure))


@pytest.mark.parametrize(("answer", "failures"), [("DeadlinePassed", 0), ("EngineError", 3)])
def test_it_is_no_failure_of_the_worker(answer: str, failures: int) -> None:
    """After some failures in a row a worker is replaced, which takes seconds."""

    async def ask() -> None:
        process: Any = Process(answer)
        worker = Worker(process)
        loop = asyncio.get_running_loop()
        for _ in range(3):
            job = Job(b"", wire.PredictOptions(), loop.time() + 60, loop.create_future())
            worker.send(job)
            finished = await worker.next_finished()
            assert isinstance(finished.error, DeadlinePassed) == (failures == 0)
            assert isinstance(job.answer.exception(), type(finished.error))
        assert worker.failures_in_a_row == failures
        assert not worker.jobs

    asyncio.run(ask())
