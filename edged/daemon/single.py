"""One model for one command, in its own process as in the daemon, without a server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import AsyncIterator

from edged import wire
from edged.config import Settings
from edged.daemon.capacity import this_machine
from edged.daemon.plan import make_plans, open_pool
from edged.daemon.pool import Pool
from edged.daemon.zygote import Zygote
from edged.errors import ModelUnavailable
from edged.registry.registry import Entry
from edged.results import Prediction


@asynccontextmanager
async def single_model(entry: Entry, settings: Settings) -> AsyncIterator[Pool]:
    """Raises ModelUnavailable, with the reason, when the model cannot be served here."""
    if entry.spec is None:
        raise ModelUnavailable(entry.reason)
    spec, loop = entry.spec, asyncio.get_running_loop()
    (plan,) = await loop.run_in_executor(None, lambda: make_plans([spec], settings, this_machine()))
    assert not isinstance(plan, str), "the first model is never without room"
    zygote = Zygote()
    pool = open_pool(plan, zygote)
    try:
        await pool.start()
        if pool.state != "ready":
            raise ModelUnavailable(pool.reason)
        yield pool
    finally:
        await pool.stop()
        await zygote.close()


async def predict(entry: Entry, settings: Settings, image: bytes, show: bool) -> Prediction:
    """One picture through one model. Raises EdgedError."""
    async with single_model(entry, settings) as pool:
        deadline = asyncio.get_running_loop().time() + settings.deadline
        options = wire.PredictOptions(show, settings.top)
        return await pool.predict(image, options, deadline)
