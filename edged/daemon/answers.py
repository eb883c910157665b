"""Answers in the encoding that the client asked for."""

from __future__ import annotations

import math
from typing import Dict, Optional, Union

import msgspec
import pybase64
from aiohttp import web

from edged.errors import EdgedError

_MSGPACK = "application/msgpack"

_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()


def wants_msgpack(request: web.Request) -> bool:
    return _MSGPACK in request.headers.get("Accept", "").lower()


def picture(request: web.Request, jpeg: bytes) -> Union[str, bytes, msgspec.UnsetType]:
    """A drawn picture as the answer carries it: base64 text in JSON, bytes in msgpack."""
    if not jpeg:
        return msgspec.UNSET
    return jpeg if wants_msgpack(request) else pybase64.b64encode_as_string(jpeg)


def retry_after(error: EdgedError) -> Dict[str, str]:
    """The header, in whole seconds, where trying again may help."""
    if error.retry_after is None:
        return {}
    return {"Retry-After": str(max(1, math.ceil(error.retry_after)))}


def respond(
    request: web.Request,
    content: object,
    status: int = 200,
    headers: Optional[Dict[str, str]] = None,
) -> web.Response:
    if wants_msgpack(request):
        body, kind = _msgpack.encode(content), _MSGPACK
    else:
        body, kind = _json.encode(content), "application/json"
    return web.Response(body=body, status=status, headers=headers, content_type=kind)
