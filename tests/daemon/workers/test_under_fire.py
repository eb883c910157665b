"""`kill -9` of a worker again and again, under load: no request is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import List, Tuple

import pytest

from tests.daemon.workers.conftest import MID, Serve, add_model, ask_at_once, picture, poison_of
from tests.support import RunningDaemon

LARGE = {"width": 2400, "height": 1600}  # so that a worker is busy most of the time


@pytest.mark.parametrize(
    ("instances", "seconds"),
    [(1, 4), (2, 4), pytest.param(1, 60, marks=pytest.mark.slow)],
)
def test_no_request_is_lost(serve: Serve, tmp_path: Path, instances: int, seconds: float) -> None:
    add_model(tmp_path / "models", instances=instances)
    daemon = serve(tmp_path / "models", log_level="error")
    answers: List[Tuple[int, bytes]] = []
    end = time.monotonic() + seconds
    clients = [
        threading.Thread(target=load, args=(daemon, end, number, answers)) for number in range(4)
    ]
    for client in clients:
        client.start()
    kills = 0
    while time.monotonic() < end:
        time.sleep(1 if seconds > 10 else 0.5)
        pids = daemon.model(MID)["workers"]
        if pids:
            os.kill(pids[kills % len(pids)], signal.SIGKILL)
            kills += 1
    for client in clients:
        client.join()
    assert kills >= 3
    assert len(answers) > 2 * kills
    assert [status for status, _ in answers if status != 200] == []
    assert len({body for _, body in answers}) == 1
    assert poison_of(tmp_path) == []


def load(daemon: RunningDaemon, end: float, number: int, answers: List[Tuple[int, bytes]]) -> None:
    image = picture("green", number, **LARGE)
    while time.monotonic() < end:
        answer = ask_at_once(daemon, image)
        answers.append((answer.status, answer.body))
