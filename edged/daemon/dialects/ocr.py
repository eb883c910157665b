"""The API of text recognition in Baidu's cloud. Source: "文字识别API参考文档"."""

from __future__ import annotations

import re
from functools import partial
from typing import List, Optional, Union

import msgspec
from aiohttp import web

from edged.config import Settings
from edged.daemon.bodies import parse_json
from edged.daemon.dialects import baidu
from edged.daemon.forms import boundary_of, parse_multipart, parse_urlencoded
from edged.daemon.routes import Caller, Route
from edged.daemon.service import Request, Served, Service, deadline_of
from edged.daemon.uploads import Hold, read_body
from edged.errors import ImageMissing, InvalidArgument
from edged.results import Result
from edged.wire import PredictOptions

_BASE = "/rest/2.0/ocr/v1/"
_ROUTES = {"accurate_basic": False, "general_basic": False, "accurate": True, "general": True}
"""What follows the base -> whether every line has its location."""

_DEFAULT_LANGUAGE = "CHN_ENG"

error_response = baidu.error_response


def speaks(path: str) -> bool:
    """Whether a client of this API asks for `path`, even if there is no such route."""
    return re.match("/+rest(/|$)", path) is not None


class Fields(msgspec.Struct):
    image: Optional[str] = None
    language_type: Optional[str] = None


class Line(msgspec.Struct):
    words: str
    score: float
    location: Union[baidu.Location, msgspec.UnsetType] = msgspec.UNSET


class Reply(baidu.Reply):
    words_result_num: int
    words_result: List[Line]


class Ocr:
    def __init__(self, service: Service, settings: Settings, hold: Hold) -> None:
        self._service = service
        self._settings = settings
        self._hold = hold

    def routes(self) -> List[Route]:
        return [
            Route("POST", _BASE + name, partial(self._read, located=located))
            for name, located in _ROUTES.items()
        ]

    async def _read(self, request: web.Request, caller: Caller, located: bool) -> web.Response:
        deadline = deadline_of(self._settings)
        body = await read_body(request, self._settings.max_body, deadline, self._hold)
        fields = _fields(request, body)
        image = baidu.decode_image(fields.image)
        prediction = await self._service.predict(
            self._reader(fields.language_type or _DEFAULT_LANGUAGE, caller),
            Request(image, PredictOptions(), deadline, caller.models),
        )
        lines = [_line(result, located) for result in prediction.results]
        return baidu.answer(request, Reply(baidu.new_log_id(), len(lines), lines))

    def _reader(self, language: str, caller: Caller) -> Served:
        """Of the models that read it, and that the caller may use, the first that is ready.

        Raises InvalidArgument.
        """
        readers = self._service.readers()
        fit = [served for served, languages in readers if language in languages]
        if not fit:
            known = sorted({name for _, languages in readers for name in languages})
            there = f"there are: {', '.join(known)}" if known else "there is no OCR model"
            raise InvalidArgument(f"no model reads language_type {language[:32]}; {there}")
        of_caller = [
            served for served in fit if caller.models is None or served.entry.name in caller.models
        ]
        fit = of_caller or fit  # none of them: the service says that it may not
        return next((served for served in fit if served.state == "ready"), fit[0])


def _fields(request: web.Request, body: bytes) -> Fields:
    """JSON by its first character, since clients send it under any Content-Type; what is said
    to be JSON and is no form either has that error.
    """
    content_type = request.headers.get("Content-Type", "")
    if not body.strip():
        raise ImageMissing("the body is empty: it must have the image in it")
    if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        return parse_json(body, Fields)
    if content_type.lower().startswith("application/json") and b"image=" not in body:
        return parse_json(body, Fields)
    if content_type.lower().startswith("multipart/"):
        form = parse_multipart(body, boundary_of(content_type))
    else:
        form = parse_urlencoded(body)
    text = {name: value.decode("utf-8", "replace") for name, value in form.items()}
    return Fields(text.get("image"), text.get("language_type", "").strip())


def _line(result: Result, located: bool) -> Line:
    line = Line(result.label, result.score)
    if located:
        line.location = baidu.location_of(result)
    return line
