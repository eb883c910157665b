"""The models while they are served: taken up, changed, and rolled back, one change at a time.

A version is tried in processes of its own beside the one that serves, then written down,
then swapped in; the old one ends when it has answered all that it was asked.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, AsyncContextManager, Awaitable, Coroutine, Dict, List, Optional

import msgspec

from edged.config import Settings
from edged.daemon.pool import Pool
from edged.daemon.pools import Pools, plan_all
from edged.daemon.service import Offer, Served, Service
from edged.daemon.turns import Turns, in_thread
from edged.daemon.zygote import Zygote
from edged.errors import BadModel, EdgedError, ModelBusy, NotKept, NotPossible, Stopping
from edged.registry.install import Library, Place, find
from edged.registry.registry import Found

_log = logging.getLogger(__name__)

TRIAL_SECONDS = 60.0
"""A version that fails within so many of them is rolled back from."""


class Live:
    """`service` is there after `open`. What is said to raise raises EdgedError; nothing has
    changed then. A change goes on when whoever asked for it has gone.
    """

    service: Service

    def __init__(self, settings: Settings, zygote: Zygote, offer: Offer) -> None:
        """`offer` is of `Service`."""
        self._settings = settings
        self._zygote = zygote
        self._offer = offer
        self._library = Library(Path(settings.models), Path(settings.state))
        self._pools: Pools
        self._turns = Turns()
        self._trials: Dict[str, asyncio.Task[None]] = {}
        self._loading: List[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Finds the models. Raises ConfigError."""
        entries = await in_thread(self._library.open)
        machine, planned = await in_thread(plan_all, entries, self._settings)
        self._pools = pools = Pools(self._settings, machine, self._zygote)
        models = (Served(entry, pools.open(plan) if plan else None) for entry, plan in planned)
        self.service = Service(models, self._settings, self._offer)

    def start(self) -> None:
        """Loads them, behind what is served already."""
        models = self.service.models
        self._loading = [self._turns.run(self._load(one, one.pool)) for one in models if one.pool]

    async def loaded(self) -> None:
        """Waits until every model that was there at the start is ready or failed."""
        await asyncio.gather(*self._loading)

    async def stop(self) -> None:
        """Ends all workers. A change that is under way ends before it is written down, or is
        found at the next start.
        """
        await self._turns.stop()
        await self._pools.close()

    # -- what is asked for

    async def install(self, archive: IO[bytes], place: Place) -> Served:
        """A zip, as a new version of the model in that place or as a new model. Raises.

        Closes `archive`, which may be a file that has no name any more.
        """

        async def install(folder: str) -> Served:
            with archive:
                path = Path(f"/proc/self/fd/{archive.fileno()}")
                entries = [served.entry for served in self.service.models]
                staged = await in_thread(self._library.stage, path, place, entries)
            return await self._replace(folder, Found(staged.entry, staged.record))

        try:
            return await self._turns.change(place.folder, install)
        except (ModelBusy, Stopping):
            archive.close()
            raise

    async def enable(self, mid: int) -> Served:
        """Raises."""
        return await self._turns.change(self._folder(mid), self._enable)

    async def disable(self, mid: int) -> Served:
        """Raises."""
        return await self._turns.change(self._folder(mid), self._disable)

    async def remove(self, mid: int) -> Served:
        """What it was. Raises."""
        return await self._turns.change(self._folder(mid), self._remove)

    async def roll_back(self, mid: int) -> Served:
        """Raises."""
        return await self._turns.change(self._folder(mid), self._roll_back)

    async def reload(self, mid: int) -> Served:
        """What lies in its folder now; nothing where that has not changed. Raises."""
        return await self._turns.change(self._folder(mid), self._reload)

    async def rescan(self) -> None:
        """Takes up all that has changed in the models' folder. Raises ConfigError."""
        await self._turns.in_turn(self._rescan)

    def rescan_soon(self, around: AsyncContextManager[None]) -> None:
        """As `rescan`, for a signal: what goes wrong is logged. It is done within `around`."""

        async def rescan() -> None:
            async with around:
                await self._logged(self.rescan(), "the models' folder is not read again")

        self._turns.run(rescan())

    # -- how it is done; all of it in turn

    async def _enable(self, folder: str) -> Served:
        served = self._served(folder)
        if not served.entry.disabled:
            return served
        entry = msgspec.structs.replace(served.entry, disabled=False)
        if entry.spec is None:
            raise BadModel(entry.reason)
        pool = await self._pools.tried(entry, self._models_with(folder))
        await self._or_end(pool, in_thread(self._library.set_disabled, folder, False))
        after = self._swap(served, Served(entry, pool))
        self._watch(after, pool)
        return after

    async def _disable(self, folder: str) -> Served:
        served = self._served(folder)
        await in_thread(self._library.set_disabled, folder, True)
        entry = msgspec.structs.replace(served.entry, disabled=True)
        return self._swap(served, Served(entry, None))

    async def _remove(self, folder: str) -> Served:
        served = self._served(folder)
        await in_thread(self._library.remove, folder, served.entry.mid)
        self.service.drop(folder)
        self._retire(served)
        return served

    async def _roll_back(self, folder: str) -> Served:
        previous = await in_thread(self._library.previous, folder)
        return await self._replace(folder, Found(previous.entry, previous.record))

    async def _reload(self, folder: str) -> Served:
        found = await in_thread(self._library.survey)
        for one in found:
            if one.entry.folder == folder:
                await self._take_up(one, self._served(folder))
                served = self._served(folder)
                if served.state == "failed" or served.entry.note:
                    raise BadModel(served.reason)
                return served
        raise NotPossible("its folder has gone: remove it, or reload all")

    async def _rescan(self) -> None:
        found = await in_thread(self._library.survey)
        there = {one.entry.folder for one in found}
        gone = [served for served in self.service.models if served.entry.folder not in there]
        for one in found:
            before = self.service.of(one.entry.folder) or _namesake(one, gone)
            await self._take_up(one, before)
        for served in gone:
            await in_thread(self._library.forget, served.entry.folder)
            if self.service.of(served.entry.folder) is not None:
                self.service.drop(served.entry.folder)
                self._retire(served)

    async def _take_up(self, one: Found, before: Optional[Served]) -> None:
        """What the folder holds now in the place of what is served of it, if that is another."""
        entry = one.entry
        if before is not None and _same(one, before):
            with suppress(NotKept):  # whoever emptied the state directory finds it filled again
                await self._keep(one)
            self.service.put(before._replace(entry=entry))
        elif before is not None and before.state == "ready" and not entry.disabled:
            await self._replace_if_better(one, before)
        elif entry.spec is None or entry.disabled:
            self._swap(before, Served(entry, None))
        else:
            await self._keep(one)
            folder = before.entry.folder if before is not None else entry.folder
            beside = await self._pools.beside(entry, self._models_with(folder))
            served = self._swap(before, beside)
            if served.pool is not None:
                await self._load(served, served.pool)

    async def _replace_if_better(self, one: Found, before: Served) -> None:
        try:
            if one.entry.reason:
                raise BadModel(one.entry.reason)
            await self._replace(before.entry.folder, one)
        except (BadModel, NotKept) as error:
            _log.error("%s goes on as it was: %s", before.entry.name, error)
            self._note(before, f"what lies in its folder now is not served: {error}")

    async def _replace(self, folder: str, one: Found) -> Served:
        """Tries the version, makes it the one that is kept, and swaps it in."""
        before, entry = self.service.of(folder), one.entry
        pool = await self._pools.tried(entry, self._models_with(folder))
        await self._or_end(pool, self._keep(one))
        if entry.disabled:
            await self._pools.end(pool)
            return self._swap(before, Served(entry, None))
        after = self._swap(before, Served(entry, pool))
        self._watch(after, pool)
        return after

    def _swap(self, before: Optional[Served], after: Served) -> Served:
        """In one step of the loop: whoever asks next asks `after`."""
        if before is not None and before.entry.folder != after.entry.folder:
            self.service.drop(before.entry.folder)
        self.service.put(after)
        _log.info("%s: version %s is %s", after.entry.name, after.entry.version, after.state)
        if before is not None:
            self._retire(before)
        return after

    def _retire(self, served: Served) -> None:
        trial = self._trials.pop(served.entry.folder, None)
        if trial is not None and trial is not asyncio.current_task():
            trial.cancel()
        self._turns.run(self._drain(served.pool))

    async def _drain(self, pool: Optional[Pool]) -> None:
        if pool is not None:
            await self._pools.drain(pool)
        async with self._turns.turn:  # what is being staged is used by nothing yet
            await in_thread(self._library.tidy, self._pools.specs)

    async def _load(self, served: Served, pool: Pool) -> None:
        await pool.start()
        now = self.service.of(served.entry.folder)
        if now is not None and now.pool is pool:  # it may have been changed while it loaded
            self._watch(served, pool)

    async def _keep(self, one: Found) -> None:
        """Not what is served from where it lies."""
        if one.record is not None:
            await in_thread(self._library.keep, one.entry.folder, one.record)

    async def _or_end(self, pool: Pool, work: Awaitable[None]) -> None:
        """Without what `work` does there is nothing for the pool to serve."""
        try:
            await work
        except BaseException:
            await self._pools.end(pool)
            raise

    # -- the first minute

    def _watch(self, served: Served, pool: Pool) -> None:
        if served.entry.on_trial:
            self._trials[served.entry.folder] = self._turns.run(self._try(served, pool))

    async def _try(self, served: Served, pool: Pool) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(pool.hopeless(), TRIAL_SECONDS)
        if pool.state == "failed" or pool.only_fails:
            _log.error("%s: %s", served.entry.name, pool.reason or "every request failed")
            work = self._roll_back_from(served, pool)
            await self._logged(work, f"{served.entry.name} is not rolled back")
        elif served.entry.version is not None:
            folder, version = served.entry.folder, served.entry.version
            await in_thread(self._library.end_trial, folder, version)
            now = self.service.of(folder)
            if now is not None and now.pool is pool:
                entry = msgspec.structs.replace(now.entry, on_trial=False)
                self.service.put(now._replace(entry=entry))

    async def _roll_back_from(self, served: Served, pool: Pool) -> None:
        async with self._turns.turn:
            now = self.service.of(served.entry.folder)
            if now is None or now.pool is not pool:
                return  # it has been replaced meanwhile
            after = await self._roll_back(served.entry.folder)
            self._note(after, f"it was rolled back: {pool.reason or 'every request failed'}")
            _log.error("%s is rolled back", served.entry.name)

    # -- tools

    async def _logged(self, work: Coroutine[Any, Any, None], what: str) -> None:
        try:
            await work
        except EdgedError as error:
            _log.error("%s: %s", what, error)

    def _models_with(self, folder: str) -> int:
        """How many share the machine when the one in that folder is served."""
        loaded = (served.entry.folder for served in self.service.models if served.pool is not None)
        return len({folder, *loaded})

    def _folder(self, mid: int) -> str:
        return find([served.entry for served in self.service.models], mid).folder

    def _served(self, folder: str) -> Served:
        served = self.service.of(folder)
        if served is None:
            raise NotPossible("the model was removed meanwhile")
        return served

    def _note(self, served: Served, note: str) -> None:
        entry = msgspec.structs.replace(served.entry, note=note)
        self.service.put(served._replace(entry=entry))


def _same(one: Found, served: Served) -> bool:
    """Whether it is what is served, and that is as it is to be."""
    entry, now = one.entry, served.entry
    if served.pool is not None and served.pool.state == "failed":
        return False
    if entry.version is None and entry.spec != now.spec:  # from where it lies
        return False
    return msgspec.structs.replace(entry, spec=None, note="", on_trial=False) == (
        msgspec.structs.replace(now, spec=None, note="", on_trial=False)
    )


def _namesake(one: Found, gone: List[Served]) -> Optional[Served]:
    """The model that is in another folder now."""
    same = (served for served in gone if served.entry.mid == one.entry.mid)
    return next(same, None) if one.entry.spec is not None else None
