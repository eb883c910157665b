"""Whether a picture decodes, and its size: asked of a worker without a model."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Optional, Tuple

from edged import wire
from edged.config import Settings
from edged.daemon.poison import Poison
from edged.daemon.pool import Pool
from edged.daemon.service import check_limits
from edged.daemon.supervisor import Attempt, Limits, Supervisor
from edged.daemon.zygote import Zygote
from edged.errors import DeadlinePassed

_NAME = "pictures"
# A worker begins with 28 MB, and one that has decoded 12 megapixels keeps 70. What it took for
# a much larger picture is not worth keeping: it is replaced after one.
_MEMORY = 96 << 20


class Pictures:
    """The worker is started with the first picture, and stays until `stop`."""

    def __init__(self, settings: Settings, zygote: Zygote) -> None:
        self._settings = settings
        self._zygote = zygote
        self._pool: Optional[Pool] = None
        self._starting: Optional[asyncio.Task[Pool]] = None

    async def size(self, image: bytes, deadline: float) -> Tuple[int, int]:
        """(width, height) as a viewer shows it. `deadline` is in the loop's time.

        Raises BadImage, ImageTooLarge, and what `Pool.predict` does.
        """
        check_limits(image, self._settings)
        pool = await self._started(deadline)
        prediction = await pool.predict(image, wire.PredictOptions(), deadline)
        return prediction.width, prediction.height

    async def stop(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        if self._pool is not None:
            await self._pool.stop()

    async def _started(self, deadline: float) -> Pool:
        """Once more after a failure: there may be memory for a process by now."""
        loop = asyncio.get_running_loop()
        failed = self._pool is not None and self._pool.state == "failed"
        if self._starting is None or (failed and self._starting.done()):
            self._starting = loop.create_task(self._start())
        done, _ = await asyncio.wait([self._starting], timeout=deadline - loop.time())
        if not done:
            raise DeadlinePassed()
        return self._starting.result()

    async def _start(self) -> Pool:
        if self._pool is not None:
            await self._pool.stop()
        settings = self._settings
        supervisor = Supervisor(
            _NAME,
            [Attempt(wire.LoadNothing(memory_limit=2 * settings.memory_mib << 20), instances=1)],
            Limits(settings.queue, settings.run_timeout, _MEMORY),
            self._zygote,
            Poison(Path(settings.state) / "poison" / _NAME),
            sample=None,
        )
        self._pool = Pool(supervisor)
        await self._pool.start()
        return self._pool
