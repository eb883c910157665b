"""All routes in one application, each behind its gate; errors in the form of their dialect."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Dict, Iterable, List, Protocol, Tuple

import aiohttp_cors
from aiohttp import web

from edged.config import Settings
from edged.daemon import record
from edged.daemon.answers import retry_after
from edged.daemon.auth import Access, Gate, without_key
from edged.daemon.dialects import baidu, easydl, edgeboard, ocr, token
from edged.daemon.dialects import datasets as dataset_api
from edged.daemon.dialects.models import ModelChanges
from edged.daemon.dialects.update import ModelUpdate
from edged.daemon.exports import Exports
from edged.daemon.live import Live
from edged.daemon.metrics import Metrics
from edged.daemon.ops import Health, ModelList
from edged.daemon.pictures import Pictures
from edged.daemon.routes import Route
from edged.daemon.scrape import Scrape
from edged.daemon.traffic import Handler, Traffic
from edged.daemon.uploads import expect_handler
from edged.daemon.watch import REQUEST_ID, CodeOf, Watch
from edged.datasets import FOLDER
from edged.datasets.writer import Datasets
from edged.errors import EdgedError, NoRoute, NotPermitted, WrongMethod

_log = logging.getLogger(__name__)

# Bytes of a refused body for which the connection is kept: of most pictures. To connect anew
# costs a client more than the rest of such a one.
_WORTH_READING = 1 << 20
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

    offered: List[Tuple[str, web.RouteDef]] = []

    def add(dialect: str, routes: Iterable[Route], access: Access) -> None:
        offered.extend((dialect, route) for route in gate.guard(routes, access))

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
    for dialect, offer in _by_path(offered):
        for route in app.add_routes([offer]):
            if route.resource is not None:
                watch.dialects[route.resource.canonical] = dialect
    _allow_origins(app, settings.cors_origins.split())
    return app


def make_control(live: Live, settings: Settings) -> web.Application:
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


def _by_path(offered: List[Tuple[str, web.RouteDef]]) -> List[Tuple[str, web.RouteDef]]:
    """In their order, but for those of one path: aiohttp makes one resource of neighbours only,
    and a page asks the first resource of a path for all of its methods.
    """
    places: Dict[str, int] = {}
    for _, route in offered:
        places.setdefault(route.path, len(places))
    return sorted(offered, key=lambda one: places[one[1].path])


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
