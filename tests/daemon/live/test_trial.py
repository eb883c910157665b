"""The first minute of a new version: it is rolled back from by itself when it fails."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.daemon.live.conftest import Make, change, ledger, put, served
from tests.daemon.workers.conftest import MID, Serve, ask_at_once, code_of, end, picture, worker_of
from tests.daemon.workers.test_poison import ask_and_end
from tests.support import alive, wait_for

# With this mean every picture is dark to it, and it answers NaN.
BLIND = {"mean: [64, 64, 64]": "mean: [300, 300, 300]"}


def test_one_that_only_fails_is_rolled_back(serve: Serve, models: Path, version: Make) -> None:
    daemon = serve(models, model_changes="open")
    assert put(daemon, version("1", sample="", yaml=BLIND)).status == 200
    blind = worker_of(daemon)
    for number in range(8):
        assert code_of(ask_at_once(daemon, picture("red", number))) == 336000
    wait_for(lambda: daemon.model(MID)["labels"][0] == "red-0")
    assert served(daemon) == "0"
    assert "rolled back" in daemon.model(MID)["reason"]
    wait_for(lambda: not alive(blind))
    (record,) = ledger(models.parent)
    assert not record["on_trial"]
    end(daemon)
    assert served(serve(models)) == "0"


def test_one_answer_is_enough_to_stay(serve: Serve, models: Path, version: Make) -> None:
    daemon = serve(models, model_changes="open")
    put(daemon, version("1"))
    assert served(daemon) == "1"
    for number in range(20):
        ask_at_once(daemon, picture("dark", number))
    assert served(daemon) == "1"


def test_its_trial_goes_on_after_a_restart(serve: Serve, models: Path, version: Make) -> None:
    daemon = serve(models, model_changes="open")
    put(daemon, version("1", sample="", yaml=BLIND))
    daemon.process.kill()
    daemon.process.wait()
    again = serve(models)
    assert again.model(MID)["labels"][0] == "red-1"
    for number in range(8):
        ask_at_once(again, picture("red", number))
    wait_for(lambda: again.model(MID)["labels"][0] == "red-0")
    assert served(again) == "0"


def test_its_trial_goes_on_when_it_is_enabled_again(
    serve: Serve, models: Path, version: Make
) -> None:
    daemon = serve(models, model_changes="open")
    put(daemon, version("1", sample="", yaml=BLIND))
    assert change(daemon, "disable").status == 200
    assert change(daemon, "enable").status == 200
    for number in range(8):
        ask_at_once(daemon, picture("red", number))
    wait_for(lambda: daemon.model(MID)["labels"][0] == "red-0")


def test_one_that_is_replaced_is_not_rolled_back(serve: Serve, models: Path, version: Make) -> None:
    daemon = serve(models, model_changes="open")
    put(daemon, version("1", sample="", yaml=BLIND))
    for number in range(7):
        ask_at_once(daemon, picture("red", number))
    put(daemon, version("2"))
    assert served(daemon) == "2"
    assert change(daemon, "rollback").status == 200
    assert code_of(ask_at_once(daemon, picture("red", 9))) == 336000


@pytest.mark.slow
def test_a_minute_ends_it(serve: Serve, models: Path, version: Make) -> None:
    daemon = serve(models, model_changes="open")
    put(daemon, version("1", sample="", yaml=BLIND))
    for number in range(3):  # too few to be beyond doubt before the minute has passed
        ask_at_once(daemon, picture("red", number))
    put(daemon, version("2"), mid=8, name="other")
    first, _ = ledger(models.parent)
    assert first["on_trial"]
    time.sleep(50)
    assert daemon.model(MID)["labels"][0] == "red-1"
    wait_for(lambda: daemon.model(MID)["labels"][0] == "red-0")
    assert served(daemon) == "0"
    assert served(daemon, 8) == "2"


def test_what_crashes_one_version_is_not_refused_by_another(
    serve: Serve, models: Path, version: Make, tmp_path: Path
) -> None:
    """Nor is it kept for longer than the version."""
    daemon = serve(models, model_changes="open")
    put(daemon, version("1", yaml={"instances: 1": "instances: 2"}))
    image = picture("red", 1)
    assert code_of(ask_and_end(daemon, image, [signal.SIGSEGV] * 2).answer()) == 336000
    (kept,) = wait_for(lambda: list((tmp_path / "state" / "poison").glob(f"{MID}/*/*")))
    assert change(daemon, "rollback").status == 200
    assert (served(daemon), code_of(ask_at_once(daemon, image))) == ("0", 0)
    assert change(daemon, "rollback").status == 200
    assert code_of(ask_at_once(daemon, image)) == 336000
    put(daemon, version("2"))
    assert code_of(ask_at_once(daemon, image)) == 0
    assert kept.exists()
    put(daemon, version("3"))
    wait_for(lambda: not kept.parent.exists())
