"""Answers in the encoding that the client asked for."""

from __future__ import annotations

import math
from typing import Dict, Optional, Union

import msgspec
import pybase64
from aiohttp import web

from edged.errors import EdgedError

_MSGPACK = "application/msgpack"

Picture = Union[bytes, msgspec.Raw, msgspec.UnsetType]

_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()


def wants_msgpack(request: web.Request) -> bool:
    return _MSGPACK in request.headers.get("Accept", "").lower()


def picture(request: web.Request, jpeg: bytes) -> Picture:
    """A drawn picture as the answer carries it: base64 text in JSON, bytes in msgpack."""
    if not jpeg:
        return msgspec.UNSET
    if wants_msgpack(request):
        return jpeg
    # As JSON already: of a string msgspec looks at every character for one to escape.
    return msgspec.Raw(b'"%b"' % pybase64.b64encode(jpeg))


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
