"""The daemon's way to its datasets: nothing waits for a disk but who asked for it."""

from __future__ import annotations

import asyncio
import logging
import re
import resource
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Awaitable, Callable, List

import pytest

from edged.datasets.lock import WriteLock
from edged.datasets.store import Store
from edged.datasets.types import NewEntity
from edged.datasets.writer import Datasets
from edged.errors import (
    DatasetBusy,
    DatasetExists,
    DatasetUnknown,
    LabelUnknown,
    Stopping,
    StoreError,
)
from tests.datasets.history import check_whole
from tests.datasets.stores import ALL, ENOUGH, TEXT, text
from tests.power_loss import record

_Work = Callable[[Datasets], Awaitable[None]]


def with_datasets(folder: Path, work: _Work) -> None:
    """From its start to its end."""

    async def run() -> None:
        datasets = Datasets(folder, ENOUGH)
        await datasets.start()
        try:
            await work(datasets)
        finally:
            await datasets.close()

    asyncio.run(run())


def many(dataset: int) -> List[NewEntity]:
    """More than a few steps delete, with one content."""
    return [text(dataset, b"same", name=f"{number}") for number in range(5000)]


async def until_deleting(datasets: Datasets, number: int) -> None:
    for _ in range(100_000):
        if (await datasets.dataset(number)).busy == "deletion":
            return
    raise AssertionError("the deletion does not begin")


async def until_one_is_left(datasets: Datasets) -> None:
    for _ in range(100_000):
        if (await datasets.list("key", TEXT, ALL))[0] == 1:
            return
    raise AssertionError("the deletion is not ended")


def test_each_call_does_what_the_store_does(folder: Path) -> None:
    async def work(datasets: Datasets) -> None:
        number = await datasets.create("key", TEXT, "a")
        with pytest.raises(DatasetExists):
            await datasets.create("key", TEXT, "a")
        assert (await datasets.dataset(number)).name == "a"
        entity = await datasets.add(text(number, b"text", "x", "y"))
        assert await datasets.add(text(number, b"text", "x")) == entity
        with pytest.raises(DatasetUnknown):
            await datasets.add(text(number + 1))
        total, (dataset,) = await datasets.list("key", TEXT, ALL)
        assert (total, dataset.id, dataset.entities) == (1, number, 1)
        total, labels = await datasets.labels(number, ALL)
        assert [(label.name, label.entities) for label in labels] == [("x", 1), ("y", 1)]
        await datasets.delete_label(number, "x")
        with pytest.raises(LabelUnknown):
            await datasets.delete_label(number, "x")
        assert [label.name for label in (await datasets.labels(number, ALL))[1]] == ["y"]
        await datasets.delete(number)
        for call in (datasets.delete(number), datasets.dataset(number)):
            with pytest.raises(DatasetUnknown):
                await call

    with_datasets(folder, work)
    check_whole(folder)


def test_a_list_does_not_wait_for_a_writer(folder: Path) -> None:
    async def work(datasets: Datasets) -> None:
        number = await datasets.create("key", TEXT, "a")
        with closing(WriteLock(folder)) as lock:
            with lock.held():
                adding = asyncio.ensure_future(datasets.add(text(number)))
                assert (await datasets.list("key", TEXT, ALL))[0] == 1
                assert await datasets.labels(number, ALL) == (0, [])
                assert not adding.done()
            await adding

    with_datasets(folder, work)


def test_a_deletion_lets_additions_in_between(folder: Path) -> None:
    async def work(datasets: Datasets) -> None:
        number = await datasets.create("key", TEXT, "a")
        other = await datasets.create("key", TEXT, "b")
        await asyncio.gather(*(datasets.add(new) for new in many(number)))
        deletion = asyncio.ensure_future(datasets.delete(number))
        await datasets.add(text(other))
        await until_deleting(datasets, number)
        for call in (datasets.add(text(number)), datasets.delete(number)):
            with pytest.raises(DatasetBusy):
                await call
        await datasets.add(text(other, b"more"))
        assert not deletion.done()
        await deletion

    with_datasets(folder, work)
    check_whole(folder)


_MANY = """
import asyncio, sys
from pathlib import Path
from edged.datasets.writer import Datasets
from tests.datasets.stores import ENOUGH, TEXT, text

async def main():
    datasets = Datasets(Path(sys.argv[1]), ENOUGH)
    await datasets.start()
    number = await datasets.create("", TEXT, "a")
    await asyncio.gather(*(datasets.add(text(number, b"%d" % n)) for n in range(100)))
    await datasets.close()

asyncio.run(main())
"""


def test_additions_that_come_together_reach_the_disk_together(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    command = [sys.executable, "-c", _MANY, str(state / "datasets")]
    trace = record(state, command, tmp_path).trace.read_text()
    log = re.escape("".join(f"\\x{byte:02x}" for byte in b"datasets.sqlite-wal"))
    assert 1 <= len(re.findall(rf"fdatasync\(\d+<[^>]*{log}>", trace)) < 20


def test_what_the_disk_does_not_take_takes_no_other_with_it(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(datasets: Datasets) -> None:
        number = await datasets.create("key", TEXT, "a")
        huge = text(number, bytes(2 << 20))
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, unlimited[1]))
        try:
            calls = [datasets.add(new) for new in (text(number), huge, text(number, b"2"))]
            answers: List[Any] = await asyncio.gather(*calls, return_exceptions=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        assert [type(answer) for answer in answers] == [int, StoreError, int]
        assert "too large" in caplog.text  # the kernel's words
        check_whole(folder)  # nor is half of it left
        await datasets.add(huge)

    with_datasets(folder, work)


def test_a_store_that_cannot_be_opened_is_opened_later(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Store(folder, ENOUGH)) as store:
        number = store.create("key", TEXT, "a")
        store.add([text(number)])
        next(store.deletion(number))
    elsewhere = folder.with_name("elsewhere")
    folder.rename(elsewhere)
    folder.write_text("in the way")

    def repair() -> None:
        folder.unlink()
        elsewhere.rename(folder)

    async def work(datasets: Datasets) -> None:
        for _ in range(3):
            for call in (datasets.create("key", TEXT, "b"), datasets.add(text(1))):
                with pytest.raises(StoreError) as failure:
                    await call
                assert str(folder) not in str(failure.value)  # the client need not know
            with pytest.raises(StoreError):
                await datasets.list("key", TEXT, ALL)
        causes = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
        assert len(causes) == 2  # of the thread that writes and of the one that reads
        assert all(str(folder) in cause for cause in causes)
        repair()
        await datasets.create("key", TEXT, "b")
        await until_one_is_left(datasets)  # the deletion is ended

    with_datasets(folder, work)
    check_whole(folder)


def test_a_store_that_is_replaced_is_opened_again(folder: Path) -> None:
    """What would go to files that have no name any more would be lost."""

    def replace() -> None:
        folder.rename(folder.with_name("old"))

    async def work(datasets: Datasets) -> None:
        await datasets.create("key", TEXT, "a")
        assert (await datasets.list("key", TEXT, ALL))[0] == 1
        replace()
        assert await datasets.create("key", TEXT, "a") == 1
        assert (await datasets.list("key", TEXT, ALL))[0] == 1

    with_datasets(folder, work)


def test_all_who_wait_for_a_stopped_process_wait_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other they would wait for minutes, and their contents be held meanwhile."""
    monkeypatch.setattr("edged.datasets.lock._WAIT_SECONDS", 1.0)
    monkeypatch.setattr("edged.datasets.writer._SLOW_SECONDS", 0.9)

    async def work(datasets: Datasets) -> None:
        number = await datasets.create("key", TEXT, "a")
        calls: List[Awaitable[int]] = [
            *(datasets.add(text(number, b"%d" % n)) for n in range(50)),
            *(datasets.create("key", TEXT, f"{n}") for n in range(50)),
        ]
        with closing(WriteLock(folder)) as lock, lock.held():
            waiting = asyncio.gather(*calls, return_exceptions=True)
            answers = await asyncio.wait_for(waiting, 30)
        assert {type(answer) for answer in answers} == {StoreError}
        await datasets.add(text(number))
        assert (await datasets.dataset(number)).entities == 1

    with_datasets(folder, work)
    check_whole(folder)


def test_who_goes_away_takes_no_addition_back(folder: Path) -> None:
    async def work(datasets: Datasets) -> None:
        number = await datasets.create("key", TEXT, "a")
        with closing(WriteLock(folder)) as lock, lock.held():
            adding = asyncio.ensure_future(datasets.add(text(number)))
            await asyncio.sleep(0)
            adding.cancel()
            with pytest.raises(asyncio.CancelledError):
                await adding
        await datasets.add(text(number, b"more"))
        assert (await datasets.dataset(number)).entities == 2

    with_datasets(folder, work)


def test_closing_ends_what_was_accepted_and_takes_no_more(folder: Path) -> None:
    async def run() -> int:
        datasets = Datasets(folder, ENOUGH)
        await datasets.start()
        number = await datasets.create("key", TEXT, "a")
        doomed = await datasets.create("key", TEXT, "b")
        await asyncio.gather(*(datasets.add(new) for new in many(doomed)))
        adding = [asyncio.ensure_future(datasets.add(text(number, b"%d" % n))) for n in range(20)]
        deletion = asyncio.ensure_future(datasets.delete(doomed))
        await until_deleting(datasets, doomed)
        await datasets.close()
        await asyncio.gather(*adding)
        with pytest.raises(Stopping):
            await deletion
        for call in (
            *(datasets.add(text(number)), datasets.create("key", TEXT, "c")),
            *(datasets.list("key", TEXT, ALL), datasets.delete(number)),
            datasets.delete_label(number, "a"),
        ):
            with pytest.raises(Stopping):
                await call
        return number

    number = asyncio.run(run())

    async def work(datasets: Datasets) -> None:
        assert (await datasets.dataset(number)).entities == 20
        await until_one_is_left(datasets)

    with_datasets(folder, work)
    check_whole(folder)
