"""`edged models add …`: of a daemon that runs, whoever it lets in, and without one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Tuple

import pytest

from tests.daemon.live.conftest import Make, served
from tests.daemon.workers.conftest import MID, Serve, ask_at_once, code_of, end, picture
from tests.support import ROOT


class Commands:
    def __init__(self, models: Path) -> None:
        self._flags = [f"--models={models}", f"--state={models.parent / 'state'}"]

    def __call__(self, *arguments: object) -> Tuple[int, str]:
        """The exit status, and what it prints of either kind."""
        command = [sys.executable, "-m", "edged", "models", *map(str, arguments), *self._flags]
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout.strip()


@pytest.fixture
def edged(models: Path) -> Commands:
    return Commands(models)


def test_of_a_running_daemon_whatever_token_it_wants(
    serve: Serve, models: Path, version: Make, edged: Commands, tmp_path: Path
) -> None:
    daemon = serve(models, auth="required")
    assert edged("add", version("1"), "--mid", MID) == (0, "7 colour is ready")
    assert edged("disable", MID) == (0, "7 colour is disabled")
    assert edged("list")[1].endswith("disabled")
    assert edged("enable", MID) == (0, "7 colour is ready")
    assert edged("rollback", MID) == (0, "7 colour is ready")
    assert edged("reload") == (0, "7 colour is ready")
    folder = tmp_path / "12-hats"
    with zipfile.ZipFile(version("2")) as packed:
        packed.extractall(folder)
    assert edged("add", folder) == (0, "12 hats is ready")
    status, said = edged("add", version("3", sample="green"), "--mid", 12)
    assert status == 1
    assert "sample.json" in said
    assert "Traceback" not in said
    assert edged("remove", 12) == (0, "12 hats is removed")
    assert edged("remove", 12) == (1, "edged: there is no model with mid 12 (code 2002)")
    end(daemon)
    assert served(serve(models)) == "0"


def test_without_a_daemon_the_next_one_serves_it_so(
    serve: Serve, models: Path, version: Make, edged: Commands
) -> None:
    assert edged("add", version("1"), "--mid", MID) == (0, "7 colour is added")
    assert edged("add", version("2"), "--mid", 8, "--name", "hats") == (0, "8 hats is added")
    status, said = edged("add", version("3", sample="green"), "--mid", 8)
    assert status == 1
    assert "sample.json" in said
    assert edged("disable", 8) == (0, "8 hats is disabled")
    daemon = serve(models)
    assert (served(daemon), daemon.model(8)["state"]) == ("1", "disabled")
    end(daemon)
    assert edged("rollback", MID) == (0, "7 colour is rolled back")
    assert edged("enable", 8) == (0, "8 hats is enabled")
    assert edged("reload")[0] == 0
    daemon = serve(models)
    assert (served(daemon), served(daemon, 8)) == ("0", "2")
    end(daemon)
    assert edged("remove", MID) == (0, "7 colour is removed")
    assert list(models.iterdir()) == []
    daemon = serve(models)
    assert code_of(ask_at_once(daemon, picture("red"))) == 2002
    assert served(daemon, 8) == "2"


@pytest.mark.parametrize("running", [True, False])
def test_the_name_that_is_asked_for_holds_not_the_one_in_the_zip(
    serve: Serve, models: Path, version: Make, edged: Commands, running: bool
) -> None:
    if running:
        serve(models)
    archive = version("1", yaml={"task: ": "name: other\ntask: "})
    status, said = edged("add", archive, "--name", "caps")
    assert status == 0, said
    assert " caps is " in said


def test_after_a_daemon_that_was_killed(
    serve: Serve, models: Path, version: Make, edged: Commands
) -> None:
    daemon = serve(models)
    daemon.process.kill()
    daemon.process.wait()
    assert edged("add", version("1"), "--mid", MID) == (0, "7 colour is added")
    assert served(serve(models)) == "1"


def test_a_second_daemon_leaves_the_commands_to_the_first(
    serve: Serve, models: Path, version: Make, edged: Commands
) -> None:
    first, second = serve(models), serve(models)
    assert edged("add", version("1"), "--mid", MID) == (0, "7 colour is ready")
    assert (served(first), served(second)) == ("1", "0")
    end(second)
    assert edged("reload") == (0, "7 colour is ready")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_is_refused(serve: Serve, models: Path, edged: Commands) -> None:
    serve(models)
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from edged import control\n"
        "from edged.errors import EdgedError\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n"
        "    control.ask(Path(sys.argv[1]), Path(sys.argv[2]), 'POST', '/api/models/reload')\n"
        "except EdgedError as error:\n"
        "    print(error)\n"
    )
    state = models.parent / "state"
    done = subprocess.run(
        [sys.executable, "-c", code, str(state), str(models)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert "Permission denied" in done.stdout


def test_a_state_directory_with_a_long_name(tmp_path: Path, serve: Serve, models: Path) -> None:
    """Longer than a socket's address may be."""
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    shutil.move(str(models), str(deep / "models"))
    serve(deep / "models", state=deep / "state")
    assert Commands(deep / "models")("reload") == (0, "7 colour is ready")
