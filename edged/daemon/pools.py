"""The pools of all models that are loaded: opened, tried, ended."""

from __future__ import annotations

import asyncio
from typing import Dict, List, Sequence, Set, Tuple, Union

import msgspec

from edged.config import Settings
from edged.daemon.capacity import Machine, this_machine
from edged.daemon.plan import Plan, make_plan_beside, make_plans, open_pool
from edged.daemon.pool import Pool
from edged.daemon.service import Served
from edged.daemon.zygote import Zygote
from edged.errors import BadModel, NotKept
from edged.registry.entry import Entry
from edged.registry.spec import ModelSpec


class Pools:
    """On one fork server, `zygote`. `machine` is as it was when no model was loaded."""

    def __init__(self, settings: Settings, machine: Machine, zygote: Zygote) -> None:
        self._settings = settings
        self._machine = machine
        self._zygote = zygote
        self._pools: Dict[Pool, ModelSpec] = {}

    @property
    def specs(self) -> List[ModelSpec]:
        """Of what is loaded, or was asked for and has not ended."""
        return list(self._pools.values())

    def open(self, plan: Plan) -> Pool:
        """Its workers are not started yet."""
        pool = open_pool(plan, self._zygote)
        self._pools[pool] = plan.spec
        return pool

    async def beside(self, entry: Entry, models: int) -> Served:
        """With a pool that is not started, or without one and with the reason where there is no
        room. `models` are served by then.
        """
        loaded = {pool.engine for pool in self._pools}
        loop = asyncio.get_running_loop()
        plan = await loop.run_in_executor(None, self._plan, entry, models, loaded)
        entry, made = planned(entry, plan)
        return Served(entry, self.open(made) if made else None)

    def _plan(self, entry: Entry, models: int, loaded: Set[str]) -> Union[Plan, str]:
        assert entry.spec is not None, "only what can be read is planned"
        return make_plan_beside(entry.spec, models, self._settings, self._machine, loaded)

    async def tried(self, entry: Entry, models: int) -> Pool:
        """One that has loaded the model and answered its sample. Raises BadModel, NotKept."""
        served = await self.beside(entry, models)
        pool = served.pool
        if pool is None:
            raise NotKept(served.reason)
        try:
            await pool.start()
            if pool.state != "ready":
                raise BadModel(pool.reason)
        except BaseException:
            await self.end(pool)
            raise
        return pool

    async def drain(self, pool: Pool) -> None:
        """Ends it once it has answered all; nobody may ask it any more."""
        await pool.drain()
        self._pools.pop(pool, None)

    async def end(self, pool: Pool) -> None:
        await pool.stop()
        self._pools.pop(pool, None)

    async def close(self) -> None:
        await asyncio.gather(*(pool.stop() for pool in self._pools))


def plan_all(
    entries: Sequence[Entry], settings: Settings
) -> Tuple[Machine, List[Tuple[Entry, Union[Plan, None]]]]:
    """How each is to be served, at the start. Blocks on the disk."""
    machine = this_machine()
    specs = [entry.spec for entry in entries if entry.spec and not entry.disabled]
    plans = iter(make_plans(specs, settings, machine))
    return machine, [
        planned(entry, next(plans)) if entry.spec and not entry.disabled else (entry, None)
        for entry in entries
    ]


def planned(entry: Entry, plan: Union[Plan, str]) -> Tuple[Entry, Union[Plan, None]]:
    """The entry refused, if there is no plan but a reason."""
    if isinstance(plan, str):
        return msgspec.structs.replace(entry, spec=None, reason=plan), None
    return entry, plan
