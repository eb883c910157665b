"""The model process's loop: the next picture is decoded while one runs."""

from __future__ import annotations

import socket
import threading
import time
from typing import List, Tuple

import cv2
import numpy as np
import pytest

from edged import wire
from edged.errors import DeadlinePassed
from edged.image_header import Data
from edged.registry.spec import ModelFiles
from edged.results import Stages
from edged.worker import main
from edged.worker.clock import Clock
from edged.worker.decode import decode, whole
from edged.worker.model import Outcome, Prepared
from tests.worker.engines.conftest import options, spec_of

LOAD = wire.Load(spec_of(ModelFiles("nb", "x.nb")), options(""), 1 << 62)
SECONDS = 20


@pytest.fixture
def second_decoded(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A model whose run takes until the second picture has been decoded."""
    decoded: List[int] = []
    event = threading.Event()

    class SlowModel:
        engine = "slow"
        inputs: Tuple[()] = ()

        def __init__(self, load: wire.Load) -> None:
            pass

        def prepare(self, data: Data, options: wire.PredictOptions) -> Prepared:
            prepared = Prepared(whole(decode(data)), None, 0.0)
            decoded.append(1)
            if len(decoded) == 2:
                event.set()
            return prepared

        def predict(
            self, prepared: Prepared, options: wire.PredictOptions, clock: Clock
        ) -> Outcome:
            assert event.wait(SECONDS)
            return Outcome([], Stages(0, 0, 0, 0, 0), b"")

    monkeypatch.setattr(main, "Model", SlowModel)
    monkeypatch.setattr(main, "limit_memory", lambda limit: None)
    return event


def test_one_is_decoded_while_another_runs(second_decoded: threading.Event) -> None:
    picture = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(SECONDS)
        server = threading.Thread(target=main.serve, args=(theirs,))
        server.start()
        ours.sendall(wire.encode(LOAD))
        for number in (1, 2):
            ours.sendall(
                wire.encode(wire.Infer(number, wire.PredictOptions(), 60), len(picture)) + picture
            )
        messages = [receive(ours) for _ in range(3)]
        ours.shutdown(socket.SHUT_WR)
        server.join(SECONDS)
    assert second_decoded.is_set()
    assert [type(message).__name__ for message in messages] == [
        "Loaded",
        "Answer",
        "Answer",
    ]


class LongModel:
    """In parts without end."""

    engine = "long"
    inputs: Tuple[()] = ()

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
    picture = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(SECONDS)
        server = threading.Thread(target=main.serve, args=(theirs,))
        server.start()
        ours.sendall(wire.encode(LOAD))
        for number, seconds in ((1, 1.0), (2, -1.0)):
            infer = wire.Infer(number, wire.PredictOptions(), seconds)
            ours.sendall(wire.encode(infer, len(picture)) + picture)
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
