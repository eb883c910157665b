"""The least that a server can be with the model in the process that answers: aiohttp and uvloop,
a process for each core on one socket, the function called right in the handler. Nothing is
checked, nothing is queued, and what crashes takes everything with it.

`/bytes?count=N` answers with N bytes, for what their way alone takes.

    python -m scripts.bench_parts.peers.thin_app PORT CORES
"""

from __future__ import annotations

import os
import socket
import sys

import msgspec
import uvloop
from aiohttp import web

from scripts.bench_parts.functions import of_environment

_MOST_BYTES = 16 << 20


def serve(listening: socket.socket) -> None:
    function = of_environment()

    async def predict(request: web.Request) -> web.Response:
        answer = function(await request.read())
        return web.Response(
            body=msgspec.json.encode({"answer": answer}), content_type="application/json"
        )

    async def send(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=bytes(int(request.query["count"])))

    app = web.Application(client_max_size=_MOST_BYTES)
    app.router.add_post("/predict", predict)
    app.router.add_post("/bytes", send)
    uvloop.install()
    web.run_app(app, sock=listening, access_log=None, print=None)


def main(port: str, cores: str) -> None:
    listening = socket.create_server(("127.0.0.1", int(port)), backlog=1024)
    for _ in range(int(cores) - 1):
        if os.fork() == 0:
            break
    serve(listening)


if __name__ == "__main__":
    main(*sys.argv[1:])
