"""The daemon's end of a worker's socket: frames out, frames in."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Deque, Optional, Sequence, Tuple, cast

from edged import wire

# Of a frame that is larger, the rest is read right into memory of its own.
_SCRATCH = 1 << 16
# No answer comes near it. What claims more was written by a process that is out of its mind.
_MOST_FRAME = 256 << 20


class Channel(asyncio.BufferedProtocol):
    """Frames are whole before `receive` sees them, so a cancelled `receive` loses none. One task at
    a time receives.
    """

    def __init__(self) -> None:
        self._scratch = self._buffer = memoryview(bytearray(_SCRATCH))
        self._filled = 0
        self._frames: Deque[memoryview] = deque()
        self._waiter: Optional[asyncio.Future[None]] = None
        self._lost = False

    async def receive(self) -> Tuple[wire.FromWorker, bytes]:
        """A message and its payload. Raises ConnectionResetError when the worker has gone."""
        while not self._frames:
            if self._lost:
                raise ConnectionResetError
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        frame = self._frames.popleft()
        length, _ = wire.decode_lengths(frame[: wire.LENGTHS_SIZE])
        end = wire.LENGTHS_SIZE + length
        return wire.decode_from_worker(frame[wire.LENGTHS_SIZE : end]), bytes(frame[end:])

    def send(self, parts: Sequence[bytes]) -> None:
        """Nothing, when the worker has gone: `receive` says so."""
        if not self.closing:
            self._transport.writelines(parts)

    def close(self) -> None:
        """Once what was sent is written."""
        self._transport.close()

    @property
    def closing(self) -> bool:
        return self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        if self._buffer is self._scratch:
            self._take_frames()
        elif self._filled == len(self._buffer):
            self._frames.append(self._buffer)
            self._buffer, self._filled = self._scratch, 0
        if self._frames:
            self._wake()

    def _take_frames(self) -> None:
        """Those that are whole; what is left begins the next."""
        begin, size = 0, _frame_size(self._scratch[: self._filled])
        while begin + size <= self._filled:
            self._frames.append(memoryview(bytes(self._scratch[begin : begin + size])))
            begin += size
            size = _frame_size(self._scratch[begin : self._filled])
        left = self._scratch[begin : self._filled]
        if size > _MOST_FRAME:
            self._transport.abort()
        elif size > _SCRATCH:
            self._buffer = memoryview(bytearray(size))
        self._filled = len(left)
        self._buffer[: self._filled] = left

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self._lost = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _frame_size(begun: memoryview) -> int:
    """Bytes of the frame that begins with `begun`; of its lengths while they are not all there."""
    if len(begun) < wire.LENGTHS_SIZE:
        return wire.LENGTHS_SIZE
    return wire.LENGTHS_SIZE + sum(wire.decode_lengths(begun[: wire.LENGTHS_SIZE]))
