"""How long lists and additions take as datasets grow, as a table.

    .venv/bin/python scripts/bench_datasets.py [FOLDER]

In a new folder in FOLDER (default: here), which decides on the disk: what is answered is on it.
Each addition is a new picture of 4 KiB with one label of twenty, and waits for three writes one
after another: of its file, of the folder and of the rows. A file of that size, written and synced
on its own, is the measure of the disk.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Awaitable, Dict, List
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edged.datasets.store import Store
from edged.datasets.types import Content, Kind, Label, NewEntity, Page, Quota
from edged.datasets.writer import Datasets

SIZES = (1_000, 10_000, 100_000)
COUNTED = 300
BAR_MS = 20.0
ROWS = ("a file, written and synced", "list of 100", "label list of 20", "addition")
PAGE = Page(0, 100)

KIND: Kind = "IMAGE_CLASSIFICATION"
QUOTA = Quota(entities=1 << 40, bytes=1 << 60, reserve=0)


def entity(dataset: int) -> NewEntity:
    content = Content(os.urandom(4096), ".jpg", 64, 64)
    name = f"{time.monotonic_ns()}.jpg"
    return NewEntity(dataset, name, content, [Label(f"label_{content.data[0] % 20}")])


def fill(folder: Path, dataset: int, count: int) -> None:
    """Not lasting, which would take an hour on a card, but all on the disk in the end."""
    with mock.patch("os.fsync"), closing(Store(folder, QUOTA)) as store:
        while count > 0:
            store.add([entity(dataset) for _ in range(min(count, 500))])
            count -= 500
    os.sync()


async def timed(taken: List[float], call: Awaitable[object]) -> None:
    began = time.perf_counter()
    await call
    taken.append((time.perf_counter() - began) * 1000)


async def synced(file: Path) -> None:
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY)
    os.write(descriptor, bytes(4096))
    os.fsync(descriptor)
    os.close(descriptor)


async def measure(folder: Path, dataset: int) -> Dict[str, List[float]]:
    """Milliseconds. One of each in turn, so that all have the same machine."""
    datasets = Datasets(folder / "datasets", QUOTA)
    await datasets.start()
    taken: Dict[str, List[float]] = {name: [] for name in ROWS}
    for number in range(COUNTED):
        calls = (
            synced(folder / f"{number}"),
            datasets.list("", KIND, PAGE),
            datasets.labels(dataset, PAGE),
            datasets.add(entity(dataset)),
        )
        for name, call in zip(ROWS, calls):
            await timed(taken[name], call)
    await datasets.close()
    return taken


def row(name: str, taken: List[float]) -> str:
    ordered = sorted(taken)
    median, high = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
    over = f"  over {BAR_MS:g}" if name != ROWS[0] and median >= BAR_MS else ""
    return f"  {name:<32} {median:8.2f} {high:8.2f}{over}"


def disk_of(folder: Path) -> str:
    """The mount point's device and file system."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    path = f"{folder.resolve()}/"
    above = [mount for mount in mounts if path.startswith(os.path.join(mount[1], ""))]
    device, point, system, *_ = max(above, key=lambda mount: len(mount[1]))
    return f"{system} on {device}, mounted at {point}"


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else ".") as name:
        folder = Path(name)
        print(f"{disk_of(folder)}\n  {'milliseconds':<32} {'median':>8} {'p99':>8}")
        with closing(Store(folder / "datasets", QUOTA)) as store:
            dataset = store.create("", KIND, "measured")
            for number in range(PAGE.num - 1):
                store.create("", KIND, f"other {number}")
        there = 0
        for size in SIZES:
            fill(folder / "datasets", dataset, size - there)
            print(f"{size:,} entities")
            taken = asyncio.run(measure(folder, dataset))
            there = size + COUNTED
            for name in ROWS:
                print(row(name, taken[name]), flush=True)


if __name__ == "__main__":
    main()
