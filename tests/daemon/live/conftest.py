"""A tiny model in versions that say which they are, and daemons that serve them."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest

from tests.daemon.contract import FORM, form
from tests.daemon.workers.conftest import MID, ask_at_once, picture
from tests.daemon.workers.conftest import add_model as add_colours
from tests.daemon.workers.conftest import colour_of as label_of
from tests.daemon.workers.conftest import serve as serve
from tests.registry.packing import pack_folder
from tests.support import Answer, RunningDaemon

UPDATE = "/api/model/update"
MODELS = "/api/models"

Make = Callable[..., Path]


def relabel(folder: Path, version: str) -> None:
    """The classes of the tiny model are red-VERSION, green-VERSION and blue-VERSION from now on."""
    labels = ", ".join(f"{colour}-{version}" for colour in ("red", "green", "blue"))
    path = folder / "model.yaml"
    path.write_text(re.sub(r"labels: \[.*\]", f"labels: [{labels}]", path.read_text()))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of models with the tiny one, version 0."""
    relabel(add_colours(tmp_path / "models", sample="red"), "0")
    _unlabel(tmp_path / "models" / "colour")
    return tmp_path / "models"


def _unlabel(folder: Path) -> None:
    """The sample holds whatever the classes are called."""
    sample = folder / "sample.json"
    if sample.exists():
        answer: Dict[str, Any] = json.loads(sample.read_text())
        for result in answer["result"]:
            result.pop("label", None)
        sample.write_text(json.dumps(answer))


@pytest.fixture
def version(tmp_path: Path) -> Make:
    """Makes a zip of the tiny model in a version; `sample` as `add_model` has it, `yaml` to be
    replaced in model.yaml.
    """

    def make(name: str, sample: str = "red", yaml: Optional[Dict[str, str]] = None) -> Path:
        folder = add_colours(tmp_path / "versions" / name, sample=sample)
        relabel(folder, name)
        path = folder / "model.yaml"
        # What an exported folder does not have either.
        text = path.read_text().replace(f"mid: {MID}\n", "").replace("name: colour\n", "")
        for old, new in (yaml or {}).items():
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)
        _unlabel(folder)
        return pack_folder(tmp_path / f"{name}.zip", folder)

    return make


def put(daemon: RunningDaemon, archive: Path, mid: int = MID, name: str = "") -> Answer:
    query = f"?name={name}" if name else ""
    return daemon.request("PUT", f"{MODELS}/{mid}{query}", archive.read_bytes())


def change(daemon: RunningDaemon, what: str, mid: int = MID) -> Answer:
    return daemon.post(f"{MODELS}/{mid}/{what}", b"")


def served(daemon: RunningDaemon, mid: int = MID) -> str:
    """The version that answers a red picture."""
    label = label_of(ask_at_once(daemon, picture("red"), mid))
    colour, _, version = label.partition("-")
    assert colour == "red"
    return version


def update(
    daemon: RunningDaemon,
    archive: bytes,
    headers: Optional[Dict[str, str]] = None,
    /,
    **fields: Optional[str],
) -> Answer:
    """As EdgeBoard's platform calls; a field that is None is left out."""
    given: Dict[str, Optional[str]] = {
        "model_id": str(MID),
        "md5": hashlib.md5(archive).hexdigest(),
        **fields,
    }
    parts = [(name, value.encode()) for name, value in given.items() if value is not None]
    return daemon.post(UPDATE, form(("file", archive), *parts), {**FORM, **(headers or {})})


def ledger(tmp_path: Path) -> List[Dict[str, Any]]:
    records: Dict[str, Dict[str, Any]] = json.loads((tmp_path / "state/models.json").read_text())
    return list(records.values())
