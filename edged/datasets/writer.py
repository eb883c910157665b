"""The datasets, for the daemon's loop: it waits for no disk."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import (
    Any,
    Callable,
    Coroutine,
    Generic,
    Iterator,
    List,
    Optional,
    Set,
    Tuple,
    TypeVar,
    Union,
)

from edged.datasets.reader import Reader
from edged.datasets.store import Store
from edged.datasets.types import Dataset, Kind, LabelCount, NewEntity, Page, Quota
from edged.errors import DatasetBusy, EdgedError, Stopping, StoreError

_log = logging.getLogger(__name__)

_R = TypeVar("_R", bound=Reader)
_T = TypeVar("_T")

_Answer = Union[int, EdgedError]

# Whoever holds the lock, or SQLite's, is waited for ten seconds, and not once more by those who
# stand behind who did.
_SLOW_SECONDS = 9.0


class Datasets:
    """One thread writes and one reads, so that a long write does not hold up a list.

    Between `start` and `close`; from then on every call raises Stopping. When the disk fails a
    call it raises StoreError, and the cause is in the log, once until a call succeeds. A store
    that cannot be opened is tried again at the next call.
    """

    def __init__(self, folder: Path, quota: Quota) -> None:
        self._writer = _Desk(lambda: Store(folder, quota), "datasets-writer")
        self._reader = _Desk(lambda: Reader(folder), "datasets-reader")
        self._waiting: Optional[_Batch] = None
        self._committing: asyncio.Lock
        self._deleting: Set[int] = set()
        self._tidied = False
        self._tasks: Set[asyncio.Future[Any]] = set()
        self._closing = False

    async def start(self) -> None:
        """Opens the store, or logs why it cannot be; what a stop has left is tidied behind it."""
        self._committing = asyncio.Lock()
        with suppress(StoreError):
            await self._write(lambda store: None)

    async def close(self) -> None:
        """Ends the additions that were accepted. A deletion stops where it is, and is ended after
        the next start."""
        self._closing = True
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._writer.close()
        await self._reader.close()

    async def create(self, owner: str, kind: Kind, name: str) -> int:
        """The number of the new dataset. Raises DatasetExists and QuotaExceeded."""
        self._check_open()
        return await self._write(lambda store: store.create(owner, kind, name))

    async def dataset(self, number: int) -> Dataset:
        """Raises DatasetUnknown."""
        return await self._read(lambda store: store.dataset(number))

    async def find(self, owner: str, kind: Kind, name: str) -> Dataset:
        """Raises DatasetUnknown."""
        return await self._read(lambda store: store.find(owner, kind, name))

    async def list(self, owner: str, kind: Kind, page: Page) -> Tuple[int, List[Dataset]]:
        """How many there are, and those of the page, oldest first."""
        return await self._read(lambda store: store.datasets(owner, kind, page))

    async def labels(self, dataset: int, page: Page) -> Tuple[int, List[LabelCount]]:
        """How many there are, and those of the page, oldest first."""
        return await self._read(lambda store: store.labels(dataset, page))

    async def add(self, new: NewEntity) -> int:
        """The entity's number, once it is on the disk. What is the same by dataset, name and
        content is one entity and gets the labels.

        It is taken also when the caller is cancelled. Raises DatasetUnknown, DatasetBusy and
        QuotaExceeded.
        """
        self._check_open()
        if self._waiting is None:
            self._waiting = _Batch()
            self._waiting.answers = self._spawn(self._commit())
        batch = self._waiting
        place = len(batch.entities)
        batch.entities.append(new)
        answer = (await asyncio.shield(batch.answers))[place]
        if isinstance(answer, EdgedError):
            raise answer
        return answer

    async def delete(self, dataset: int) -> None:
        """With all that is in it; its disk is free when this returns. It goes on when the caller
        is cancelled. Raises DatasetUnknown and DatasetBusy."""
        self._check_open()
        if dataset in self._deleting:
            raise DatasetBusy()
        self._deleting.add(dataset)
        deletion = self._spawn(self._in_steps(lambda store: store.deletion(dataset)))
        deletion.add_done_callback(lambda _: self._deleting.discard(dataset))
        await asyncio.shield(deletion)

    async def delete_label(self, dataset: int, name: str) -> None:
        """Off its entities, which stay. It goes on when the caller is cancelled. Raises
        DatasetUnknown, DatasetBusy and LabelUnknown."""
        self._check_open()
        steps = self._in_steps(lambda store: store.label_deletion(dataset, name))
        await asyncio.shield(self._spawn(steps))

    async def _commit(self) -> List[_Answer]:
        """The additions that have come while the ones before them were committed."""
        asked = time.monotonic()
        async with self._committing:
            assert self._waiting is not None
            entities, self._waiting = self._waiting.entities, None
            try:
                return await self._write(lambda store: store.add(entities), asked)
            except StoreError as error:
                if len(entities) == 1:
                    return [error]
            # What is too large for the disk takes none with it that is not.
            return [await self._commit_one(new, asked) for new in entities]

    async def _commit_one(self, new: NewEntity, asked: float) -> _Answer:
        try:
            (answer,) = await self._write(lambda store: store.add([new]), asked)
        except StoreError as error:
            return error
        return answer

    async def _write(self, change: Callable[[Store], _T], asked: Optional[float] = None) -> _T:
        """`asked`, in monotonic seconds, is when, where that is not just now."""
        answer = await self._writer.ask(change, asked)
        if not self._tidied:
            self._tidied = True
            self._spawn(self._tidy())
        return answer

    async def _read(self, question: Callable[[Reader], _T]) -> _T:
        self._check_open()
        return await self._reader.ask(question)

    async def _tidy(self) -> None:
        with suppress(StoreError, Stopping):
            await self._in_steps(lambda store: store.tidy())

    async def _in_steps(self, begin: Callable[[Store], Iterator[None]]) -> None:
        steps = await self._write(begin)
        while await self._write(lambda _: next(steps, _DONE)) is not _DONE:
            if self._closing:
                raise Stopping()

    def _spawn(self, work: Coroutine[None, None, _T]) -> asyncio.Task[_T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _check_open(self) -> None:
        if self._closing:
            raise Stopping()


_DONE = object()


class _Batch:
    """Additions that go to the disk together, and the answers to them in the same order."""

    def __init__(self) -> None:
        self.entities: List[NewEntity] = []
        self.answers: asyncio.Task[List[_Answer]]


class _Desk(Generic[_R]):
    """A thread, and the store that it opens as soon as it can."""

    def __init__(self, open_store: Callable[[], _R], name: str) -> None:
        self._open = open_store
        self._thread = ThreadPoolExecutor(1, name)
        self._store: Optional[_R] = None
        self._trouble = ""
        self._slow_until = -math.inf

    async def ask(self, question: Callable[[_R], _T], asked: Optional[float] = None) -> _T:
        """Raises what it raises; the cause of a StoreError is for the log.

        Who has waited (since `asked`, in monotonic seconds) behind a question that took long
        to fail gets the same answer: one after the other they would wait for hours.
        """
        since = time.monotonic() if asked is None else asked
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._answer, question, since)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _answer(self, question: Callable[[_R], _T], since: float) -> _T:
        if since < self._slow_until:
            raise StoreError()
        began = time.monotonic()
        try:
            if self._store is not None and self._store.moved():
                self._close()
            if self._store is None:
                self._store = self._open()
            answer = question(self._store)
        except StoreError as error:
            if str(error) != self._trouble:
                _log.error("%s", error)
            self._trouble = str(error)
            now = time.monotonic()
            if now - began > _SLOW_SECONDS:
                self._slow_until = now
            raise StoreError() from error
        self._trouble = ""
        return answer

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None
