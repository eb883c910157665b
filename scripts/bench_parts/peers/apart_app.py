"""The least that a server can be whose models run in processes of their own: aiohttp and uvloop,
and for each core a process behind a socket, with the function in it. Nothing is checked, nothing
is refused, and a process that dies is not replaced.

    python -m scripts.bench_parts.peers.apart_app PORT CORES
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from typing import Deque, List, cast

import msgspec
import uvloop
from aiohttp import web

from scripts.bench_parts.functions import of_environment

_LENGTH = struct.Struct("<I")
_MOST_BYTES = 16 << 20
_IN_ONE_GO = 2 << 20


def work(channel: socket.socket) -> None:
    """A picture, its answer, and the next, until the server has gone."""
    function = of_environment()
    while head := channel.recv(_LENGTH.size, socket.MSG_WAITALL):
        (size,) = _LENGTH.unpack(head)
        picture = channel.recv(size, socket.MSG_WAITALL)
        answer = msgspec.json.encode({"answer": function(picture)})
        channel.sendall(_LENGTH.pack(len(answer)) + answer)


class Process(asyncio.Protocol):
    """The loop's end of a process: pictures out, answers in, in the same order."""

    def __init__(self) -> None:
        self.waiting: Deque[asyncio.Future[bytes]] = Deque()
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, picture: bytes) -> asyncio.Future[bytes]:
        answer = asyncio.get_running_loop().create_future()
        self.waiting.append(answer)
        self._transport.writelines([_LENGTH.pack(len(picture)), picture])
        return answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._received)[0]
            if len(self._received) < end:
                return
            answer = self.waiting.popleft()
            if not answer.done():
                answer.set_result(self._received[_LENGTH.size : end])
            self._received = self._received[end:]


async def serve(port: int, channels: List[socket.socket]) -> None:
    loop = asyncio.get_running_loop()
    processes = [
        (await loop.create_unix_connection(Process, sock=channel))[1] for channel in channels
    ]

    async def predict(request: web.Request) -> web.Response:
        picture = await request.read()
        process = min(processes, key=lambda one: len(one.waiting))
        return web.Response(body=await process.ask(picture), content_type="application/json")

    app = web.Application(client_max_size=_MOST_BYTES)
    app.router.add_post("/predict", predict)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


def main(port: str, cores: str) -> None:
    channels: List[socket.socket] = []
    for _ in range(int(cores)):
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _IN_ONE_GO)
        if os.fork() == 0:
            for channel in (ours, *channels):
                channel.close()
            work(theirs)
            return
        theirs.close()
        channels.append(ours)
    uvloop.run(serve(int(port), channels))


if __name__ == "__main__":
    main(*sys.argv[1:])
