"""Bodies as they stream in: limits hold on the way, and so does the deadline."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import IO, AsyncIterator, Callable, Dict, List

from aiohttp import HttpVersion11, web
from aiohttp.http import HttpProcessingError

from edged.daemon.forms import boundary_of, parse_multipart
from edged.errors import BodyTooLarge, DeadlinePassed, ImageMissing, InvalidArgument

if sys.version_info >= (3, 11):
    from asyncio import timeout_at
else:
    from async_timeout import timeout_at

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
    async with _receiving(request, limit, deadline):
        return await _read(request, limit, hold)


async def save_body(request: web.Request, limit: int, deadline: float, file: IO[bytes]) -> None:
    """The whole body, into `file`. Raises as `read_body`, and OSError when that is full."""
    loop = asyncio.get_running_loop()
    size = 0
    async with _receiving(request, limit, deadline):
        while not request.content.at_eof():
            chunk = await request.content.readany()
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            await loop.run_in_executor(None, write_all, file, chunk)


def write_all(file: IO[bytes], data: bytes) -> None:
    """To a file without a buffer, which takes less where the disk ends. Raises OSError then."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


@asynccontextmanager
async def _receiving(request: web.Request, limit: int, deadline: float) -> AsyncIterator[None]:
    """What can be wrong with a body on its way, as `read_body` says it."""
    if "Content-Encoding" in request.headers:
        raise InvalidArgument("the body must come as it is, without a Content-Encoding")
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit)
    try:
        await _say_continue(request)
        # Not asyncio.wait_for: before Python 3.12 it loses the cancellation that tells of a
        # client who leaves right behind the last byte.
        async with timeout_at(deadline):
            yield
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
    boundary = boundary_of(request.headers.get("Content-Type", ""))
    body = await read_body(request, limit, deadline, hold)
    if not body:
        raise ImageMissing("the body is empty: it must be a form with the image in it")
    return parse_multipart(body, boundary)


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
