"""One model for one command, in its own process as in the daemon, without a server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import AsyncIterator, Callable, Iterator, Tuple

from edged import wire
from edged.config import Settings
from edged.daemon.capacity import this_machine
from edged.daemon.pictures import Pictures
from edged.daemon.plan import make_plans, open_pool
from edged.daemon.pool import Pool
from edged.daemon.zygote import Zygote
from edged.errors import ModelUnavailable
from edged.registry.entry import Entry
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


@contextmanager
def picture_sizes(settings: Settings) -> Iterator[Callable[[bytes], Tuple[int, int]]]:
    """Gives a function for the (width, height) of a picture as a viewer shows it.

    It raises as `Pictures.size` does. For a thread without a loop.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # Python 3.8 binds locks and events when they are made

    async def started() -> Zygote:
        return Zygote()

    zygote = loop.run_until_complete(started())
    pictures = Pictures(settings, zygote)

    def size_of(image: bytes) -> Tuple[int, int]:
        deadline = loop.time() + settings.deadline
        return loop.run_until_complete(pictures.size(image, deadline))

    try:
        yield size_of
    finally:
        loop.run_until_complete(pictures.stop())
        loop.run_until_complete(zygote.close())
        asyncio.set_event_loop(None)
        loop.close()
