"""Bodies as they stream in: limits hold on the way, and so does the deadline."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Callable, Dict, List

from aiohttp import HttpVersion11, web
from aiohttp.http import HttpProcessingError

from edged.errors import BodyTooLarge, DeadlinePassed, ImageMissing, InvalidArgument

if sys.version_info >= (3, 11):
    from asyncio import timeout_at
else:
    from async_timeout import timeout_at

# A form of the contract has two parts, each with some hundred bytes of headers.
_MOST_PARTS = 64
_MOST_HEADER_BYTES = 8192
# A parameter of a header: its name, its value in quotes or bare.
_PARAMETER = re.compile(rb';\s*([\w*-]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^;\s]*))')
_DISPOSITION = b"content-disposition:"

Hold = Callable[[web.Request, int], None]


async def expect_handler(request: web.Request) -> None:
    """For every route that reads a body. `read_body` says "100 Continue", when nothing is
    against the request so far; a client that asks first then need not send a body in vain.
    """


async def read_body(request: web.Request, limit: int, deadline: float, hold: Hold) -> bytes:
    """The whole body. Raises BodyTooLarge as soon as it is known to pass `limit` bytes,
    DeadlinePassed (`deadline` in the loop's time) when it is still coming by then,
    InvalidArgument when it is not encoded as its headers say. `hold` is told of each
    piece as it comes, and may refuse it.
    """
    if "Content-Encoding" in request.headers:
        raise InvalidArgument("the body must come as it is, without a Content-Encoding")
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit)
    try:
        await _say_continue(request)
        # Not asyncio.wait_for: before Python 3.12 it loses the cancellation that tells of a
        # client who leaves right behind the last byte.
        async with timeout_at(deadline):
            return await _read(request, limit, hold)
    except asyncio.TimeoutError:
        raise DeadlinePassed("the deadline passed before the whole body had come") from None
    except (web.RequestPayloadError, HttpProcessingError):
        raise InvalidArgument("the body is not encoded as its headers say") from None
    except ConnectionError:
        raise InvalidArgument("the client left before the whole body had come") from None


async def read_form(
    request: web.Request, limit: int, deadline: float, hold: Hold
) -> Dict[str, bytes]:
    """The parts of a multipart/form-data body by their names.

    Raises as `read_body`, ImageMissing when there is no body, and InvalidArgument when it
    is not such a form.
    """
    boundary = _boundary(request.headers.get("Content-Type", "").encode("utf-8", "surrogateescape"))
    body = await read_body(request, limit, deadline, hold)
    if not body:
        raise ImageMissing("the body is empty: it must be a form with the image in it")
    return parse_form(body, boundary)


async def _say_continue(request: web.Request) -> None:
    expect = request.headers.get("Expect", "").lower()
    if expect == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # aiohttp's own handler does so: the answer has not begun


async def _read(request: web.Request, limit: int, hold: Hold) -> bytes:
    chunks: List[bytes] = []
    size = 0
    while not request.content.at_eof():
        chunk = await request.content.readany()
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        hold(request, len(chunk))
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is over {limit} bytes")


def parse_form(body: bytes, boundary: bytes) -> Dict[str, bytes]:
    """The parts of `body` by their names; those without a name are left out.

    By the bytes, where aiohttp's reader takes 0.2 ms of the loop for each part and holds
    no limit on what is not in a part. Raises InvalidArgument.
    """
    _, *pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, _MOST_PARTS + 1)
    parts: Dict[str, bytes] = {}
    for number, piece in enumerate(pieces):
        if piece.startswith(b"--"):
            return parts
        if number == _MOST_PARTS:
            raise InvalidArgument(f"the form has more than {_MOST_PARTS} fields")
        end = piece.find(b"\r\n\r\n", 0, _MOST_HEADER_BYTES)
        if end < 0:
            raise _not_a_form(f"a part's headers do not end within {_MOST_HEADER_BYTES} bytes")
        name = _name(piece[:end].strip())
        if name in parts:
            raise InvalidArgument(f"the form has more than one field `{name[:64]}`")
        if name:
            parts[name] = piece[end + 4 :]
    raise _not_a_form("its closing boundary is missing")


def _boundary(content_type: bytes) -> bytes:
    if not content_type.lower().startswith(b"multipart/"):
        raise _not_a_form("its Content-Type says otherwise")
    boundary = _parameter(content_type, b"boundary")
    if not boundary:
        raise _not_a_form("its Content-Type names no boundary")
    return boundary


def _name(headers: bytes) -> str:
    """The field's name from its Content-Disposition, empty when it has none."""
    for line in headers.split(b"\r\n"):
        if line[: len(_DISPOSITION)].lower() == _DISPOSITION:
            return _parameter(line, b"name").decode(errors="replace")
    return ""


def _parameter(header: bytes, name: bytes) -> bytes:
    for key, quoted, bare in _PARAMETER.findall(header):
        if key.lower() == name:
            value: bytes = quoted or bare
            return value
    return b""


def _not_a_form(reason: str) -> InvalidArgument:
    return InvalidArgument(f"the body is not multipart/form-data: {reason}")
