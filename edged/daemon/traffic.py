"""The requests under way: how many, what their bodies hold, and connections that do nothing."""

from __future__ import annotations

import asyncio
from typing import Awaitable, Callable, Dict
from weakref import WeakKeyDictionary

from aiohttp import web

from edged.daemon import record
from edged.errors import QueueFull

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# A connection that has sent no whole request, or taken no answer, for so long is closed.
IDLE_SECONDS = 75.0
_SWEEP_SECONDS = 5.0
# At the end a connection that is kept alive has so long for one request more: its client may
# have sent that before it can know.
_LAST_REQUEST_SECONDS = 1.0
_LOOK_SECONDS = 0.02


class Traffic:
    """Passes requests on, and knows when the last of them is answered.

    All bodies together may hold `most_bytes`, so that many clients at once cannot take
    the memory that the models need.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self.stopping = False
        # A connection has one request under way at a time; the value is what its body holds.
        self._under_way: Dict[web.RequestHandler, int] = {}

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._under_way[request.protocol] = 0
        try:
            return await handler(request)
        finally:
            self._bytes -= self._under_way.pop(request.protocol)

    def hold(self, request: web.Request, size: int) -> None:
        """Counts `size` more bytes of its body. Raises QueueFull when all hold too much."""
        if self._bytes + size > self._most_bytes:
            raise QueueFull("too many bodies are being received at once")
        self._bytes += size
        self._under_way[request.protocol] += size
        record.current().bytes_in += size

    async def stop(self, server: web.Server, seconds: float) -> None:
        """Waits until what is under way is answered, and each connection has had its last
        request; for `seconds` at most, as past every deadline whoever is left has stopped
        reading.
        """
        self.stopping = True
        loop = asyncio.get_running_loop()
        began = loop.time()
        while server.connections and loop.time() - began < seconds:
            if not self._under_way and loop.time() - began > _LAST_REQUEST_SECONDS:
                return
            await asyncio.sleep(_LOOK_SECONDS)

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
