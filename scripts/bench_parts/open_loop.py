"""Open-loop load: requests arrive evenly spaced, whether the ones before are answered or not.

    python -m scripts.bench_parts.open_loop URL BODY CONTENT-TYPE RATE SECONDS PROBES

Latency counts from when a request was due, so a server that falls behind cannot hide it.
Of PROBES requests one holds its body back for a while, to see whether a refusal comes
without it (0: none does). Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Deque, Dict, List, Optional, Tuple, cast
from urllib.parse import urlsplit

import uvloop

# Beyond it an arrival counts as lost: a generator that takes all memory measures itself.
_MOST_CONNECTIONS = 1000
_BODY_HELD = 0.1
_LAST_ANSWERS = 12.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """One request at a time; back to the idle ones when the server keeps it open."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._transport: Optional[asyncio.Transport] = None
        self._received = b""
        self._due = 0.0
        self._probe = False
        self._body_sent = True
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def ask(self, due: float, probe: bool) -> None:
        assert self._transport is not None
        self.busy, self._due, self._probe, self._received = True, due, probe, b""
        self._body_sent = not probe
        self._transport.write(self._generator.head)
        if probe:
            asyncio.get_running_loop().call_later(_BODY_HELD, self._send_body)
        else:
            self._transport.write(self._generator.body)

    def _send_body(self) -> None:
        if self.busy and not self._body_sent and self._transport is not None:
            self._body_sent = True
            self._transport.write(self._generator.body)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, content = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or length is None or len(content) < int(length.group(1)):
            return
        self.busy = False
        status = int(head[9:12])
        self._generator.answered(status, self._due, self._probe, self._body_sent)
        assert self._transport is not None
        if self._body_sent and b"connection: close" not in head.lower():
            self._generator.idle.append(self)
        else:
            self._transport.abort()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self._transport = None
        self._generator.gone(self)
        if self.busy:
            self.busy = False
            self._generator.lose()


class Generator:
    def __init__(self, url: str, body: bytes, content_type: str, probes: int) -> None:
        target = urlsplit(url)
        self._address = (target.hostname or "", target.port or 80)
        self.body = body
        self.head = (
            f"POST {target.path}?{target.query} HTTP/1.1\r\nHost: {target.netloc}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        self.idle: Deque[Connection] = Deque()
        self.lost = 0
        self._change = asyncio.Event()
        self._probes = probes
        self._open = 0
        self._answered = 0
        self._good = 0
        self._ended = 0.0
        self._latencies: Dict[int, List[float]] = {}
        self._refused_probes = [0, 0]  # with the body still held back, and all
        self._tasks: List[asyncio.Task[None]] = []

    def answered(self, status: int, due: float, probe: bool, body_sent: bool) -> None:
        self._ended = asyncio.get_running_loop().time()
        self._answered += 1
        self._change.set()
        self._good += status == 200
        if probe and status != 200:
            self._refused_probes[0] += not body_sent
            self._refused_probes[1] += 1
        if not probe:  # its body came late by intention
            self._latencies.setdefault(status, []).append((self._ended - due) * 1000)

    def lose(self) -> None:
        self.lost += 1
        self._change.set()

    def gone(self, connection: Connection) -> None:
        self._open -= 1
        with suppress(ValueError):
            self.idle.remove(connection)

    async def run(self, rate: float, seconds: float) -> Dict[str, object]:
        loop = asyncio.get_running_loop()
        began, count = loop.time() + 0.05, max(1, round(rate * seconds))
        cpu = time.process_time()
        for number in range(count):
            due = began + number / rate
            delay = due - loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            self._arrive(due, bool(self._probes) and number % self._probes == 0)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._all_ended(count), _LAST_ANSWERS)
        return {
            "sent": count,
            "good": self._good,
            "lost": count - self._answered,
            "took": self._ended - began,
            "cpu": time.process_time() - cpu,
            "latencies": {str(status): spent for status, spent in self._latencies.items()},
            "refused_probes": self._refused_probes,
        }

    async def _all_ended(self, count: int) -> None:
        while self._answered + self.lost < count:
            self._change.clear()
            await self._change.wait()

    def _arrive(self, due: float, probe: bool) -> None:
        if self.idle:
            self.idle.pop().ask(due, probe)
            return
        if self._open >= _MOST_CONNECTIONS:
            self.lose()
            return
        self._open += 1
        self._tasks.append(asyncio.get_running_loop().create_task(self._connect(due, probe)))

    async def _connect(self, due: float, probe: bool) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: Connection(self), *self._address)
        except OSError:
            self._open -= 1
            self.lose()
            return
        connection.ask(due, probe)


def main(arguments: Tuple[str, ...]) -> None:
    url, body, content_type, rate, seconds, probes = arguments
    content = Path(body).read_bytes()

    async def work() -> Dict[str, object]:
        generator = Generator(url, content, content_type, int(probes))
        return await generator.run(float(rate), float(seconds))

    print(json.dumps(uvloop.run(work())))


if __name__ == "__main__":
    main(tuple(sys.argv[1:]))
