"""A client of a running daemon, for the command line."""

from __future__ import annotations

import asyncio
from typing import Optional, Tuple

import aiohttp
import msgspec

from edged.daemon.dialects.edgeboard import BINARY
from edged.errors import EdgedError, InvalidArgument
from edged.results import Result


class _Data(msgspec.Struct):
    result: Tuple[Result, ...]
    image: bytes = b""


class _Reply(msgspec.Struct):
    code: int
    msg: str
    data: _Data = msgspec.field(default_factory=lambda: _Data(()))


async def predict(
    url: str, mid: int, image: bytes, show: bool, token: Optional[str]
) -> Tuple[Tuple[Result, ...], bytes]:
    """The results, and the drawn JPEG if `show`. Raises EdgedError with what the daemon says."""
    target = f"{url.rstrip('/')}{BINARY}"
    query = {"mid": str(mid), "show": str(int(show))}
    headers = {"Accept": "application/msgpack", "Content-Type": "application/octet-stream"}
    if token is not None:
        if not (token.isascii() and token.isprintable()):
            raise InvalidArgument("the token is not one: it has characters that no header takes")
        headers["Authorization"] = f"Bearer {token}"
    try:
        async with aiohttp.ClientSession() as session, session.post(
            target, params=query, data=image, headers=headers
        ) as response:
            reply = msgspec.msgpack.decode(await response.read(), type=_Reply)
    except (aiohttp.ClientError, asyncio.TimeoutError) as error:
        raise EdgedError(f"{url} does not answer: {error}") from None
    except msgspec.DecodeError:
        raise EdgedError(f"{url} is not an edged daemon") from None
    if reply.code != 0:
        raise EdgedError(f"{reply.msg} (code {reply.code})")
    return reply.data.result, reply.data.image
