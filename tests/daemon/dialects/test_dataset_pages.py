"""What docs/datasets.md and docs/baidu.zh.md say of the dataset API: their commands are run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Iterator, List

import pytest

from edged.daemon.dialects.params import MOST_LABELS
from edged.datasets import rules
from tests.daemon.contract import Json
from tests.daemon.dialects.datasets import (
    BASE,
    BOXES,
    CLASSES,
    EVERY_CALL,
    LABELS,
    LIST,
    Client,
    client_of,
    new_key,
)
from tests.support import DEMO_MODELS, ROOT, RunningDaemon

ENGLISH = (ROOT / "docs" / "datasets.md").read_text().split("## The API")[1].split("\n## ")[0]
CHINESE = (ROOT / "docs" / "baidu.zh.md").read_text().split("## 数据集管理")[1].split("\n## ")[0]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Client]:
    """A daemon that has no dataset yet."""
    (tmp_path / "models").mkdir()
    key = new_key(tmp_path / "state", "field")
    with RunningDaemon(models=tmp_path / "models", state=tmp_path / "state") as daemon:
        yield client_of(daemon, key)


def block(page: str, kind: str = "") -> str:
    """The first of that kind."""
    found = re.search(rf"^```{kind}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def documents(text: str) -> List[Json]:
    """One after the other, less the log_id, which is new each time."""
    found: List[Json] = []
    decoder, text = json.JSONDecoder(), text.strip()
    while text:
        document, end = decoder.raw_decode(text)
        found.append({name: value for name, value in document.items() if name != "log_id"})
        text = text[end:].strip()
    return found


def answers(api: Client, page: str) -> List[Json]:
    if shutil.which("curl") is None or not DEMO_MODELS.is_dir():
        pytest.skip("curl or the demo models are not there")
    script = block(page).replace("http://127.0.0.1:9876", api.daemon.url)
    assert api.daemon.url in script
    done = subprocess.run(
        ["sh", "-euc", script.replace("curl ", "curl -sS ")],
        cwd=ROOT,
        env={**os.environ, "TOKEN": api.token},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return documents(done.stdout)


def test_the_commands(api: Client) -> None:
    assert answers(api, ENGLISH) == documents(block(ENGLISH, "json"))
    assert api.labels(BOXES, 1) == {"7": 1}


def test_the_commands_of_the_other_language(api: Client) -> None:
    assert answers(api, CHINESE) == [{"dataset_id": 1}, {}]
    (row,) = api.done(LIST, type=CLASSES)["results"]
    assert row["dataset_name"] == "现场"
    assert api.done(LABELS, type=CLASSES, dataset_id=1)["total_num"] == 1


def test_every_call_is_documented() -> None:
    english = re.findall(r"^\| `(/[^`]+)` \|", ENGLISH, re.MULTILINE)
    assert english == [f"{BASE}{call}" for call in EVERY_CALL]
    chinese = re.findall(r"^\| `(\w+/\w+)` ", CHINESE, re.MULTILINE)
    assert chinese == list(EVERY_CALL)


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_the_limits_are_documented(page: str) -> None:
    for size in (rules.MOST_IMAGE_BYTES, rules.MOST_SOUND_BYTES):
        assert f"{size >> 20} MiB" in page
    for count in (f"{rules.MOST_CHARACTERS}", f"{MOST_LABELS}"):
        assert count in page.replace(",", "")
    for kind in rules.KINDS:
        assert kind in page
    numbers = re.findall(r"\d+", page)
    assert {str(rules.MOST_DATASET_NAME), str(rules.MOST_LABEL), "100", "255"} <= set(numbers)
