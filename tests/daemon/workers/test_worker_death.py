"""A worker dies: its requests are answered all the same."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import cv2
import numpy as np

from tests.daemon.processes import HELD, end_worker, stopped
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
)
from tests.support import alive, wait_for


def test_its_requests_are_answered_by_the_next(serve: Serve, colours: Path, tmp_path: Path) -> None:
    daemon = serve(colours)
    first = worker_of(daemon)
    with stopped(first):
        asked = [ask(daemon, picture(colour)) for colour in ("red", "green", "blue")]
        end_worker(daemon, first)
        assert [colour_of(one.answer()) for one in asked] == ["red", "green", "blue"]
    assert workers_of(daemon, 1) != [first]
    counters = counters_of(daemon)
    assert counters["answered"] == 3
    assert (counters["failed"], counters["restarts"]) == (0, 1)
    assert poison_of(tmp_path) == []


def test_its_requests_go_to_another_worker(serve: Serve, two_workers: Path) -> None:
    daemon = serve(two_workers)
    first, second = workers_of(daemon, 2)
    with stopped(first, second):
        asked = [ask(daemon, picture("blue", number)) for number in range(4)]
        end_worker(daemon, first)
        os.kill(second, signal.SIGCONT)
        assert [colour_of(one.answer()) for one in asked] == ["blue"] * 4
    assert alive(second)
    assert second in daemon.model(MID)["workers"]


def test_one_that_has_nothing_to_do_is_replaced(serve: Serve, colours: Path) -> None:
    daemon = serve(colours)
    for number in (signal.SIGKILL, signal.SIGSEGV):
        before = worker_of(daemon)
        os.kill(before, number)
        next_worker(daemon, before)
        assert colour_of(ask_at_once(daemon, picture("green"))) == "green"


def test_one_that_dies_with_half_a_picture(serve: Serve, colours: Path) -> None:
    """Socket buffers hold a fraction of these: the rest waits in the daemon."""
    pixels = np.random.default_rng(1).integers(0, 120, (2200, 2200, 3), np.uint8)
    pixels[..., 2] += 120
    large = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes()
    assert len(large) > 13 << 20
    daemon = serve(colours)
    first = worker_of(daemon)
    with stopped(first):
        asked = [ask(daemon, large) for _ in range(HELD + 1)]
        wait_for(lambda: counters_of(daemon)["queued"] == 1)
        end_worker(daemon, first)
        assert [colour_of(one.answer()) for one in asked] == ["red"] * (HELD + 1)


def test_it_is_killed_again_and_again(serve: Serve, two_workers: Path, tmp_path: Path) -> None:
    """From outside: the picture is answered in the end, and not blamed."""
    daemon = serve(two_workers)
    for _ in range(2):
        pids = workers_of(daemon, 2)
        with stopped(*pids):
            asked = ask(daemon, picture("red"))
            for pid in pids:
                end_worker(daemon, pid)
            assert colour_of(asked.answer()) == "red"
    assert poison_of(tmp_path) == []
