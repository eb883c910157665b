"""The frames between the daemon and its model processes: the only bridge.

A frame is two little-endian uint32 (length of the message, length of the payload),
the message in msgpack, then the payload as raw bytes: a picture travels as it came,
never copied into the message.
"""

from __future__ import annotations

import socket
import struct
from typing import List, Optional, Tuple, Union

import msgspec

from edged.registry.spec import ModelSpec
from edged.results import Result, Stages

_LENGTHS = struct.Struct("<II")
LENGTHS_SIZE = _LENGTHS.size

EXIT_MEMORY = 77
"""A worker's exit status when a request needed more memory than its rlimit allows."""


class EngineOptions(msgspec.Struct, frozen=True):
    """`engine` is its name; `cache` is the folder of converted models.

    `threads` and `power_mode` (the name of a Paddle Lite power mode) hold where the
    engine knows such a thing.
    """

    engine: str
    cache: str
    threads: int
    power_mode: str


class Load(msgspec.Struct, tag=True, frozen=True):
    """The first frame to a worker. `memory_limit` is its rlimit on private memory, in bytes.

    `decode_ahead`: the next picture is decoded while one runs.
    """

    spec: ModelSpec
    options: EngineOptions
    memory_limit: int
    decode_ahead: bool = False


class LoadNothing(msgspec.Struct, tag=True, frozen=True):
    """The first frame to a worker without a model, which finds out whether pictures decode."""

    memory_limit: int


class PredictOptions(msgspec.Struct, frozen=True):
    """What a request may ask of a model, whatever the dialect calls it.

    `show`: the drawn picture too. `top`: so many classes of a classifier, best first.
    `threshold`: the least score, in 0..1, in the place of the model's own.
    """

    show: bool = False
    top: int = 5
    threshold: Optional[float] = None


class Infer(msgspec.Struct, tag=True, frozen=True):
    """One picture (the payload). From `deadline` on, by the system's monotonic clock, nobody
    waits any more.
    """

    id: int
    options: PredictOptions
    deadline: float


class Loaded(msgspec.Struct, tag=True, frozen=True):
    """The model is loaded, and has run once on a blank picture; or there is none to load."""


class Running(msgspec.Struct, tag=True, frozen=True):
    """The engine begins with a further part of request `id`: the clock of `run_timeout` starts
    anew. That it begins with a request at all goes without saying.
    """

    id: int


class Answer(msgspec.Struct, tag=True, frozen=True):
    """The result of one picture; the drawn JPEG is the payload. `rss` is in bytes.

    `width` and `height` are the picture's as a viewer shows it; without a model there is no more.
    """

    id: int
    results: List[Result]
    width: int
    height: int
    stages: Stages
    rss: int


class Failure(msgspec.Struct, tag=True, frozen=True):
    """An error by its class name in `edged.errors`. `id` is None for a failed load."""

    id: Optional[int]
    error: str
    message: str


class Spawn(msgspec.Struct, tag=True, frozen=True):
    """Daemon to zygote: fork a worker; `id` comes back with it.

    `warm` is the engine to import first, if that is not done yet, empty for none.
    """

    id: int
    warm: str


class Kill(msgspec.Struct, tag=True, frozen=True):
    """Daemon to zygote: SIGKILL to a worker, if it has not been reaped yet."""

    pid: int


class Spawned(msgspec.Struct, tag=True, frozen=True):
    """Zygote to daemon, with two descriptors: the worker's channel, the end of its stderr."""

    id: int
    pid: int


class NotSpawned(msgspec.Struct, tag=True, frozen=True):
    """Zygote to daemon: the system would not give a process, for this reason."""

    id: int
    reason: str


class Exited(msgspec.Struct, tag=True, frozen=True):
    """Zygote to daemon: `status` is a negative signal number or an exit status."""

    pid: int
    status: int


ToZygote = Union[Spawn, Kill]
FromZygote = Union[Spawned, NotSpawned, Exited]
"""These travel as packets of their own (SOCK_SEQPACKET), without a frame."""

ToWorker = Union[Load, LoadNothing, Infer]
FromWorker = Union[Loaded, Running, Answer, Failure]

_encoder = msgspec.msgpack.Encoder()
_to_worker = msgspec.msgpack.Decoder(ToWorker)
_from_worker = msgspec.msgpack.Decoder(FromWorker)
_to_zygote = msgspec.msgpack.Decoder(ToZygote)
_from_zygote = msgspec.msgpack.Decoder(FromZygote)


def encode(message: Union[ToWorker, FromWorker], payload_size: int = 0) -> bytes:
    """The frame up to its payload of `payload_size` bytes, which the caller sends next."""
    body = _encoder.encode(message)
    return _LENGTHS.pack(len(body), payload_size) + body


def decode_lengths(prefix: Union[bytes, memoryview]) -> Tuple[int, int]:
    """(message length, payload length) from the first `LENGTHS_SIZE` bytes of a frame."""
    message, payload = _LENGTHS.unpack(prefix)
    return message, payload


def decode_from_worker(body: Union[bytes, memoryview]) -> FromWorker:
    message: FromWorker = _from_worker.decode(body)
    return message


def encode_packet(message: Union[ToZygote, FromZygote]) -> bytes:
    return _encoder.encode(message)


def decode_to_zygote(packet: bytes) -> ToZygote:
    message: ToZygote = _to_zygote.decode(packet)
    return message


def decode_from_zygote(packet: bytes) -> FromZygote:
    message: FromZygote = _from_zygote.decode(packet)
    return message


def receive(channel: socket.socket) -> Tuple[ToWorker, bytes]:
    """The worker's side: blocks for one whole frame. Raises EOFError when the daemon has gone."""
    message, payload = decode_lengths(_receive_exactly(channel, LENGTHS_SIZE))
    return _to_worker.decode(_receive_exactly(channel, message)), _receive_exactly(channel, payload)


def send(channel: socket.socket, message: FromWorker, payload: bytes = b"") -> None:
    """The worker's side: blocks until the frame is handed to the kernel."""
    channel.sendall(encode(message, len(payload)))
    if payload:
        channel.sendall(payload)


def _receive_exactly(channel: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:  # more than once where it was stopped and continued meanwhile
        more = channel.recv(size - len(received), socket.MSG_WAITALL)
        if not more:
            raise EOFError
        received += more
    return received
