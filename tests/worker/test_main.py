"""The model process's loop: pictures in turn, or the next decoded while one runs."""

from __future__ import annotations

import socket
import threading
import time
import weakref
from contextlib import contextmanager
from typing import Iterator, List, Set

import cv2
import msgspec
import numpy as np
import pytest

from edged import wire
from edged.errors import DeadlinePassed
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

        def prepare(self, data: bytes, options: wire.PredictOptions) -> Prepared:
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


@contextmanager
def serving(load: wire.Load) -> Iterator[socket.socket]:
    """The daemon's end of a worker that has loaded; it ends when that does."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(SECONDS)
        server = threading.Thread(target=main.serve, args=(theirs,))
        server.start()
        ours.sendall(wire.encode(load))
        assert receive(ours) == wire.Loaded()
        yield ours
        ours.shutdown(socket.SHUT_WR)
        server.join(SECONDS)
        assert not server.is_alive()


def ask(channel: socket.socket, number: int, seconds: float) -> None:
    """For an answer within so many seconds."""
    infer = wire.Infer(number, wire.PredictOptions(), time.monotonic() + seconds)
    channel.sendall(wire.encode(infer, len(PICTURE)) + PICTURE)


def _two_answers(load: wire.Load) -> None:
    with serving(load) as channel:
        for number in (1, 2):
            ask(channel, number, 60)
        kinds = [type(receive(channel)).__name__ for _ in range(2)]
    assert kinds == ["Answer", "Answer"]


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
    with serving(msgspec.structs.replace(LOAD, decode_ahead=decode_ahead)) as channel:
        ask(channel, 1, -1)
        assert receive(channel) == wire.Failure(1, "DeadlinePassed", DeadlinePassed.when)
    assert record.done == []


class LongModel:
    """In parts without end."""

    def __init__(self, load: wire.Load) -> None:
        pass

    def prepare(self, data: bytes, options: wire.PredictOptions) -> Prepared:
        return Prepared(whole(decode(data)), None, 0.0)

    def predict(self, prepared: Prepared, options: wire.PredictOptions, clock: Clock) -> Outcome:
        while True:
            time.sleep(0.4)
            clock.begin_part()


def test_what_nobody_waits_for_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two parts, of which the daemon hears; the next request finds the worker well."""
    monkeypatch.setattr(main, "Model", LongModel)
    monkeypatch.setattr(main, "limit_memory", lambda limit: None)
    with serving(LOAD) as channel:
        for number, seconds in ((1, 1.0), (2, -1.0)):
            ask(channel, number, seconds)
        messages = [receive(channel)]
        while messages[-1] != wire.Failure(2, "DeadlinePassed", DeadlinePassed.when):
            messages.append(receive(channel))
            assert len(messages) < 30, "it goes on for nobody"
    *parts, first, _ = messages
    assert first == wire.Failure(1, "DeadlinePassed", DeadlinePassed.when)
    assert len(parts) > 1
    assert set(parts) == {wire.Running(1)}


def receive(channel: socket.socket) -> wire.FromWorker:
    lengths = channel.recv(wire.LENGTHS_SIZE, socket.MSG_WAITALL)
    size, payload = wire.decode_lengths(lengths)
    assert payload == 0
    return wire.decode_from_worker(channel.recv(size, socket.MSG_WAITALL))
