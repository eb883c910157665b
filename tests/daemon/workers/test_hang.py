"""Time: the deadline of a request, the limit of a run, and what is not worth beginning."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.daemon.processes import HELD, end_worker, stopped
from tests.daemon.workers.conftest import (
    Asked,
    Serve,
    ask,
    ask_at_once,
    code_of,
    colour_of,
    counters_of,
    picture,
    poison_of,
    worker_of,
    workers_of,
)
from tests.support import RunningDaemon, alive


def test_a_late_answer_is_dropped(serve: Serve, colours: Path) -> None:
    daemon = serve(colours, deadline=1)
    pid = worker_of(daemon)
    # So that the late one is not all that the daemon knows of how long a run takes.
    assert colour_of(ask_at_once(daemon, picture("green"))) == "green"
    with stopped(pid):
        began = time.monotonic()
        late = ask(daemon, picture("red"))
        answer = late.answer()
        assert (answer.status, code_of(answer)) == (504, 336101)
        assert 1 <= time.monotonic() - began < 4
    # On the same connection, so that the answer to "red" would be the next thing on it.
    late.ask_again(picture("blue"))
    assert colour_of(late.answer()) == "blue"
    assert worker_of(daemon) == pid
    assert (counters_of(daemon)["answered"], counters_of(daemon)["failed"]) == (2, 1)


def test_a_run_that_takes_too_long(serve: Serve, colours: Path, tmp_path: Path) -> None:
    daemon = serve(colours, run_timeout=1, deadline=20)
    pid = worker_of(daemon)
    with stopped(pid):
        asked = [ask(daemon, picture(colour)) for colour in ("red", "green", "blue")]
        answer = asked[0].answer()
        assert (answer.status, code_of(answer)) == (504, 336101)
        assert "run_timeout" in answer.json["msg"]
        assert [colour_of(one.answer()) for one in asked[1:]] == ["green", "blue"]
    assert not alive(pid)
    assert poison_of(tmp_path) == []


def teach(daemon: RunningDaemon, seconds: float) -> None:
    """A run that takes so long, which is the first one: the daemon expects no other."""
    pid = worker_of(daemon)
    assert counters_of(daemon)["answered"] == 0
    with stopped(pid):
        asked = ask(daemon, picture("green"))
        time.sleep(seconds)
    assert colour_of(asked.answer()) == "green"


def test_nothing_is_begun_that_cannot_end_in_time(serve: Serve, colours: Path) -> None:
    daemon = serve(colours, deadline=3)
    teach(daemon, 2)
    began = time.monotonic()
    answer = Asked(daemon, picture("red"), pause=1.5).answer()
    assert (answer.status, code_of(answer)) == (504, 336101)
    assert time.monotonic() - began < 2.5  # refused as soon as it was there
    assert counters_of(daemon)["answered"] == 1
    # With nothing else to do the daemon does not believe in its estimate for ever.
    assert colour_of(Asked(daemon, picture("red"), pause=1.5).answer()) == "red"


def test_who_would_wait_beyond_the_deadline_is_refused_at_once(serve: Serve, colours: Path) -> None:
    daemon = serve(colours, deadline=3)
    teach(daemon, 2)
    pid = worker_of(daemon)
    with stopped(pid):
        asked = [ask(daemon, picture("blue", number)) for number in range(2)]
        answer = ask_at_once(daemon, picture("red"))
        assert (answer.status, code_of(answer)) == (429, 336100)
        assert int(answer.headers["retry-after"]) >= 4
    assert [colour_of(one.answer()) for one in asked] == ["blue"] * 2
    assert counters_of(daemon)["refused"] == 1


def test_a_full_queue(serve: Serve, colours: Path) -> None:
    daemon = serve(colours, queue=2)
    pid = worker_of(daemon)
    with stopped(pid):
        asked = [ask(daemon, picture("blue", number)) for number in range(HELD + 2)]
        assert counters_of(daemon)["queued"] == 2
        answer = ask_at_once(daemon, picture("red"))
        assert (answer.status, code_of(answer)) == (429, 336100)
        assert int(answer.headers["retry-after"]) >= 1
    assert [colour_of(one.answer()) for one in asked] == ["blue"] * (HELD + 2)
    assert colour_of(ask_at_once(daemon, picture("red"))) == "red"


def test_a_client_goes_away(serve: Serve, colours: Path) -> None:
    daemon = serve(colours)
    pid = worker_of(daemon)
    with stopped(pid):
        asked = [ask(daemon, picture("blue", number)) for number in range(HELD + 3)]
        assert counters_of(daemon)["queued"] == 3
        asked[1].go_away()  # is with the worker
        asked[HELD + 1].go_away()
        for _ in range(10):
            queued = counters_of(daemon)["queued"]
        assert queued == 2
    stayed = [one for number, one in enumerate(asked) if number not in (1, HELD + 1)]
    assert [colour_of(one.answer()) for one in stayed] == ["blue"] * (HELD + 1)
    assert counters_of(daemon)["answered"] == HELD + 1


def test_its_work_is_not_done_again_when_the_worker_dies(serve: Serve, colours: Path) -> None:
    daemon = serve(colours)
    pid = worker_of(daemon)
    with stopped(pid):
        gone, stays = (ask(daemon, picture("red", number)) for number in range(2))
        gone.go_away()
        for _ in range(10):
            worker_of(daemon)
        end_worker(daemon, pid, signal.SIGKILL)
        assert colour_of(stays.answer()) == "red"
    assert counters_of(daemon)["answered"] == 1


def test_two_workers_share_the_work(serve: Serve, two_workers: Path) -> None:
    """Each has three in its hands; the rest is queued."""
    daemon = serve(two_workers)
    first, second = workers_of(daemon, 2)
    with stopped(first, second):
        asked = [ask(daemon, picture("red", number)) for number in range(7)]
        assert counters_of(daemon)["queued"] == 1
        os.kill(second, signal.SIGCONT)
        # Its own three, and the one that waited.
        assert [colour_of(asked[one].answer()) for one in (1, 3, 5, 6)] == ["red"] * 4
        assert counters_of(daemon)["answered"] == 4
    assert [colour_of(asked[one].answer()) for one in (0, 2, 4)] == ["red"] * 3
