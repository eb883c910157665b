"""The model process's loop: the next picture is decoded while one runs."""

from __future__ import annotations

import socket
import threading
from typing import List, Tuple

import cv2
import numpy as np
import pytest

from edged import wire
from edged.registry.spec import ModelFiles
from edged.results import Stages
from edged.worker import main
from edged.worker.decode import decode as real_decode
from edged.worker.model import Outcome, Prepared
from tests.worker.engines.conftest import options, spec_of

LOAD = wire.Load(spec_of(ModelFiles("nb", "x.nb")), options(""), 1 << 62)
SECONDS = 20


@pytest.fixture
def second_decoded(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A model whose run takes until the second picture has been decoded."""
    decoded: List[int] = []
    event = threading.Event()

    def decode(payload: bytearray) -> object:
        picture = real_decode(payload)
        decoded.append(1)
        if len(decoded) == 2:
            event.set()
        return picture

    class SlowModel:
        engine = "slow"
        inputs: Tuple[()] = ()

        def __init__(self, load: wire.Load) -> None:
            pass

        def predict(self, prepared: Prepared, options: wire.PredictOptions) -> Outcome:
            assert event.wait(SECONDS)
            return Outcome([], Stages(0, 0, 0, 0, 0), b"")

    monkeypatch.setattr(main, "decode", decode)
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
                wire.encode(wire.Infer(number, wire.PredictOptions()), len(picture)) + picture
            )
        messages = [receive(ours) for _ in range(5)]
        ours.shutdown(socket.SHUT_WR)
        server.join(SECONDS)
    assert second_decoded.is_set()
    assert [type(message).__name__ for message in messages] == [
        "Loaded",
        "Running",
        "Answer",
        "Running",
        "Answer",
    ]


def receive(channel: socket.socket) -> wire.FromWorker:
    lengths = channel.recv(wire.LENGTHS_SIZE, socket.MSG_WAITALL)
    size, payload = wire.decode_lengths(lengths)
    assert payload == 0
    return wire.decode_from_worker(channel.recv(size, socket.MSG_WAITALL))
