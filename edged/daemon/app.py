"""Where the parts meet: models found, workers started, routes served, everything ended."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Callable, Sequence

from aiohttp import web

from edged.config import Settings
from edged.control import Door
from edged.daemon.auth import Gate
from edged.daemon.collector import Collector
from edged.daemon.listeners import Listeners, take_held
from edged.daemon.live import Live
from edged.daemon.pictures import Pictures
from edged.daemon.routing import make_app, make_control
from edged.daemon.systemd import Systemd
from edged.daemon.traffic import IDLE_SECONDS, Traffic
from edged.daemon.zygote import Zygote
from edged.datasets import FOLDER
from edged.datasets.writer import Datasets
from edged.listen import Address

_log = logging.getLogger(__name__)

# Seconds in which a client that is refused may still send, so that it reads why.
_LINGER_SECONDS = 2.0
# Bytes of a connection that may wait to be read, twice: a picture need not stop for them.
_READ_AHEAD = 1 << 17


class Daemon:
    """The running whole: `start`, then `stop`, on the main thread's loop."""

    def __init__(self, settings: Settings, held: Sequence[socket.socket]) -> None:
        """`held` are the sockets that systemd passed. Raises ConfigError."""
        self._settings = settings
        self.models = Path(settings.models)
        self.live: Live
        self.wants_token = settings.wants_token
        self._listeners = Listeners(settings.listen, held)
        self._opening: asyncio.Task[None]
        self._ends = AsyncExitStack()

    @property
    def addresses(self) -> Sequence[Address]:
        """Where it listens, with the ports that were free."""
        return self._listeners.addresses

    @property
    def where(self) -> str:
        return ", ".join(address.url for address in self.addresses)

    @property
    def who_may(self) -> str:
        """What is open to anyone, in a sentence."""
        if self.wants_token:
            return "Every route but health and the token service wants a token (edged keys create)."
        return (
            "Open to whoever reaches it: the EdgeBoard and EasyDL-local routes, the list of "
            "models and the metrics. The others want a token (edged keys create)."
        )

    async def start(self) -> None:
        """Listens at once; models load behind it. Raises ConfigError when it cannot."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Refuses what is new, answers what was accepted, ends the workers."""
        await self._ends.aclose()

    async def _start(self) -> None:
        """Says of each part how it ends as soon as it is there: they end in reverse order."""
        settings, state, at_end = self._settings, Path(self._settings.state), self._ends
        loop = asyncio.get_running_loop()
        zygote = Zygote()
        at_end.push_async_callback(zygote.close)
        gate = Gate(state, self.wants_token)
        await gate.start()
        at_end.push_async_callback(gate.stop)
        datasets = Datasets(state / FOLDER, settings.datasets_quota)
        await datasets.start()
        at_end.push_async_callback(datasets.close)
        collector = Collector(datasets)
        collector.start()
        at_end.push_async_callback(collector.stop)
        pictures = Pictures(settings, zygote)
        at_end.push_async_callback(pictures.stop)
        self.live = Live(settings, zygote, collector.offer)
        door = Door(state, self.models)
        at_end.push_async_callback(loop.run_in_executor, None, door.close)
        commands = await self._set_up(make_control(self.live, settings))
        await self.live.open()
        at_end.push_async_callback(self.live.stop)

        traffic = Traffic(settings.max_bodies)
        app = make_app(self.live, datasets, pictures, settings, traffic, gate)
        runner = await self._set_up(app)
        assert runner.server is not None
        closing_idle = loop.create_task(traffic.close_idle(runner.server))
        at_end.callback(closing_idle.cancel)
        at_end.push_async_callback(traffic.stop, runner.server, settings.deadline + 1)
        at_end.push_async_callback(self._listeners.close)
        await self._listeners.open(runner)
        _log.info("serving at %s. %s", self.where, self.who_may)
        self.live.start()
        self._opening = loop.create_task(self._open_held(runner))
        at_end.push_async_callback(_cancelled, self._opening)
        await self._open_door(door, commands)

    async def _set_up(self, app: web.Application) -> web.AppRunner:
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,
            auto_decompress=False,
            keepalive_timeout=IDLE_SECONDS,
            read_bufsize=_READ_AHEAD,
            lingering_time=_LINGER_SECONDS,
            shutdown_timeout=_LINGER_SECONDS,
        )
        await runner.setup()
        self._ends.push_async_callback(runner.cleanup)
        return runner

    async def _open_held(self, runner: web.AppRunner) -> None:
        """Whoever connects while models load had better wait than be refused, but not for
        longer than an answer may take."""
        if self._listeners.any_held:
            loading = asyncio.ensure_future(self.live.loaded())
            await asyncio.wait([loading], timeout=self._settings.deadline)
        await self._listeners.open_held(runner)

    async def _open_door(self, door: Door, runner: web.AppRunner) -> None:
        """For the commands. Without it the models are served all the same."""
        try:
            listening = await asyncio.get_running_loop().run_in_executor(None, door.open)
        except OSError as error:
            _log.warning("commands cannot reach this daemon: %s", error)
            return
        if listening is None:
            _log.warning("another daemon serves these models: commands go to that one")
            return
        site = web.SockSite(runner, listening)
        await site.start()
        self._ends.push_async_callback(site.stop)

    async def loaded(self) -> None:
        """Waits until every model is ready or failed, and every address open."""
        await asyncio.gather(self.live.loaded(), self._opening)

    def swept(self) -> float:
        """Since when, in the loop's time, the workers of every model were looked at."""
        pools = [served.pool for served in self.live.service.models if served.pool]
        return min((pool.swept for pool in pools), default=asyncio.get_running_loop().time())


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def run(settings: Settings, announce: Callable[[Daemon], None]) -> None:
    """Serves until SIGTERM or SIGINT, then drains.

    `announce` is called, in a thread, when the models are loaded.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    # From the first on: it would end the daemon, which systemd takes for no failure.
    hung_up = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    systemd = Systemd(os.environ)
    daemon = Daemon(settings, take_held(os.environ))
    starting = loop.create_task(systemd.ask_for_time())
    await daemon.start()
    feeding = loop.create_task(systemd.feed_watchdog(daemon.swept))

    def rescan() -> None:
        daemon.live.rescan_soon(systemd.reloading())

    loop.add_signal_handler(signal.SIGHUP, rescan)
    if hung_up.is_set():
        rescan()
    try:
        stopped = loop.create_task(stop.wait())
        loaded = loop.create_task(daemon.loaded())
        await asyncio.wait([stopped, loaded], return_when=asyncio.FIRST_COMPLETED)
        starting.cancel()
        if loaded.done():
            loaded.result()
            systemd.ready()
            await loop.run_in_executor(None, announce, daemon)  # it prints, and looks at files
        await stopped
    finally:
        systemd.stopping(settings.deadline)
        await daemon.stop()
        feeding.cancel()
