"""A dataset as a zip, for whoever it belongs to. No way of EasyDL's own."""

from __future__ import annotations

import asyncio
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Generator, Iterator, List, Optional
from urllib.parse import quote

from aiohttp import web

from edged.daemon.routes import Caller, Route
from edged.daemon.traffic import IDLE_SECONDS
from edged.daemon.watch import stamp
from edged.datasets.export import zip_chunks
from edged.datasets.formats import Format, format_for
from edged.datasets.snapshot import Snapshot
from edged.datasets.writer import Datasets
from edged.errors import DatasetUnknown, NotOwner, QueueFull, StoreError

_log = logging.getLogger(__name__)

# Each has a thread, a connection to the store and a temporary file.
_MOST_AT_ONCE = 2
_RETRY_SECONDS = 30.0
_NUMBER = re.compile("[0-9]{1,18}")


class Exports:
    def __init__(self, datasets: Datasets, folder: Path) -> None:
        """`folder` is the store's."""
        self._datasets = datasets
        self._folder = folder
        self._under_way = 0

    def routes(self) -> List[Route]:
        return [Route("GET", "/api/datasets/{id}/export", self._export)]

    async def _export(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        number = request.match_info["id"]
        if not _NUMBER.fullmatch(number):
            raise DatasetUnknown(f"there is no dataset {number[:32]}")
        dataset = await self._datasets.dataset(int(number))
        if dataset.owner != caller.key:
            raise NotOwner()
        name = request.query.get("format", "")
        format = format_for(name, dataset.kind)
        if self._under_way >= _MOST_AT_ONCE:
            raise QueueFull(f"{_MOST_AT_ONCE} exports are under way already", _RETRY_SECONDS)
        self._under_way += 1
        # Of its own, since a connection to the store is for one thread.
        thread = ThreadPoolExecutor(1, "export")
        chunks = _chunks(self._folder, dataset.id, format)
        try:
            return await _streamed(request, f"{dataset.name}-{name}.zip", thread, chunks)
        except StoreError as error:
            _log.error("%s", error)
            raise
        finally:
            # After the chunk that the thread may be at; nobody need wait for it.
            thread.submit(chunks.close)
            thread.shutdown(wait=False)
            self._under_way -= 1


def _chunks(folder: Path, dataset: int, format: Format) -> Generator[bytes, None, None]:
    with closing(Snapshot(folder, dataset)) as snapshot:
        yield from zip_chunks(snapshot, format, lambda count: None)


async def _streamed(
    request: web.Request, name: str, thread: ThreadPoolExecutor, chunks: Iterator[bytes]
) -> web.StreamResponse:
    """What fails before the first byte is an answer; after it, the connection is cut: what came
    through must not look whole."""
    loop = asyncio.get_running_loop()
    following = partial(loop.run_in_executor, thread, next, chunks, None)
    chunk: Optional[bytes] = await following()
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/zip",
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        }
    )
    stamp(response)
    await response.prepare(request)
    transport = request.transport  # a daemon that stops takes it off the request
    try:
        while chunk is not None:
            # A client that takes nothing more holds a thread and a file.
            await asyncio.wait_for(response.write(chunk), IDLE_SECONDS)
            chunk = await following()
        await response.write_eof()
    except (ConnectionError, asyncio.TimeoutError):  # the client has gone, or does not read
        _cut(transport)
    except BaseException:
        _cut(transport)
        raise
    return response


def _cut(transport: Optional[asyncio.Transport]) -> None:
    """Also where it is closing, which would wait for a client that does not read."""
    if transport is not None:
        transport.abort()
