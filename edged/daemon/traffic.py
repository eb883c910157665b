"""The requests under way: how many, what their bodies hold, and connections that do nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Awaitable, Callable, Dict
from weakref import WeakKeyDictionary

from aiohttp import web

from edged.daemon import record
from edged.errors import QueueFull, Stopping

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# A connection that has sent no whole request, or taken no answer, for so long is closed.
IDLE_SECONDS = 75.0
_SWEEP_SECONDS = 5.0


class Traffic:
    """Passes requests on until `stop`, and knows when the last of them is answered.

    All bodies together may hold `most_bytes`, so that many clients at once cannot take
    the memory that the models need.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self.stopping = False
        # A connection has one request under way at a time; the value is what its body holds.
        self._under_way: Dict[web.RequestHandler, int] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Raises Stopping for a request that begins after `stop`."""
        if self.stopping:
            raise Stopping()
        self._under_way[request.protocol] = 0
        self._idle.clear()
        try:
            return await handler(request)
        finally:
            self._bytes -= self._under_way.pop(request.protocol)
            if not self._under_way:
                self._idle.set()

    def hold(self, request: web.Request, size: int) -> None:
        """Counts `size` more bytes of its body. Raises QueueFull when all hold too much."""
        if self._bytes + size > self._most_bytes:
            raise QueueFull("too many bodies are being received at once")
        self._bytes += size
        self._under_way[request.protocol] += size
        record.current().bytes_in += size

    async def stop(self, seconds: float) -> None:
        """Refuses what is new, and waits until what is under way is answered."""
        self.stopping = True
        # Past every deadline whoever is left has stopped reading.
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)

    async def close_idle(self, server: web.Server) -> None:
        """Closes, for ever, the connections that have no request under way for too long."""
        loop = asyncio.get_running_loop()
        since: WeakKeyDictionary[web.RequestHandler, float] = WeakKeyDictionary()
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = loop.time()
            for connection in server.connections:
                if connection in self._under_way:
                    since[connection] = now
                elif now - since.setdefault(connection, now) > IDLE_SECONDS:
                    connection.force_close()
                    if connection.transport is not None:
                        connection.transport.abort()
