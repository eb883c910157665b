"""Frames from a worker, in whatever pieces they come."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Callable, Coroutine, List, Tuple

import msgspec
import pytest
import uvloop

from edged import wire
from edged.daemon.channel import Channel
from edged.errors import EdgedError

FRAMES: List[Tuple[wire.FromWorker, bytes]] = [
    (wire.Running(1), b""),
    (wire.Failure(2, "EngineError", "x" * 70_000), b""),  # larger than what is read at once
    (wire.Running(3), b"picture"),
    (wire.Running(4), bytes(range(256)) * 1200),
    (wire.Running(5), b""),
    (wire.Running(6), b"y" * 65_536),
    (wire.Running(7), b""),
]
Run = Callable[[Coroutine[Any, Any, None]], None]
SENT = b"".join(wire.encode(message, len(payload)) + payload for message, payload in FRAMES)


def feed(channel: Channel, data: bytes) -> None:
    """As the loop does."""
    while data:
        buffer = channel.get_buffer(-1)
        taken = min(len(buffer), len(data))
        buffer[:taken] = data[:taken]
        channel.buffer_updated(taken)
        data = data[taken:]


async def all_of(channel: Channel) -> List[Tuple[wire.FromWorker, bytes]]:
    return [await channel.receive() for _ in FRAMES]


@pytest.mark.parametrize("size", [1, 7, 8, 9, 4096, 65_536, 65_537, len(SENT)])
def test_in_pieces(size: int) -> None:
    async def receive() -> None:
        channel = Channel()
        for begin in range(0, len(SENT), size):
            feed(channel, SENT[begin : begin + size])
        assert await all_of(channel) == FRAMES

    asyncio.run(receive())


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """uvloop's transports are others than asyncio's."""
    run: Run = request.param
    return run


async def connected() -> Tuple[Channel, socket.socket]:
    """A channel, and the worker's end of it."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    _, channel = await loop.create_unix_connection(Channel, sock=ours)
    return channel, theirs


@pytest.mark.parametrize("size", [1000, 70_000, len(SENT)])
def test_over_a_socket(run: Run, size: int) -> None:
    """What has come before the end of the worker is received; then it is gone, and what is
    sent to it is nobody's fault.
    """

    async def talk() -> None:
        channel, theirs = await connected()
        loop = asyncio.get_running_loop()
        receiving = loop.create_task(all_of(channel))
        for begin in range(0, len(SENT), size):
            await loop.sock_sendall(theirs, SENT[begin : begin + size])
        assert await receiving == FRAMES
        await loop.sock_sendall(theirs, SENT[:5])
        theirs.close()
        with pytest.raises(ConnectionResetError):
            await channel.receive()
        assert channel.closing
        await asyncio.sleep(0.01)
        channel.send([b"to nobody"])
        with pytest.raises(ConnectionResetError):
            await channel.receive()

    run(talk())


def test_what_is_sent_arrives_before_the_end(run: Run) -> None:
    async def talk() -> None:
        channel, theirs = await connected()
        with theirs:
            channel.send([b"head", b"z" * 1_000_000])
            channel.close()
            assert channel.closing
            received = b""
            while data := await asyncio.get_running_loop().sock_recv(theirs, 1 << 20):
                received += data
            assert received == b"head" + b"z" * 1_000_000

    run(talk())


def test_a_frame_that_cannot_be_is_the_end(run: Run) -> None:
    """No memory is taken for it."""

    async def talk() -> None:
        channel, theirs = await connected()
        with theirs:
            await asyncio.get_running_loop().sock_sendall(theirs, b"\xff\xff\xff\xff" * 2)
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(channel.receive(), 30)

    run(talk())


def test_a_message_that_is_none_is_the_receivers_fault() -> None:
    """Not the loop's, which would only close the channel."""

    async def receive() -> None:
        channel = Channel()
        feed(channel, b"\x01\x00\x00\x00\x00\x00\x00\x00\xc1")
        with pytest.raises(msgspec.DecodeError):
            await channel.receive()
        feed(channel, wire.encode(wire.Failure(None, EdgedError.__name__, "")))
        assert await channel.receive() == (wire.Failure(None, EdgedError.__name__, ""), b"")

    asyncio.run(receive())
