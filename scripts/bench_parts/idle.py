"""Holds keep-alive connections that do nothing, until its stdin ends.

    python -m scripts.bench_parts.idle PORT COUNT

Each has had one request answered. Prints `ready` when all are there.
"""

from __future__ import annotations

import socket
import sys

_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def main(port: str, count: str) -> None:
    held = []
    for _ in range(int(count)):
        connection = socket.create_connection(("127.0.0.1", int(port)), timeout=30)
        connection.sendall(_REQUEST)
        if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
            raise ConnectionError("an idle connection was refused")
        held.append(connection)
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
