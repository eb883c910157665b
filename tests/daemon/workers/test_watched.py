"""What becomes of workers and their requests, as the metrics tell it."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from tests.daemon.contract import post_form
from tests.daemon.processes import HELD, end_worker, stopped
from tests.daemon.scraped import Scraped
from tests.daemon.workers.conftest import (
    MID,
    Serve,
    add_model,
    ask,
    ask_at_once,
    code_of,
    colour_of,
    end,
    next_worker,
    picture,
    poison_of,
    worker_of,
    workers_of,
)
from tests.support import RunningDaemon, wait_for


def value(daemon: RunningDaemon, name: str) -> float:
    return Scraped(daemon).value(name, mid=MID)


def test_a_worker_that_is_killed_is_a_restart(serve: Serve, colours: Path) -> None:
    daemon = serve(colours)
    before = worker_of(daemon)
    assert value(daemon, "edged_model_restarts_total") == 0
    os.kill(before, signal.SIGKILL)
    next_worker(daemon, before)
    assert value(daemon, "edged_model_restarts_total") == 1
    assert value(daemon, "edged_model_workers") == 1


def test_a_poison_picture(serve: Serve, tmp_path: Path) -> None:
    add_model(tmp_path / "models", instances=2, sample="red")
    daemon = serve(tmp_path / "models")
    image, pids = picture("red", 1), workers_of(daemon, 2)
    with stopped(*pids):
        asked = ask(daemon, image)
        for pid in pids:
            end_worker(daemon, pid, signal.SIGSEGV)
    assert code_of(asked.answer()) == 336000
    assert value(daemon, "edged_model_poison_pictures") == 1
    assert value(daemon, "edged_model_refused_total") == 0
    assert code_of(ask_at_once(daemon, image)) == 336000
    scraped = Scraped(daemon)
    assert scraped.value("edged_model_refused_total", mid=MID) == 1
    assert scraped.value("edged_requests_total", mid=MID, code=336000) == 2
    wait_for(lambda: poison_of(tmp_path) == [image])
    end(daemon)
    assert value(serve(tmp_path / "models"), "edged_model_poison_pictures") == 1


def test_what_waits(serve: Serve, colours: Path) -> None:
    daemon = serve(colours)
    with stopped(worker_of(daemon)):
        asked = [ask(daemon, picture("blue", number)) for number in range(HELD + 3)]
        assert value(daemon, "edged_model_queued") == 3
    assert [colour_of(one.answer()) for one in asked] == ["blue"] * (HELD + 3)
    assert value(daemon, "edged_model_queued") == 0


def test_waiting_is_time_in_the_queue(serve: Serve, colours: Path) -> None:
    daemon = serve(colours)
    pause = 0.2
    with stopped(worker_of(daemon)):
        asked = ask(daemon, picture("blue"))
        time.sleep(pause)
    answer = asked.answer()
    found = re.search(r"queue;dur=([\d.]+)", answer.headers["server-timing"])
    assert found
    assert float(found[1]) >= 1000 * pause
    assert value(daemon, "edged_queue_seconds_sum") >= pause
    assert value(daemon, "edged_queue_seconds_bucket") >= 1


def test_a_run_that_takes_too_long(serve: Serve, colours: Path) -> None:
    daemon = serve(colours, deadline=0.5)
    with stopped(worker_of(daemon)):
        assert code_of(ask_at_once(daemon, picture("blue"))) == 336101
    scraped = Scraped(daemon)
    assert scraped.value("edged_requests_total", mid=MID, dialect="edgeboard", code=336101) == 1
    assert scraped.value("edged_request_seconds_count", mid=MID) == 1
    assert scraped.value("edged_request_seconds_sum", mid=MID) >= 0.5
    assert scraped.value("edged_run_seconds_count", mid=MID) == 0


def test_a_model_that_fails_is_not_ready(serve: Serve, colours: Path) -> None:
    (colours / "colour" / "model").write_bytes(b"no model")
    daemon = serve(colours)
    scraped = Scraped(daemon)
    assert scraped.value("edged_model_ready", mid=MID) == 0
    assert scraped.series("edged_model_ready")
    assert code_of(ask_at_once(daemon, picture("blue"))) == 336100
    assert value(daemon, "edged_model_refused_total") == 1


def test_each_of_several_models_has_its_own_code(serve: Serve, colours: Path) -> None:
    """That of the whole answer is the first one's, here of a model that is not there."""
    (colours / "colour" / "model").write_bytes(b"no model")
    daemon = serve(colours)
    assert code_of(post_form(daemon, picture("blue"), f"[987654,{MID}]")) == 2002
    scraped = Scraped(daemon)
    assert scraped.value("edged_requests_total", dialect="edgeboard") == 1
    assert scraped.value("edged_requests_total", mid=MID, code=336100) == 1
