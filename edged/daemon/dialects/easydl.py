"""The APIs of EasyDL and BML models: a local server's and the cloud's, with the same bodies.

Sources: the EasyDL server API for local deployment; "图像分类-单图单标签API参考文档" (BML).
"""

from __future__ import annotations

import math
import re
from functools import partial
from typing import Callable, List, NamedTuple, Optional, Union

import msgspec
from aiohttp import web

from edged.config import Settings
from edged.daemon.bodies import parse_json
from edged.daemon.dialects import baidu
from edged.daemon.routes import Caller, Route
from edged.daemon.service import Request, Service, deadline_of
from edged.daemon.uploads import Hold, read_body
from edged.errors import InvalidArgument
from edged.registry.spec import Task
from edged.results import Result
from edged.wire import PredictOptions

_DEFAULT_TOP = 6
_MOST_DIGITS = 9
# More than this is no more exact.
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{0,32})?")


class Fields(msgspec.Struct):
    """The JSON body. What is not named here is passed over without being built in memory."""

    image: Optional[str] = None
    top_num: Union[int, str, None] = None
    threshold: Union[float, str, None] = None


class Class(msgspec.Struct):
    name: str
    score: float


class Box(Class):
    location: baidu.Location


class Segment(Box):
    mask: str


class Reply(baidu.Reply):
    results: List[Class]


class _Api(NamedTuple):
    """`local` and `cloud`: what stands for it in the routes."""

    task: Task
    local: str
    cloud: str
    result: Callable[[Result], Class]


def _class(result: Result) -> Class:
    return Class(result.label, result.score)


def _box(result: Result) -> Class:
    return Box(result.label, result.score, baidu.location_of(result))


def _segment(result: Result) -> Class:
    mask: str = result.extended["mask"]["counts"]
    return Segment(result.label, result.score, baidu.location_of(result), mask)


_APIS = (
    _Api("classification", "ImageClassification", "classification", _class),
    _Api("detection", "ObjectDetection", "detection", _box),
    _Api("segmentation", "ImageSegmentation", "segmentation", _segment),
)
_CLOUD = ("/rpc/2.0/ai_custom/v1", "/rpc/2.0/ai_custom_bml/v1")
_PATHS = re.compile(f"/+rpc(/.*)?|/+[^/]+/({'|'.join(api.local for api in _APIS)})/?")

error_response = baidu.error_response


def speaks(path: str) -> bool:
    """Whether a client of this API asks for `path`, as it was sent, even if there is no such
    route."""
    return _PATHS.fullmatch(path) is not None


class EasyDL:
    """The routes of both servers, on one service."""

    def __init__(self, service: Service, settings: Settings, hold: Hold) -> None:
        self._service = service
        self._settings = settings
        self._hold = hold

    def local_routes(self) -> List[Route]:
        return [self._route(f"/{{name}}/{api.local}", api) for api in _APIS]

    def cloud_routes(self) -> List[Route]:
        return [
            self._route(f"{prefix}/{api.cloud}/{{name}}", api) for api in _APIS for prefix in _CLOUD
        ]

    def _route(self, path: str, api: _Api) -> Route:
        return Route("POST", path, partial(self._predict, api=api))

    async def _predict(self, request: web.Request, caller: Caller, api: _Api) -> web.Response:
        deadline = deadline_of(self._settings)
        served = self._service.by_name(request.match_info["name"], api.task)
        self._service.admit(served, caller.models, deadline)
        body = await read_body(request, self._settings.max_body, deadline, self._hold)
        fields = parse_json(body, Fields)
        options = PredictOptions(top=_top(fields), threshold=_threshold(fields))
        image = baidu.decode_image(fields.image)
        prediction = await self._service.predict(
            served, Request(image, options, deadline, caller.models)
        )
        results = [api.result(result) for result in prediction.results]
        return baidu.answer(request, Reply(baidu.new_log_id(), results))


def _top(fields: Fields) -> int:
    """Integers and numeric text; larger than the classes there are gives them all."""
    value = fields.top_num
    if value is None:
        return _DEFAULT_TOP
    digits = str(value).strip().lstrip("0")
    if not re.fullmatch("[1-9][0-9]*", digits):
        raise InvalidArgument(f"top_num must be a number of 1 or more, not {str(value)[:32]!r}")
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _threshold(fields: Fields) -> Optional[float]:
    value = fields.threshold
    if value is None:
        return None
    if isinstance(value, str):
        value = float(value) if _DECIMAL.fullmatch(value.strip()) else math.nan
    if not 0 <= value <= 1:
        raise InvalidArgument(f"threshold must be 0 to 1, not {str(fields.threshold)[:32]!r}")
    return value
