"""The fork server dies or hangs, descriptors run out, processes come and go."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path
from typing import List

import pytest

from tests.daemon.processes import stopped
from tests.daemon.workers.conftest import (
    MID,
    Serve,
    ask,
    ask_at_once,
    colour_of,
    counters_of,
    next_worker,
    picture,
    poison_of,
    worker_of,
    workers_of,
    zygote_of,
)
from tests.support import RunningDaemon, alive, wait_for


def test_it_is_killed(serve: Serve, two_workers: Path, tmp_path: Path) -> None:
    """Twice, with requests in the workers: all are answered, none is blamed."""
    daemon = serve(two_workers)
    for _ in range(2):
        zygote, workers = zygote_of(daemon), workers_of(daemon, 2)
        with stopped(*workers):
            asked = [ask(daemon, picture("blue", number)) for number in range(5)]
            os.kill(zygote, signal.SIGKILL)
            assert [colour_of(one.answer()) for one in asked] == ["blue"] * 5
        assert set(workers_of(daemon, 2)).isdisjoint(workers)
        assert not any(map(alive, workers))
    assert poison_of(tmp_path) == []
    assert counters_of(daemon)["failed"] == 0


def test_it_is_killed_as_soon_as_it_is_there(serve: Serve, colours: Path) -> None:
    daemon = serve(colours, wait=False)
    os.kill(wait_for(daemon.children)[0], signal.SIGKILL)
    daemon.wait_loaded()
    assert colour_of(ask_at_once(daemon, picture("red"))) == "red"


def test_it_hangs(serve: Serve, colours: Path) -> None:
    """It serves as long as its workers do; then it is missed."""
    daemon = serve(colours, deadline=30)
    zygote, pid = zygote_of(daemon), worker_of(daemon)
    with stopped(zygote):
        assert colour_of(ask_at_once(daemon, picture("red"))) == "red"
        with stopped(pid):
            asked = ask(daemon, picture("green"))
            os.kill(pid, signal.SIGKILL)
        # The worker's channel is closed, and nobody says that it is dead.
        wait_for(lambda: not alive(pid))
        daemon.model(MID)
        more = [ask(daemon, picture("blue", number)) for number in range(2)]
        assert colour_of(asked.answer()) == "green"
        assert [colour_of(one.answer()) for one in more] == ["blue"] * 2
        assert not alive(zygote)
    assert zygote_of(daemon) != zygote


@pytest.mark.slow
def test_it_hangs_when_the_daemon_stops(serve: Serve, colours: Path) -> None:
    daemon = serve(colours)
    zygote, pid = zygote_of(daemon), worker_of(daemon)
    with stopped(zygote, pid):
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(15) == 0
        wait_for(lambda: not alive(zygote) and not alive(pid), 3)


def test_no_descriptors_are_left_for_a_new_worker(serve: Serve, colours: Path) -> None:
    """It comes when there are some again. Who sends descriptors does not learn that the
    other side could not take them."""
    daemon = serve(colours)
    pid = worker_of(daemon)
    limits = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    with stopped(pid):
        asked = ask(daemon, picture("red"))
        # None at all: what is open stays so.
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: "no worker could be started" in daemon.log())
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, limits)
    assert colour_of(asked.answer()) == "red"


@pytest.mark.parametrize("restarts", [pytest.param(25), pytest.param(200, marks=pytest.mark.slow)])
def test_nothing_is_left_of_workers_that_ended(serve: Serve, colours: Path, restarts: int) -> None:
    daemon = serve(colours, log_level="error")
    zygote = zygote_of(daemon)
    pid = 0
    for number in range(restarts):
        pid = next_worker(daemon, pid)
        assert colour_of(ask_at_once(daemon, picture("red", number))) == "red"
        if number == 5:
            time.sleep(0.2)  # for what the first ones had open
            before = open_files(daemon, zygote)
        os.kill(pid, signal.SIGKILL)
    next_worker(daemon, pid)
    wait_for(lambda: open_files(daemon, zygote) == before)
    assert zygote_of(daemon) == zygote
    assert len(daemon.children()) == 2


def open_files(daemon: RunningDaemon, zygote: int) -> List[int]:
    return [len(os.listdir(f"/proc/{pid}/fd")) for pid in (daemon.process.pid, zygote)]
