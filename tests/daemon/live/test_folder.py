"""What changes in the models' folder while they are served: taken up on SIGHUP and by reload."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any, Dict, List

from tests.daemon.contract import BINARY
from tests.daemon.live.conftest import Make, change, put, relabel, served
from tests.daemon.processes import small_files
from tests.daemon.workers.conftest import (
    MID,
    Serve,
    add_model,
    ask_at_once,
    code_of,
    end,
    picture,
    worker_of,
)
from tests.support import RunningDaemon, alive, wait_for


def hang_up(daemon: RunningDaemon) -> None:
    daemon.process.send_signal(signal.SIGHUP)


def test_sighup_takes_up_new_changed_and_gone_folders(serve: Serve, models: Path) -> None:
    add_model(models, mid=8, name="goes")
    daemon = serve(models)
    (gone,) = daemon.model(8)["workers"]
    relabel(models / "colour", "1")
    shutil.rmtree(models / "goes")
    add_model(models, mid=9, name="comes")
    hang_up(daemon)
    wait_for(lambda: daemon.model(MID)["labels"][0] == "red-1")
    wait_for(lambda: code_of(ask_at_once(daemon, picture("red"), 9)) == 0)
    wait_for(lambda: code_of(ask_at_once(daemon, picture("red"), 8)) == 2002)
    wait_for(lambda: not alive(gone))
    assert served(daemon) == "1"


def test_a_folder_that_was_broken_by_hand_goes_on_as_it_was(serve: Serve, models: Path) -> None:
    """Over a restart too; and it is taken up when it is whole again."""
    daemon = serve(models, model_changes="open")
    before = worker_of(daemon)
    (models / "colour" / "model.yaml").write_text("task: no such\n")
    hang_up(daemon)
    wait_for(lambda: "no such" in daemon.model(MID)["reason"])
    assert (worker_of(daemon), served(daemon)) == (before, "0")
    assert change(daemon, "reload").status == 400
    end(daemon)
    again = serve(models)
    assert (served(again), again.model(MID)["state"]) == ("0", "ready")
    assert "no such" in again.model(MID)["reason"]


def test_a_changed_folder_that_cannot_be_kept_is_not_served(serve: Serve, models: Path) -> None:
    """Not from where it lies either, where it may change: the version before is kept whole. A
    disk that is full is stood in for by a limit on a file's size."""
    daemon = serve(models)
    before = worker_of(daemon)
    relabel(models / "colour", "1")
    (models / "colour" / "more").write_bytes(bytes(1 << 20))
    with small_files(daemon, 100_000):
        hang_up(daemon)
        wait_for(lambda: "cannot be copied" in daemon.model(MID)["reason"])
        assert (worker_of(daemon), served(daemon)) == (before, "0")
    hang_up(daemon)
    wait_for(lambda: daemon.model(MID)["labels"][0] == "red-1")
    assert daemon.model(MID)["reason"] == ""


def test_one_that_does_not_load_after_a_restart_is_rolled_back(serve: Serve, models: Path) -> None:
    daemon = serve(models)
    assert served(daemon) == "0"
    end(daemon)
    relabel(models / "colour", "1")
    network = models / "colour" / "model"
    network.write_bytes(network.read_bytes()[:-20])
    again = serve(models)
    wait_for(lambda: again.model(MID)["state"] == "ready")
    assert served(again) == "0"
    assert "rolled back" in again.model(MID)["reason"]
    end(again)
    assert served(serve(models)) == "0"


def test_what_lies_in_the_folder_may_change_without_harm(serve: Serve, models: Path) -> None:
    """The files that are served are others: a worker that is replaced loads what it did before."""
    daemon = serve(models)
    shutil.rmtree(models / "colour")
    old = worker_of(daemon)
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: not alive(old))
    assert served(daemon) == "0"


def test_a_folder_with_another_name_is_the_same_model(serve: Serve, models: Path) -> None:
    daemon = serve(models)
    (models / "colour").rename(models / "tints")
    hang_up(daemon)
    wait_for(lambda: "tints" in (models.parent / "state" / "models.json").read_text())
    wait_for(lambda: 'colour"' not in (models.parent / "state" / "models.json").read_text())
    assert served(daemon) == "0"
    listed = daemon.request("GET", "/api/models").json["data"]
    assert [model["mid"] for model in listed] == [MID]


def test_an_update_holds_until_the_folder_changes(
    serve: Serve, models: Path, version: Make
) -> None:
    daemon = serve(models, model_changes="open")
    put(daemon, version("1"))
    assert change(daemon, "reload").status == 200
    assert served(daemon) == "1"
    end(daemon)
    again = serve(models, model_changes="open")
    assert served(again) == "1"
    relabel(models / "colour", "2")
    assert change(again, "reload").status == 200
    assert served(again) == "2"
    assert change(again, "rollback").status == 200
    assert served(again) == "1"


def test_a_state_directory_that_was_emptied_is_filled_again(serve: Serve, models: Path) -> None:
    daemon = serve(models, model_changes="open")
    state = models.parent / "state"
    shutil.rmtree(state / "versions")
    (state / "models.json").unlink()
    before = worker_of(daemon)
    assert daemon.post("/api/models/reload", b"").status == 200
    assert (worker_of(daemon), served(daemon)) == (before, "0")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: not alive(before))
    assert served(daemon) == "0"
    assert change(daemon, "disable").status == 200
    end(daemon)
    assert serve(models).model(MID)["state"] == "disabled"


def test_two_folders_with_one_number(serve: Serve, models: Path) -> None:
    """The one that serves goes on; the newcomer says why it does not."""
    daemon = serve(models, model_changes="open")
    add_model(models, name="rival")
    hang_up(daemon)
    names = {model["name"]: model for model in wait_for(lambda: two_of(daemon))}
    assert "mid 7 is also that of" in names["rival"]["reason"]
    assert served(daemon) == "0"
    assert change(daemon, "disable").json["data"]["name"] == "colour"
    assert change(daemon, "enable").json["data"]["name"] == "colour"
    end(daemon)
    again = serve(models)
    assert served(again) == "0"
    shutil.rmtree(models / "rival")
    hang_up(again)
    wait_for(lambda: len(again.request("GET", "/api/models").json["data"]) == 1)


def two_of(daemon: RunningDaemon) -> List[Dict[str, Any]]:
    models: List[Dict[str, Any]] = daemon.request("GET", "/api/models").json["data"]
    return models if len(models) == 2 else []


def test_a_folder_of_models_that_has_gone(serve: Serve, models: Path) -> None:
    daemon = serve(models, model_changes="open")
    models.rename(models.parent / "elsewhere")
    hang_up(daemon)
    wait_for(lambda: "is not read again" in daemon.log())
    assert served(daemon) == "0"
    assert daemon.post("/api/models/reload", b"").status == 500
    assert daemon.post(f"{BINARY}?mid={MID}", picture("red")).status == 200
