"""The frames: what one side sends is what the other one reads, however it arrives."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import List, Tuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged import wire
from edged.registry.spec import CenterCrop, ModelFiles, ModelSpec, Normalize, Resize
from edged.results import BBox, Result, Stages

SPEC = ModelSpec(
    mid=3,
    name="helmets",
    task="detection",
    exporter="native",
    folder="/models/helmets",
    files=ModelFiles("combined", "/models/helmets/m", "/models/helmets/p"),
    preprocess=(Resize(320, 320, "cubic"), CenterCrop(300, 300), Normalize(std=(1, 2, 3))),
    input_size=(300, 300),
    labels=("头盔", "none"),
)
OPTIONS = wire.EngineOptions("paddle", "/cache", 2, "high")
TO_WORKER: List[wire.ToWorker] = [
    wire.Load(SPEC, OPTIONS, 1 << 40, decode_ahead=True),
    wire.Infer(1, wire.PredictOptions(True, 5, 0.25), 9.5),
    wire.LoadNothing(1 << 40),
]
FROM_WORKER: List[wire.FromWorker] = [
    wire.Loaded(),
    wire.Running(1 << 40),
    wire.Answer(
        1, [Result(0, "头盔", 0.5, BBox(1, 2, 3, 4), {"a": [1]})], 8, 9, Stages(1, 2, 3, 4, 5), 1
    ),
    wire.Failure(None, "EngineError", "why"),
]
ZYGOTE = [wire.Spawned(1, 2), wire.NotSpawned(1, "why"), wire.Exited(2, -9)]


@pytest.fixture
def ends() -> Tuple[socket.socket, socket.socket]:
    return socket.socketpair()


@pytest.mark.parametrize("message", TO_WORKER, ids=lambda message: type(message).__name__)
@pytest.mark.parametrize("payload", [b"", b"\xff\xd8", bytes(3 << 20)], ids=["none", "two", "3 MB"])
def test_to_the_worker(
    ends: Tuple[socket.socket, socket.socket], message: wire.ToWorker, payload: bytes
) -> None:
    ours, theirs = ends
    with ours, theirs:
        frame = wire.encode(message, len(payload)) + payload
        sender = threading.Thread(target=ours.sendall, args=(frame + frame,))
        sender.start()
        for _ in range(2):
            received, content = wire.receive(theirs)
            assert (received, bytes(content)) == (message, payload)
        sender.join()


@pytest.mark.parametrize("message", FROM_WORKER, ids=lambda message: type(message).__name__)
def test_from_the_worker(
    ends: Tuple[socket.socket, socket.socket], message: wire.FromWorker
) -> None:
    ours, theirs = ends
    with ours, theirs:
        wire.send(theirs, message, b"jpeg")
        size, payload = wire.decode_lengths(ours.recv(wire.LENGTHS_SIZE))
        assert wire.decode_from_worker(ours.recv(size)) == message
        assert ours.recv(100) == b"jpeg"
        assert payload == 4


@pytest.mark.parametrize("message", ZYGOTE, ids=lambda message: type(message).__name__)
def test_from_the_zygote(message: wire.FromZygote) -> None:
    assert wire.decode_from_zygote(wire.encode_packet(message)) == message


@pytest.mark.parametrize("message", [wire.Spawn(1, "paddle"), wire.Kill(2)])
def test_to_the_zygote(message: wire.ToZygote) -> None:
    assert wire.decode_to_zygote(wire.encode_packet(message)) == message


@settings(deadline=None)
@given(st.data())
def test_a_frame_cut_short_is_the_end(data: st.DataObject) -> None:
    """The other side died while it wrote."""
    frame = wire.encode(TO_WORKER[1], 5) + b"image"
    cut = data.draw(st.integers(0, len(frame) - 1))
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(frame[:cut])
        with pytest.raises(EOFError):
            wire.receive(theirs)


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        wire.decode_from_worker(b"INFO: printed by a library\n")
    with pytest.raises(msgspec.ValidationError):
        wire.decode_from_worker(wire.encode(TO_WORKER[1])[wire.LENGTHS_SIZE :])


def test_every_message_is_tried_here() -> None:
    text = Path(wire.__file__).read_text(encoding="utf-8")
    tried = [*TO_WORKER, *FROM_WORKER, *ZYGOTE, wire.Spawn(1, "paddle"), wire.Kill(1)]
    assert text.count("tag=True") == len({type(message) for message in tried})
