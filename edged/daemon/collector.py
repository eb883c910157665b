"""Pictures that models collect, on their way to a dataset: behind the answers, never before one."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from contextlib import suppress
from typing import Deque, Dict, NamedTuple, Set

from edged.datasets import collect
from edged.datasets.contents import digest_of
from edged.datasets.rules import MOST_IMAGE_BYTES, SUFFIXES
from edged.datasets.types import Content, Dataset, Kind, NewEntity
from edged.datasets.writer import Datasets
from edged.errors import DatasetUnknown, EdgedError
from edged.image_header import read_header
from edged.registry.spec import Collect, ModelSpec
from edged.results import Prediction

_log = logging.getLogger(__name__)

OWNER = ""
"""Of the board's own datasets."""

# What may wait for the disk; then pictures are dropped.
_MOST_WAITING, _MOST_BYTES = 16, 32 << 20
_REPORT_SECONDS = 60.0
_STOP_SECONDS = 2.0
# Of the picture's SHA-256, in the name of its entity.
_NAME_DIGITS = 16


class _Picture(NamedTuple):
    spec: ModelSpec
    collect: Collect
    image: bytes
    prediction: Prediction


class Collector:
    """Between `start` and `stop` it stores what `offer` was given, one after the other."""

    def __init__(self, datasets: Datasets) -> None:
        self._datasets = datasets
        self._selections: Dict[str, collect.Selection] = {}
        self._loop = asyncio.get_running_loop()
        self._waiting: Deque[_Picture] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._stopping = False
        self._storing: asyncio.Task[None]
        self._reporting: asyncio.Task[None]
        self._full: Set[str] = set()
        self._lost: Counter[str] = Counter()

    def start(self) -> None:
        self._storing = self._loop.create_task(self._store_all())
        self._reporting = self._loop.create_task(self._report_for_ever())

    async def stop(self) -> None:
        """Stores what still waits, as far as the disk is quick enough."""
        self._stopping = True
        self._news.set()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._storing, _STOP_SECONDS)
        self._lost["the daemon stops"] += len(self._waiting)
        self._reporting.cancel()
        self._report()

    def offer(self, spec: ModelSpec, image: bytes, prediction: Prediction) -> None:
        """A picture and what the model has answered for it. Costs a few microseconds."""
        if spec.collect is None:
            return
        seen = collect.seen(spec, prediction)
        if not self._selection(spec.name, spec.collect).takes(seen, self._loop.time()):
            return
        if len(image) > MOST_IMAGE_BYTES:
            self._lost["they are too large for a dataset"] += 1
        elif len(self._waiting) == _MOST_WAITING or self._bytes + len(image) > _MOST_BYTES:
            self._lost["the disk is too slow"] += 1
        else:
            self._bytes += len(image)
            self._waiting.append(_Picture(spec, spec.collect, image, prediction))
            self._news.set()

    def _selection(self, name: str, rules: Collect) -> collect.Selection:
        """A new one where a new version of the model has other rules."""
        known = self._selections.get(name)
        if known is None or known.rules != rules:
            known = self._selections[name] = collect.Selection(rules)
        return known

    async def _store_all(self) -> None:
        while self._waiting or not self._stopping:
            if not self._waiting:
                self._news.clear()
                await self._news.wait()
                continue
            picture = self._waiting.popleft()
            try:
                await self._store(picture)
            except EdgedError as error:
                self._lost[str(error)] += 1
            self._bytes -= len(picture.image)

    async def _store(self, picture: _Picture) -> None:
        """Raises EdgedError."""
        spec, image, prediction = picture.spec, picture.image, picture.prediction
        dataset = await self._dataset(collect.KINDS[spec.task], picture.collect.dataset)
        if dataset.entities >= picture.collect.total:
            if spec.name not in self._full:
                _log.info("%s has collected all that its `total` allows", spec.name)
            self._full.add(spec.name)
            return
        self._full.discard(spec.name)
        digest = await self._loop.run_in_executor(None, digest_of, image)
        suffix = SUFFIXES[read_header(image).format]
        new = NewEntity(
            dataset=dataset.id,
            # The same picture again is no second entity.
            name=f"{spec.mid}-{digest[:_NAME_DIGITS]}{suffix}",
            content=Content(image, suffix, prediction.width, prediction.height),
            labels=collect.labels_of(spec, prediction),
            reviewed=False,
        )
        await self._datasets.add(new)

    async def _dataset(self, kind: Kind, name: str) -> Dataset:
        """Made when it is missing."""
        try:
            return await self._datasets.find(OWNER, kind, name)
        except DatasetUnknown:
            return await self._datasets.dataset(await self._datasets.create(OWNER, kind, name))

    async def _report_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            self._report()

    def _report(self) -> None:
        """One line for each reason, however many there are of it."""
        for reason, count in (+self._lost).items():
            _log.warning("%d pictures were not collected: %s", count, reason)
        self._lost.clear()
