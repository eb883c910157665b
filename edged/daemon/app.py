"""Where the parts meet: models found, workers started, routes served, everything ended."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Protocol, Sequence

import aiohttp_cors
from aiohttp import web

from edged.config import Settings
from edged.control import Door
from edged.daemon import record
from edged.daemon.answers import retry_after
from edged.daemon.auth import Access, Gate, without_key
from edged.daemon.collector import Collector
from edged.daemon.dialects import baidu, easydl, edgeboard, ocr, token
from edged.daemon.dialects import datasets as dataset_api
from edged.daemon.dialects.models import ModelChanges
from edged.daemon.dialects.update import ModelUpdate
from edged.daemon.exports import Exports
from edged.daemon.listeners import Listeners, take_held
from edged.daemon.live import Live
from edged.daemon.metrics import Metrics
from edged.daemon.ops import Health, ModelList
from edged.daemon.pictures import Pictures
from edged.daemon.routes import Route
from edged.daemon.scrape import Scrape
from edged.daemon.systemd import Systemd
from edged.daemon.traffic import IDLE_SECONDS, Handler, Traffic
from edged.daemon.uploads import expect_handler
from edged.daemon.watch import REQUEST_ID, CodeOf, Watch
from edged.daemon.zygote import Zygote
from edged.datasets import FOLDER
from edged.datasets.writer import Datasets
from edged.errors import ConfigError, EdgedError, NoRoute, NotPermitted, WrongMethod
from edged.listen import Address

_log = logging.getLogger(__name__)

# Seconds in which a client that is refused may still send, so that it reads why.
_LINGER_SECONDS = 2.0
# Bytes of a refused body that are read for the sake of the connection.
_WORTH_READING = 1 << 16
# Bytes of a connection that may wait to be read, twice: a picture need not stop for them.
_READ_AHEAD = 1 << 17
_PREFLIGHT_SECONDS = 600


def make_app(
    live: Live,
    datasets: Datasets,
    pictures: Pictures,
    settings: Settings,
    traffic: Traffic,
    gate: Gate,
) -> web.Application:
    service = live.service

    metrics = Metrics()
    watch = Watch(metrics, _CODES, _dialect_of, settings.log_rate)

    @web.middleware
    async def watched(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await watch.handle(request, handler)

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await traffic.handle(request, handler)

    @web.middleware
    async def close_when_stopping(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if traffic.stopping:
            response.force_close()
        return response

    app = web.Application(middlewares=[watched, close_when_stopping, _errors, count])

    async def close_watch(_: web.Application) -> None:
        watch.close()

    app.on_cleanup.append(close_watch)

    def add(dialect: str, routes: Iterable[Route], access: Access) -> None:
        for route in app.add_routes(gate.guard(routes, access)):
            if route.resource is not None:
                watch.dialects[route.resource.canonical] = dialect

    cameras = edgeboard.EdgeBoard(service, settings, traffic.hold)
    models = easydl.EasyDL(service, settings, traffic.hold)
    text = ocr.Ocr(service, settings, traffic.hold)
    tokens = token.TokenService(gate, settings, traffic.hold)
    sets = dataset_api.DatasetApi(datasets, pictures, settings, traffic.hold)
    add("ops", Health(service).routes(), "open")
    add("ops", ModelList(service).routes(), "setting")
    add("ops", Scrape(metrics, service).routes(), "setting")
    who: Access = "open" if settings.model_changes == "open" else "manager"
    add("ops", ModelChanges(live, settings).routes(), who)
    add("edgeboard", ModelUpdate(live, settings).routes(), who)
    add("edgeboard", cameras.routes(), "setting")
    add("easydl", models.cloud_routes(), "token")
    add("ocr", text.routes(), "token")
    add("datasets", sets.routes(), "token")
    exports = Exports(datasets, Path(settings.state) / FOLDER)
    add("ops", exports.routes(), "token")
    add("token", tokens.routes(), "open")
    # Last, since it takes every path of two parts that ends as one of its own.
    add("easydl", models.local_routes(), "setting")
    _allow_origins(app, settings.cors_origins.split())
    return app


def _make_control(live: Live, settings: Settings) -> web.Application:
    """What the commands on this machine ask for: whoever reaches it may."""

    @web.middleware
    async def begun(request: web.Request, handler: Handler) -> web.StreamResponse:
        record.begin(request.headers.get(REQUEST_ID))
        return await handler(request)

    app = web.Application(middlewares=[begun, _errors])
    for route in ModelChanges(live, settings).routes():
        handler = without_key(route.handler)
        app.router.add_route(route.method, route.path, handler, expect_handler=expect_handler)
    return app


def _allow_origins(app: web.Application, origins: List[str]) -> None:
    """Answers of routes carry CORS headers for pages of these origins only."""
    if not origins:
        return
    rights = {"allow_headers": "*", "max_age": _PREFLIGHT_SECONDS}
    # Not its `setup`: for CPython 3.8 there is 0.7 only, whose `setup` makes aiohttp warn.
    cors = aiohttp_cors.CorsConfig(app, defaults=dict.fromkeys(origins, rights))
    for route in list(app.router.routes()):
        cors.add(route)


class _Dialect(Protocol):
    """What a module of dialects/ offers for the errors on its paths."""

    def speaks(self, path: str) -> bool: ...

    def error_response(self, request: web.Request, error: EdgedError) -> web.Response: ...


_DIALECTS: Dict[str, _Dialect] = {
    "token": token,
    "datasets": dataset_api,
    "easydl": easydl,
    "ocr": ocr,
    "edgeboard": edgeboard,
}


def _own_code(error: EdgedError) -> int:
    return error.code


_CODES: Dict[str, CodeOf] = {
    "ops": _own_code,
    "edgeboard": _own_code,
    "token": _own_code,
    "easydl": baidu.code_of,
    "ocr": baidu.code_of,
    "datasets": dataset_api.code_of,
}


def _dialect_of(path: str) -> str:
    """Of a path, as it was sent, that need not be a route's."""
    return next(name for name, dialect in _DIALECTS.items() if dialect.speaks(path))


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except EdgedError as error:
        return _error_response(request, error)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        wrong = WrongMethod(f"{request.path} takes {allowed}, not {request.method}")
        response = _error_response(request, wrong)
        response.headers["Allow"] = allowed
        return response
    except web.HTTPNotFound:
        return _error_response(request, NoRoute(f"there is no route {request.path}"))
    except web.HTTPForbidden:  # a page of another origin asks what it may
        record.current().error = NotPermitted("pages of this origin may not")
        raise
    except Exception:
        route = request.match_info.route.resource  # the path itself is the client's, and may lie
        _log.exception("%s %s", request.method, route.canonical if route else "")
        return _error_response(request, EdgedError())


def _error_response(request: web.Request, error: EdgedError) -> web.Response:
    """In the form of the dialect whose path it is, whether there is such a route or not."""
    record.current().error = error
    # A name in the raw path may have any sign, escaped.
    dialect = _DIALECTS[_dialect_of(request.rel_url.raw_path)]
    response = dialect.error_response(request, error)
    response.headers.update(retry_after(error))
    if response.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if not request.content.is_eof() and _is_long_or_asked_for(request):
        # What is still to come of the body is of no use, nor is the connection after it.
        response.force_close()
    return response


def _is_long_or_asked_for(request: web.Request) -> bool:
    length = request.content_length
    return length is None or length > _WORTH_READING or "Expect" in request.headers


class Daemon:
    """The running whole: `start`, then `stop`, on the main thread's loop."""

    def __init__(self, settings: Settings, held: Sequence[socket.socket]) -> None:
        """`held` are the sockets that systemd passed. Raises ConfigError."""
        self._settings = settings
        self.models = Path(settings.models)
        self.live: Live
        self.wants_token = settings.wants_token
        self._listeners = Listeners(settings.listen, held)

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
        settings = self._settings
        loop = asyncio.get_running_loop()
        gate = Gate(Path(settings.state), self.wants_token)
        self._zygote = Zygote()
        self._datasets = Datasets(Path(settings.state) / FOLDER, settings.datasets_quota)
        self._collector = Collector(self._datasets)
        self.live = Live(settings, self._zygote, self._collector.offer)
        await self._datasets.start()
        try:
            await self.live.open()
        except ConfigError:
            await self._datasets.close()
            raise
        self._pictures = Pictures(settings, self._zygote)
        self._traffic = Traffic(settings.max_bodies)
        app = make_app(self.live, self._datasets, self._pictures, settings, self._traffic, gate)
        self._runner = web.AppRunner(
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
        await self._runner.setup()
        await gate.start()
        self._gate = gate
        try:
            await self._listeners.open(self._runner)
        except EdgedError:
            await self._listeners.close()
            await self._runner.cleanup()
            await gate.stop()
            await self._datasets.close()
            raise
        _log.info("serving at %s. %s", self.where, self.who_may)
        assert self._runner.server is not None
        self._server = self._runner.server
        self._closing_idle = loop.create_task(self._traffic.close_idle(self._server))
        self._collector.start()
        self.live.start()
        self._opening = loop.create_task(self._open_held())
        self._door = Door(Path(settings.state), self.models)
        self._commands = await self._open_door()

    async def _open_held(self) -> None:
        """Whoever connects while models load had better wait than be refused, but not for
        longer than an answer may take."""
        if self._listeners.any_held:
            loading = asyncio.ensure_future(self.live.loaded())
            await asyncio.wait([loading], timeout=self._settings.deadline)
        await self._listeners.open_held(self._runner)

    async def _open_door(self) -> web.AppRunner:
        """For the commands. Without it the models are served all the same."""
        loop = asyncio.get_running_loop()
        runner = web.AppRunner(
            _make_control(self.live, self._settings),
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,
            shutdown_timeout=_LINGER_SECONDS,
        )
        await runner.setup()
        try:
            listening = await loop.run_in_executor(None, self._door.open)
        except OSError as error:
            _log.warning("commands cannot reach this daemon: %s", error)
            return runner
        if listening is None:
            _log.warning("another daemon serves these models: commands go to that one")
        else:
            await web.SockSite(runner, listening).start()
        return runner

    async def loaded(self) -> None:
        """Waits until every model is ready or failed, and every address open."""
        await asyncio.gather(self.live.loaded(), self._opening)

    def swept(self) -> float:
        """Since when, in the loop's time, the workers of every model were looked at."""
        pools = [served.pool for served in self.live.service.models if served.pool]
        return min((pool.swept for pool in pools), default=asyncio.get_running_loop().time())

    async def stop(self) -> None:
        """Refuses what is new, answers what was accepted, ends the workers."""
        self._opening.cancel()
        await asyncio.gather(self._opening, return_exceptions=True)
        await self._listeners.close()
        for site in list(self._commands.sites):
            await site.stop()
        await self._traffic.stop(self._server, self._settings.deadline + 1)
        await self._runner.cleanup()
        self._closing_idle.cancel()
        await self.live.stop()
        await self._commands.cleanup()
        await asyncio.get_running_loop().run_in_executor(None, self._door.close)
        await self._pictures.stop()
        await self._collector.stop()
        await self._datasets.close()
        await self._gate.stop()
        await self._zygote.close()


async def run(settings: Settings, announce: Callable[[Daemon], None]) -> None:
    """Serves until SIGTERM or SIGINT, then drains.

    `announce` is called, in a thread, when the models are loaded.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    systemd = Systemd(os.environ)
    daemon = Daemon(settings, take_held(os.environ))
    starting = loop.create_task(systemd.ask_for_time())
    await daemon.start()
    feeding = loop.create_task(systemd.feed_watchdog(daemon.swept))

    def rescan() -> None:
        daemon.live.rescan_soon(systemd.reloading, systemd.reloaded)

    loop.add_signal_handler(signal.SIGHUP, rescan)
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
