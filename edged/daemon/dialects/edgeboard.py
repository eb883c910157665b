"""The EdgeBoard HTTP inference service, V2.0 and V1.

Source: Baidu's "HTTP模型推理服务接口" (EdgeBoard development platform V2.0) and the
older "HTTP服务功能" page. Both mean the same; V1 has other routes and field names.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Type, Union
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from edged.config import Settings
from edged.daemon import record
from edged.daemon.answers import Picture, picture, respond, retry_after
from edged.daemon.bodies import MOST_DIGITS, decode_base64, parse_json, parse_mid
from edged.daemon.dialects import update
from edged.daemon.routes import Caller, Handler, Route
from edged.daemon.service import Request, Service, deadline_of
from edged.daemon.uploads import Hold, read_body, read_form
from edged.errors import (
    BadMid,
    EdgedError,
    ImageMissing,
    InvalidArgument,
)
from edged.results import Prediction, Result
from edged.wire import PredictOptions

BASE64 = "/api/model/service/base64"
BINARY = "/api/model/service/binary"
MULTIPART = "/api/model/service/multipart"

_SUCCESS = "success"


class Data(msgspec.Struct):
    result: List[Result]
    image: Picture = msgspec.UNSET


class Entry(msgspec.Struct):
    """One model's part of a multipart answer; `code` and `msg` only where it failed."""

    model_id: int
    result: List[Result]
    image: Picture = msgspec.UNSET
    code: Union[int, msgspec.UnsetType] = msgspec.UNSET
    msg: Union[str, msgspec.UnsetType] = msgspec.UNSET


class Reply(msgspec.Struct):
    code: int
    data: Union[Data, List[Entry], msgspec.UnsetType]
    msg: str


class Fields(msgspec.Struct):
    """The JSON body. What is not named here is passed over without being built in memory."""

    image: Optional[str] = None
    show: msgspec.Raw = msgspec.Raw()


class FieldsV1(Fields):
    image: Optional[str] = msgspec.field(name="base64_img", default=None)
    show: msgspec.Raw = msgspec.field(name="image", default=msgspec.Raw())


class _Version(NamedTuple):
    """The JSON body with its name for the image, the query's name for the drawn picture."""

    fields: Type[Fields]
    image_field: str
    show_query: str


_V2 = _Version(Fields, "image", "show")
_V1 = _Version(FieldsV1, "base64_img", "image")


class EdgeBoard:
    """The routes of both versions, on one service."""

    def __init__(self, service: Service, settings: Settings, hold: Hold) -> None:
        self._service = service
        self._hold = hold
        self._settings = settings

    def routes(self) -> List[Route]:
        tail = "{tail:mid=[^/]*}"
        handlers: Dict[str, Handler] = {
            BASE64: partial(self._base64, version=_V2),
            f"{BASE64}/{tail}": partial(self._base64, version=_V2),
            BINARY: partial(self._binary, version=_V2),
            f"{BINARY}/{tail}": partial(self._binary, version=_V2),
            MULTIPART: partial(self._multipart, version=_V2),
            "/api/http": partial(self._base64, version=_V1),
            "/api/image": partial(self._binary, version=_V1),
            "/api/multipart": partial(self._multipart, version=_V1),
        }
        return [Route("POST", path, handler) for path, handler in handlers.items()]

    async def _base64(
        self, request: web.Request, caller: Caller, version: _Version
    ) -> web.Response:
        deadline = deadline_of(self._settings)
        served = self._service.by_mid(_mid(_query(request)))
        self._service.admit(served, caller.models, deadline)
        body = await read_body(request, self._settings.max_body, deadline, self._hold)
        fields = parse_json(body, version.fields)
        image = decode_base64(fields.image, version.image_field)
        # Only JSON true turns the picture on; anything else is what a client may send for "no".
        options = self._options(bytes(fields.show) == b"true")
        prediction = await self._service.predict(
            served, Request(image, options, deadline, caller.models)
        )
        return _one(request, prediction)

    async def _binary(
        self, request: web.Request, caller: Caller, version: _Version
    ) -> web.Response:
        deadline = deadline_of(self._settings)
        query = _query(request)
        options = self._options(_show(query, version))
        served = self._service.by_mid(_mid(query))
        self._service.admit(served, caller.models, deadline)
        image = await read_body(request, self._settings.max_body, deadline, self._hold)
        if not image:
            raise ImageMissing("the body is empty: it must be the image's bytes")
        prediction = await self._service.predict(
            served, Request(image, options, deadline, caller.models)
        )
        return _one(request, prediction)

    async def _multipart(
        self, request: web.Request, caller: Caller, version: _Version
    ) -> web.Response:
        deadline = deadline_of(self._settings)
        options = self._options(_show(_query(request), version))
        form = await read_form(request, self._settings.max_body, deadline, self._hold)
        mids = _mids(form.get("mids"), self._settings.max_mids)
        image = form.get("file")
        if not image:
            raise ImageMissing("the form's field `file` is missing or empty")
        outcomes = await self._service.predict_many(
            mids, Request(image, options, deadline, caller.models)
        )
        return _many(request, mids, outcomes)

    def _options(self, show: bool) -> PredictOptions:
        return PredictOptions(show, self._settings.top)


def speaks(path: str) -> bool:
    """Every path that is no other dialect's is this one's."""
    return True


def error_response(request: web.Request, error: EdgedError) -> web.Response:
    """The one place where an error takes EdgeBoard's form."""
    if update.speaks(request.rel_url.raw_path):
        return update.error_response(request, error)
    reply = Reply(error.code, msgspec.UNSET, str(error))
    return respond(request, reply, error.http_status)


def _one(request: web.Request, prediction: Prediction) -> web.Response:
    data = Data(prediction.results, picture(request, prediction.picture))
    return respond(request, Reply(0, data, _SUCCESS))


def _many(
    request: web.Request, mids: Sequence[int], outcomes: Sequence[Union[Prediction, EdgedError]]
) -> web.Response:
    """The first failure is the whole answer's code, so that none passes for "nothing seen"."""
    entries = [_entry(request, mid, outcome) for mid, outcome in zip(mids, outcomes)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, EdgedError)]
    if not failures:
        return respond(request, Reply(0, entries, _SUCCESS))
    first = record.current().error = failures[0]
    status = first.http_status if len(failures) == len(outcomes) else 200
    return respond(request, Reply(first.code, entries, str(first)), status, retry_after(first))


def _entry(request: web.Request, mid: int, outcome: Union[Prediction, EdgedError]) -> Entry:
    if isinstance(outcome, EdgedError):
        return Entry(mid, [], code=outcome.code, msg=str(outcome))
    return Entry(mid, outcome.results, picture(request, outcome.picture))


def _query(request: web.Request) -> Mapping[str, str]:
    """The query's values; of a repeated name the last."""
    return _parse_query(request.match_info.get("tail", ""), request.rel_url.raw_query_string)


@lru_cache(maxsize=256)  # a camera asks the same for ever
def _parse_query(tail: str, query: str) -> Mapping[str, str]:
    """Clients write a second `?` where `&` belongs, and `/mid=N` behind the path."""
    text = re.sub("[?]|%3[Ff]", "&", f"{tail}&{query}")
    return dict(parse_qsl(text, keep_blank_values=True))


def _mid(query: Mapping[str, str]) -> int:
    text = query.get("mid", "").strip()
    if not text:
        raise BadMid("the query lacks mid")
    return parse_mid(text)


def _show(query: Mapping[str, str], version: _Version) -> bool:
    text = query.get(version.show_query, "")
    if text not in ("", "0", "1"):
        raise InvalidArgument(f"{version.show_query} must be 0 or 1, not {text[:32]!r}")
    return text == "1"


def _mids(field: Union[bytes, None], most: int) -> List[int]:
    """`[0, 1]` as the document has it, `0,1` as V1 wrote it."""
    if field is None or not field.strip():
        raise InvalidArgument("the form's field `mids` is missing or empty")
    named = field.count(b",") + 1  # before anything is made of a field of 16 MiB
    if named > most:
        raise InvalidArgument(f"mids names {named} models, more than {most}")
    text = field.decode(errors="replace").strip()
    inner = text[1:-1] if text[0] == "[" and text[-1] == "]" else text
    numbers = [number.strip().strip("\"'") for number in inner.split(",")]
    if not all(re.fullmatch(f"[0-9]{{1,{MOST_DIGITS}}}", number) for number in numbers):
        raise InvalidArgument(f"mids must be a list of numbers as [0,1], not {text[:64]!r}")
    return [int(number) for number in numbers]
