"""The model process's loop: pictures in turn, or the next decoded while one runs."""

from __future__ import annotations

import socket
import threading
import time
import weakref
from typing import List, Set

import cv2
import msgspec
import numpy as np
import pytest

from edged import wire
from edged.errors import DeadlinePassed
from edged.image_header import Data
from edged.registry.spec import ModelFiles
from edged.results import Stages
from edged.worker import main
from edged.worker.clock import Clock
from edged.worker.decode import Picture, decode, whole
from edged.worker.model import Outcome, Prepared
from tests.worker.engines.conftest import options, spec_of

LOAD = wire.Load(spec_of(ModelFiles("nb", "x.nb")), options(""), 1 << 62)
PICTURE = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
SECONDS = 20


class Record:
    """What a model does, and on which threads. Its run takes until `may_end` is set."""

    def __init__(self) -> None:
        self.done: List[str] = []
        self.threads: Set[int] = set()
        self.may_end = threading.Event()
        self.most_frames = 0
        self._frames: List[weakref.ref[Picture]] = []

    def hold(self, frame: Picture) -> None:
        """Remembers how many there are at one time."""
        self._frames.append(weakref.ref(frame))
        self.most_frames = max(self.most_frames, sum(one() is not None for one in self._frames))

    def note(self, what: str) -> None:
        self.done.append(what)
        self.threads.add(threading.get_ident())


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Record:
    record = Record()

    class NotedModel:
        def __init__(self, load: wire.Load) -> None:
            pass

        def prepare(self, data: Data, options: wire.PredictOptions) -> Prepared:
            record.note("decode")
            if record.done.count("decode") == 2:
                record.may_end.set()
            frame = decode(data)
            record.hold(frame)
            return Prepared(whole(frame), None, 0.0)

        def predict(
            self, prepared: Prepared, options: wire.PredictOptions, clock: Clock
        ) -> Outcome:
            record.note("run")
            assert record.may_end.wait(SECONDS)
            return Outcome([], Stages(0, 0, 0, 0, 0), b"")

    monkeypatch.setattr(main, "Model", NotedModel)
    monkeypatch.setattr(main, "limit_memory", lambda limit: None)
    return record


def _two_answers(load: wire.Load) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(SECONDS)
        server = threading.Thread(target=main.serve, args=(theirs,))
        server.start()
        ours.sendall(wire.encode(load))
        for number in (1, 2):
            infer = wire.Infer(number, wire.PredictOptions(), time.monotonic() + 60)
            ours.sendall(wire.encode(infer, len(PICTURE)) + PICTURE)
        messages = [receive(ours) for _ in range(3)]
        ours.shutdown(socket.SHUT_WR)
        server.join(SECONDS)
    kinds = [type(message).__name__ for message in messages]
    assert kinds == ["Loaded", "Answer", "Answer"]
    assert not server.is_alive()


def test_one_is_decoded_while_another_runs(record: Record) -> None:
    _two_answers(msgspec.structs.replace(LOAD, decode_ahead=True))
    assert record.done.count("run") == record.done.count("decode") == 2
    assert len(record.threads) == 2


def test_in_turn_there_is_one_thread(record: Record) -> None:
    record.may_end.set()
    _two_answers(LOAD)
    assert record.done == ["decode", "run", "decode", "run"]
    assert len(record.threads) == 1


def test_in_turn_there_is_one_picture(record: Record) -> None:
    """Two of 40 million pixels are 240 MB."""
    record.may_end.set()
    _two_answers(LOAD)
    assert record.most_frames == 1


@pytest.mark.parametrize("decode_ahead", [True, False])
def test_what_nobody_waits_for_is_not_even_decoded(record: Record, decode_ahead: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(SECONDS)
        load = msgspec.structs.replace(LOAD, decode_ahead=decode_ahead)
        server = threading.Thread(target=main.serve, args=(theirs,))
        server.start()
        infer = wire.Infer(1, wire.PredictOptions(), time.monotonic() - 1)
        ours.sendall(wire.encode(load) + wire.encode(infer, len(PICTURE)) + PICTURE)
        messages = [receive(ours) for _ in range(2)]
        ours.shutdown(socket.SHUT_WR)
        server.join(SECONDS)
    assert messages[1] == wire.Failure(1, "DeadlinePassed", DeadlinePassed.when)
    assert record.done == []


class LongModel:
    """In parts without end."""

    def __init__(self, load: wire.Load) -> None:
        pass

    def prepare(self, data: Data, options: wire.PredictOptions) -> Prepared:
        return Prepared(whole(decode(data)), None, 0.0)

    def predict(self, prepared: Prepared, options: wire.PredictOptions, clock: Clock) -> Outcome:
        while True:
            time.sleep(0.4)
            clock.begin_part()


def test_what_nobody_waits_for_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two parts, of which the daemon hears; the next request finds the worker well."""
    monkeypatch.setattr(main, "Model", LongModel)
    monkeypatch.setattr(main, "limit_memory", lambda limit: None)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(SECONDS)
        server = threading.Thread(target=main.serve, args=(theirs,))
        server.start()
        ours.sendall(wire.encode(LOAD))
        for number, seconds in ((1, 1.0), (2, -1.0)):
            infer = wire.Infer(number, wire.PredictOptions(), time.monotonic() + seconds)
            ours.sendall(wire.encode(infer, len(PICTURE)) + PICTURE)
        assert isinstance(receive(ours), wire.Loaded)
        messages = [receive(ours)]
        while messages[-1] != wire.Failure(2, "DeadlinePassed", DeadlinePassed.when):
            messages.append(receive(ours))
            assert len(messages) < 30, "it goes on for nobody"
        ours.shutdown(socket.SHUT_WR)
        server.join(SECONDS)
    *parts, first, _ = messages
    assert first == wire.Failure(1, "DeadlinePassed", DeadlinePassed.when)
    assert len(parts) > 1
    assert set(parts) == {wire.Running(1)}


def receive(channel: socket.socket) -> wire.FromWorker:
    lengths = channel.recv(wire.LENGTHS_SIZE, socket.MSG_WAITALL)
    size, payload = wire.decode_lengths(lengths)
    assert payload == 0
    return wire.decode_from_worker(channel.recv(size, socket.MSG_WAITALL))
