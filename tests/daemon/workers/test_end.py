"""The daemon stops, or is killed: who was accepted is answered, and no process is left."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import Iterable

import pytest

from tests.daemon.processes import HELD, stopped
from tests.daemon.workers.conftest import (
    Serve,
    ask,
    code_of,
    colour_of,
    picture,
    worker_of,
    workers_of,
)
from tests.support import alive, wait_for


def send_all(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        os.kill(pid, number)


@pytest.mark.parametrize("ctrl_c", [False, True])
def test_it_drains(serve: Serve, colours: Path, ctrl_c: bool) -> None:
    daemon = serve(colours)
    family = daemon.children()
    idle = ask(daemon, picture("red"))
    assert colour_of(idle.answer()) == "red"
    with stopped(worker_of(daemon)):
        asked = [ask(daemon, picture("green", number)) for number in range(HELD + 2)]
        if ctrl_c:  # a terminal signals everyone in its foreground
            send_all([daemon.process.pid, *family], signal.SIGINT)
        else:
            daemon.process.send_signal(signal.SIGTERM)
        wait_for(lambda: refuses_connections(daemon.port))
        assert daemon.process.poll() is None
    assert [colour_of(one.answer()) for one in asked] == ["green"] * (HELD + 2)
    assert daemon.process.wait(10) == 0
    wait_for(lambda: not any(map(alive, family)), 3)


def test_a_connection_that_stays_open_is_told(serve: Serve, colours: Path) -> None:
    daemon = serve(colours)
    kept = ask(daemon, picture("red"))
    assert colour_of(kept.answer()) == "red"
    with stopped(worker_of(daemon)):
        asked = ask(daemon, picture("green"))
        daemon.process.send_signal(signal.SIGTERM)
        wait_for(lambda: refuses_connections(daemon.port))
        time.sleep(3)  # not for want of time: as long as another is answered, this one may ask
        kept.ask_again(picture("blue"))
    for one, colour in ((asked, "green"), (kept, "blue")):
        answer = one.answer()
        assert colour_of(answer) == colour
        assert answer.headers["connection"] == "close"


def test_a_worker_that_hangs_does_not_keep_it(serve: Serve, colours: Path) -> None:
    daemon = serve(colours, deadline=1)
    family = daemon.children()
    with stopped(worker_of(daemon)):
        asked = ask(daemon, picture("green"))
        daemon.process.send_signal(signal.SIGTERM)
        assert code_of(asked.answer()) == 336101
        assert daemon.process.wait(10) == 0
        wait_for(lambda: not any(map(alive, family)), 3)


def test_nothing_outlives_it(serve: Serve, two_workers: Path) -> None:
    """SIGKILL, with one worker hung in a run and another one idle."""
    daemon = serve(two_workers)
    hung, _ = workers_of(daemon, 2)
    family = daemon.children()
    assert len(family) == 3
    with stopped(hung):
        ask(daemon, picture("green"))
        daemon.process.kill()
        daemon.process.wait()
        wait_for(lambda: not any(map(alive, family)), 3)


def test_nothing_outlives_it_while_it_starts(serve: Serve, colours: Path) -> None:
    daemon = serve(colours, wait=False)
    family = wait_for(daemon.children)
    daemon.process.kill()
    daemon.process.wait()
    wait_for(lambda: not any(map(alive, family)), 3)


def refuses_connections(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0
