"""`edged datasets` as its owner at the board calls it: real processes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Dict, List

import pytest

from edged.datasets import FOLDER
from edged.datasets.formats import FORMATS
from tests.daemon.access.keyring import bearer, make_key, token_of
from tests.datasets.filled import DETECTION, entity, files_of, filled, picture, told
from tests.support import ROOT, RunningDaemon


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def datasets(
    state: Path, *arguments: object, answer: str = "", **options: Any
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edged", "datasets", *map(str, arguments), f"--state={state}"]
    return subprocess.run(
        command,
        cwd=ROOT,
        input=answer,
        text=True,
        timeout=120,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def ran(state: Path, *arguments: object) -> str:
    """What it prints. It says nothing to a person who is not there."""
    done = datasets(state, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    output: str = done.stdout
    return output


def failed(state: Path, *arguments: object, code: int = 1) -> str:
    """The last line of why."""
    done = datasets(state, *arguments)
    assert (done.returncode, done.stdout) == (code, ""), done.stdout
    assert "Traceback" not in done.stderr
    last: str = done.stderr.splitlines()[-1]
    return last


def listed(state: Path) -> List[Dict[str, Any]]:
    found: List[Dict[str, Any]] = json.loads(ran(state, "list", "--json"))
    return found


def test_before_there_is_any(state: Path) -> None:
    """Asking makes nothing."""
    assert listed(state) == []
    assert ran(state, "list").split() == ["id", "name", "type", "owner", "entities"]
    for command in (["show", 1], ["export", 1, "--format=coco", "--out=x"], ["delete", 1]):
        assert failed(state, *command) == "edged: there is no dataset 1"
    assert not state.exists()


def test_list_and_show(state: Path) -> None:
    key = make_key(state, "shop")
    filled(state / FOLDER, "OBJECT_DETECTION", DETECTION, "streets", key.api_key)
    filled(state / FOLDER, "TEXT_CLASSIFICATION", [entity("a", b"x", "yes")], "words")
    assert listed(state) == [
        {
            "id": 1,
            "name": "streets",
            "type": "OBJECT_DETECTION",
            "owner": "shop",
            "entities": 6,
            "busy": "",
        },
        {
            "id": 2,
            "name": "words",
            "type": "TEXT_CLASSIFICATION",
            "owner": "",
            "entities": 1,
            "busy": "",
        },
    ]
    assert [line.split() for line in ran(state, "list").splitlines()[1:]] == [
        ["1", "streets", "OBJECT_DETECTION", "shop", "6"],
        ["2", "words", "TEXT_CLASSIFICATION", "1"],
    ]
    shown = json.loads(ran(state, "show", 1, "--json"))
    assert shown.pop("labels") == {"car": 3, "traffic-l-eddzqimsax": 1, "person": 2}
    assert shown == listed(state)[0]
    text = ran(state, "show", 1)
    assert "name: streets" in text
    assert ["car", "3"] in [line.split() for line in text.splitlines()]


@pytest.mark.parametrize("out", ["out", "out.zip"])
def test_export_and_import(state: Path, tmp_path: Path, out: str) -> None:
    make_key(state, "shop")
    filled(state / FOLDER, "OBJECT_DETECTION", DETECTION)
    said = ran(state, "export", 1, "--format=voc", "--out", tmp_path / out)
    assert said == f"6 entities of shop are in {tmp_path / out}\n"
    new = ["--format=voc", "--name=again", "--key=shop"]
    assert ran(state, "import", tmp_path / out, *new) == "6 entities are in the dataset 2\n"
    assert told(state / FOLDER, 2) == told(state / FOLDER, 1)
    (_, second) = listed(state)
    assert (second["name"], second["owner"], second["entities"]) == ("again", "shop", 6)
    # To one that is there; what is the same makes no second entity.
    assert ran(state, "import", tmp_path / out, "--format=voc", "--to=2")
    assert listed(state)[1]["entities"] == 6
    assert failed(state, "export", 1, "--format=voc", "--out", tmp_path / out).endswith(
        "is there already" if out == "out.zip" else "is no empty folder"
    )


def test_the_type_of_a_new_dataset(state: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "cat").mkdir(parents=True)
    (tmp_path / "in" / "cat" / "a.jpg").write_bytes(picture(1))
    (tmp_path / "in" / "dog").mkdir()
    (tmp_path / "in" / "dog" / "a.jpg").write_bytes(picture(1))  # one entity with two labels
    said = ran(state, "import", tmp_path / "in", "--format=imagenet", "--name=a")
    assert said == "1 entities are in the dataset 1\n"
    ran(
        state,
        "import",
        tmp_path / "in",
        "--format=imagenet",
        "--name=b",
        "--type=IMAGE_SEGMENTATION",
    )
    assert [one["type"] for one in listed(state)] == ["IMAGE_CLASSIFICATION", "IMAGE_SEGMENTATION"]


def test_pictures_are_decoded(state: Path, tmp_path: Path) -> None:
    """In a process of its own; by their headers these would do."""
    folder = tmp_path / "in" / "train" / "cat"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(picture(1))
    (folder / "b.jpg").write_bytes(picture(2)[:400])
    (folder / "c.png").write_bytes(picture(3, "PNG")[:-400])
    done = datasets(state, "import", tmp_path / "in", "--format=imagenet", "--name=x")
    assert (done.returncode, done.stdout) == (1, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("edged: train/cat/b.jpg: ")
    assert second.startswith("train/cat/c.png: ")
    assert listed(state) == []


def test_wrong_uses(state: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "cat").mkdir(parents=True)
    (tmp_path / "in" / "cat" / "a.jpg").write_bytes(picture(1))
    filled(state / FOLDER, "OBJECT_DETECTION", DETECTION)
    source, new = tmp_path / "in", ["--format=imagenet", "--name=x"]
    assert "imagenet does not suit OBJECT_DETECTION" in failed(
        *(state, "export", 1, "--format=imagenet", f"--out={tmp_path / 'out'}")
    )
    assert "there is no key nobody" in failed(state, "import", source, *new, "--key=nobody")
    assert "1 to 20 characters" in failed(
        *(state, "import", source, "--format=imagenet", f"--name={'x' * 21}")
    )
    assert "imagenet does not suit OBJECT_DETECTION" in failed(
        *(state, "import", source, "--format=imagenet", "--to=1")
    )
    ran(state, "import", source, *new)
    assert "there is a dataset x already" in failed(state, "import", source, *new)
    for arguments in ([], ["--name=x", "--to=1"], ["--to=1", "--type=IMAGE_SEGMENTATION"]):
        said = failed(state, "import", source, "--format=imagenet", *arguments, code=2)
        assert said.startswith("Error: say --name")
    assert "is not one of" in failed(state, "export", 1, "--format=x", "--out=y", code=2)
    assert len(listed(state)) == 2
    assert not (tmp_path / "out").exists()


def test_a_new_dataset_that_cannot_be_filled_is_not_there(state: Path, tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / "in" / f"class-{number}"
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_bytes(picture(number))
    command = ["import", tmp_path / "in", "--format=imagenet"]
    environment = {**os.environ, "EDGED_DATASETS_ENTITIES": "2"}
    done = datasets(state, *command, "--name=x", env=environment)
    assert done.returncode == 1
    assert "there are 2 entities" in done.stderr.splitlines()[-1]
    assert listed(state) == []
    # One that was there keeps what it got, and says how much that is.
    filled(state / FOLDER, "IMAGE_CLASSIFICATION", [])
    done = datasets(state, *command, "--to=2", env=environment)
    assert done.returncode == 1
    assert "of 3 entities were added and stay" in done.stderr
    ran(state, *command, "--to=2")
    assert listed(state)[0]["entities"] == 3


def test_delete_asks(state: Path) -> None:
    filled(state / FOLDER, "OBJECT_DETECTION", DETECTION)
    refused = datasets(state, "delete", 1, answer="n\n")
    assert refused.returncode == 130
    assert "Delete shop with 6 entities?" in refused.stdout + refused.stderr
    assert datasets(state, "delete", 1).returncode == 130  # nobody is there to say yes
    assert len(listed(state)) == 1
    assert datasets(state, "delete", 1, answer="y\n").returncode == 0
    assert listed(state) == []
    assert files_of(state / FOLDER / "contents") == []
    filled(state / FOLDER, "OBJECT_DETECTION", [])
    assert ran(state, "delete", 2, "--yes") == "dataset 2 is deleted\n"


def test_a_person_sees_progress(state: Path, tmp_path: Path) -> None:
    filled(state / FOLDER, "OBJECT_DETECTION", DETECTION)
    terminal, end = pty.openpty()
    done = datasets(state, "export", 1, "--format=coco", f"--out={tmp_path / 'x'}", stderr=end)
    os.close(end)
    shown = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert done.returncode == 0
    assert "writing" in shown
    assert "100%" in shown


def test_beside_a_running_daemon(state: Path, tmp_path: Path) -> None:
    """Two processes on one store: what one adds the other serves."""
    (tmp_path / "models").mkdir()
    key = make_key(state, "shop")
    filled(state / FOLDER, "OBJECT_DETECTION", DETECTION, "streets", key.api_key)
    with RunningDaemon(models=tmp_path / "models", state=state) as daemon:
        token = token_of(daemon, key)
        ran(state, "export", 1, "--format=coco", "--out", tmp_path / "x.zip")
        ran(state, "import", tmp_path / "x.zip", "--format=coco", "--name=again", "--key=shop")
        path = "/api/datasets/2/export?format=coco"
        answer = daemon.request("GET", path, headers=bearer(token))
        assert answer.status == 200
        (tmp_path / "y.zip").write_bytes(answer.body)
        ran(state, "delete", 1, "--yes")
        assert daemon.request("GET", path, headers=bearer(token)).body == answer.body
        assert "Traceback" not in daemon.log()
    with zipfile.ZipFile(tmp_path / "x.zip") as one, zipfile.ZipFile(tmp_path / "y.zip") as other:
        assert sorted(one.namelist()) == sorted(other.namelist())


@pytest.mark.parametrize("name", FORMATS)
def test_the_formats_are_in_the_help(state: Path, name: str) -> None:
    assert name in ran(state, "export", "--help")
