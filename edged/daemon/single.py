"""One model for one command, in its own process as in the daemon, without a server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import AsyncIterator

from edged.config import Settings
from edged.daemon.app import open_pool
from edged.daemon.pool import Pool
from edged.daemon.zygote import Zygote
from edged.errors import ModelUnavailable
from edged.registry.registry import Entry
from edged.results import Prediction


@asynccontextmanager
async def single_model(entry: Entry, settings: Settings) -> AsyncIterator[Pool]:
    """Raises ModelUnavailable, with the reason, when the model cannot be served here."""
    if entry.spec is None:
        raise ModelUnavailable(f"{entry.folder} cannot be served: {entry.reason}")
    zygote = Zygote()
    pool = await open_pool(entry.spec, 1, settings, zygote)
    try:
        await pool.start()
        if pool.state != "ready":
            raise ModelUnavailable(f"{entry.folder} cannot be served: {pool.reason}")
        yield pool
    finally:
        await pool.stop()
        await zygote.close()


async def predict(entry: Entry, settings: Settings, image: bytes, show: bool) -> Prediction:
    """One picture through one model. Raises EdgedError."""
    async with single_model(entry, settings) as pool:
        deadline = asyncio.get_running_loop().time() + settings.deadline
        return await pool.predict(image, show, deadline)
