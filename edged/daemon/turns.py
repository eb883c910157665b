"""Changes, one at a time, that go on when whoever asked for them has gone."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Callable, Coroutine, Set, TypeVar

from edged.errors import EdgedError, ModelBusy, Stopping

_log = logging.getLogger(__name__)

Outcome = TypeVar("Outcome")


class Turns:
    """`turn` is held by whoever changes anything."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self._busy: Set[str] = set()
        self._tasks: Set[asyncio.Task[Any]] = set()
        self._stopping = False

    async def change(
        self, name: str, work: Callable[[str], Coroutine[Any, Any, Outcome]]
    ) -> Outcome:
        """What `work` of that name gives, in turn. Cancelled, it is done all the same.

        Raises ModelBusy for a second change of one name, and Stopping.
        """
        if name in self._busy:
            raise ModelBusy()
        if self._stopping:
            raise Stopping()
        self._busy.add(name)
        return await self._shielded(self._in_turn(name, work))

    async def in_turn(self, work: Callable[[], Coroutine[Any, Any, Outcome]]) -> Outcome:
        """As `change`, of whatever there is."""
        if self._stopping:
            raise Stopping()

        async def wait() -> Outcome:
            async with self.turn:
                return await work()

        return await self._shielded(wait())

    async def _in_turn(
        self, name: str, work: Callable[[str], Coroutine[Any, Any, Outcome]]
    ) -> Outcome:
        try:
            async with self.turn:
                return await work(name)
        finally:
            self._busy.discard(name)

    async def _shielded(self, work: Coroutine[Any, Any, Outcome]) -> Outcome:
        task = self.run(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise Stopping() from None
            raise

    def run(self, work: Coroutine[Any, Any, Outcome]) -> asyncio.Task[Outcome]:
        """Now, for nobody who waits; an error that is not an EdgedError is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, EdgedError):
            _log.error("internal error", exc_info=error)

    async def stop(self) -> None:
        """Cancels all that is under way, and refuses what is new."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def in_thread(work: Callable[..., Outcome], *arguments: Any) -> Outcome:
    """What blocks on the disk. Cancelled, it goes on until it is done."""
    return await asyncio.get_running_loop().run_in_executor(None, lambda: work(*arguments))
