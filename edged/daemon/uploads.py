"""Bodies as they stream in: limits hold on the way, and so does the deadline."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import Dict, Iterator, List

from aiohttp import BodyPartReader, MultipartReader, web

from edged.errors import BodyTooLarge, DeadlinePassed, InvalidArgument

_CHUNK = 1 << 18


async def read_body(request: web.Request, limit: int, deadline: float) -> bytes:
    """The whole body. Raises BodyTooLarge as soon as it is known to pass `limit` bytes,
    DeadlinePassed (`deadline` in the loop's time) when it is still coming by then.
    """
    _refuse_announced(request, limit)
    chunks: List[bytes] = []
    size = 0
    with _bounded(request, deadline):
        while not request.content.at_eof():
            chunk = await request.content.readany()
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def read_form(request: web.Request, limit: int, deadline: float) -> Dict[str, bytes]:
    """The parts of a multipart/form-data body by their names; of a repeated name the first.

    Raises as `read_body`, and InvalidArgument when the body is not multipart.
    """
    _refuse_announced(request, limit)
    parts: Dict[str, bytes] = {}
    with _bounded(request, deadline):
        try:
            reader = await request.multipart()
            part = await reader.next()
            while part is not None:
                if isinstance(part, MultipartReader):
                    raise InvalidArgument("a part of the form is a multipart body itself")
                content = await _read_part(part, request, limit)
                if part.name:
                    parts.setdefault(part.name, content)
                part = await reader.next()
        except (ValueError, RuntimeError, AssertionError) as error:
            # aiohttp says so, in these classes, of a body that is not as its header claims.
            raise InvalidArgument(f"the body is not multipart/form-data: {error}") from None
    return parts


async def _read_part(part: BodyPartReader, request: web.Request, limit: int) -> bytes:
    chunks = []
    while not part.at_eof():
        chunks.append(await part.read_chunk(_CHUNK))
        if request.content.total_bytes > limit:
            raise _too_large(limit)
    return bytes(part.decode(b"".join(chunks)))


def _refuse_announced(request: web.Request, limit: int) -> None:
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is over {limit} bytes")


@contextmanager
def _bounded(request: web.Request, deadline: float) -> Iterator[None]:
    """Wakes whoever reads the body when the deadline passes."""
    late = DeadlinePassed("the deadline passed before the whole body had come")
    timer = asyncio.get_running_loop().call_at(deadline, request.content.set_exception, late)
    try:
        yield
    finally:
        timer.cancel()
