"""What operators and load balancers ask: is it alive, is it ready, which models are there."""

from __future__ import annotations

from typing import List, Optional, Tuple

import msgspec
from aiohttp import web

from edged.daemon.answers import respond
from edged.daemon.bodies import parse_mid
from edged.daemon.pool import Counters
from edged.daemon.routes import Caller, Route
from edged.daemon.service import Served, Service


class ModelInfo(msgspec.Struct):
    """`mid` is None where two folders claim one; `input_size` is (width, height), None for any."""

    mid: Optional[int]
    name: str
    task: Optional[str]
    state: str
    reason: str
    input_size: Optional[Tuple[int, int]]
    engine: Optional[str]
    labels: List[str]
    workers: List[int]
    counters: Counters


class Models(msgspec.Struct):
    code: int
    data: List[ModelInfo]
    msg: str


class Model(msgspec.Struct):
    code: int
    data: ModelInfo
    msg: str


class Readiness(msgspec.Struct):
    ready: bool
    loading: List[str]
    failed: List[str]


class Health:
    """For whatever restarts the daemon or sends it traffic: never behind a token."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> List[Route]:
        return [Route("GET", "/healthz", self._healthz), Route("GET", "/readyz", self._readyz)]

    async def _healthz(self, request: web.Request, caller: Caller) -> web.Response:
        return respond(request, {"alive": True})

    async def _readyz(self, request: web.Request, caller: Caller) -> web.Response:
        readiness = readiness_of(self._service)
        return respond(request, readiness, 200 if readiness.ready else 503)


class ModelList:
    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> List[Route]:
        return [
            Route("GET", "/api/models", self._models),
            Route("GET", "/api/models/{mid}", self._model),
        ]

    async def _models(self, request: web.Request, caller: Caller) -> web.Response:
        return describe_all(request, self._service)

    async def _model(self, request: web.Request, caller: Caller) -> web.Response:
        return describe(request, self._service.by_mid(parse_mid(request.match_info["mid"])))


def readiness_of(service: Service) -> Readiness:
    """Ready when nothing loads any more and one model at least answers."""
    states = [served.state for served in service.models]
    return Readiness(
        ready="ready" in states and "loading" not in states,
        loading=[served.entry.name for served in service.models if served.state == "loading"],
        failed=[served.entry.name for served in service.models if served.state == "failed"],
    )


def describe_all(request: web.Request, service: Service) -> web.Response:
    data = [model_info(served) for served in service.models]
    return respond(request, Models(0, data, "success"))


def describe(request: web.Request, served: Served) -> web.Response:
    return respond(request, Model(0, model_info(served), "success"))


def model_info(served: Served) -> ModelInfo:
    spec, pool = served.entry.spec, served.pool
    return ModelInfo(
        mid=served.entry.mid,
        name=served.entry.name,
        task=spec.task if spec else None,
        state=served.state,
        reason=served.reason,
        input_size=spec.input_size if spec else None,
        engine=pool.engine if pool else None,
        labels=list(spec.labels) if spec else [],
        workers=pool.pids if pool else [],
        counters=pool.counters if pool else Counters(),
    )
