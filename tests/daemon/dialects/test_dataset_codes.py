"""The tables of codes in docs/datasets.md and docs/baidu.zh.md: every row is seen for real."""

from __future__ import annotations

import re
import subprocess
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Tuple

import pytest

from edged.daemon.dialects.datasets import MESSAGES, RESERVED
from edged.datasets.store import Store
from tests.daemon.contract import Json
from tests.daemon.dialects.cloud import refused, text_of
from tests.daemon.dialects.datasets import (
    ADD,
    CLASSES,
    CREATE,
    DELETE,
    DELETE_LABEL,
    LABELS,
    Client,
    client_of,
    label,
    new_key,
    picture,
)
from tests.daemon.processes import small_files
from tests.datasets.stores import ENOUGH
from tests.pictures import encoded, landscape
from tests.support import ROOT, RunningDaemon

PAGE = (ROOT / "docs" / "datasets.md").read_text().split("## Codes")[1].split("\n## ")[0]
ROWS: List[Tuple[str, str]] = re.findall(r"^\| (\d+) \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE)
LIMIT = 256 << 10


class Board(NamedTuple):
    """A daemon that may have two entities, the client of a key, one of another, a dataset."""

    state: Path
    api: Client
    other: Client
    number: int

    def add(self, **fields: object) -> Json:
        return self.api.call(ADD, self.api.entity(CLASSES, self.number, **fields))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp("codes")
    (folder / "models").mkdir()
    keys = [new_key(folder / "state", name) for name in ("field", "other")]
    with RunningDaemon(
        models=folder / "models", state=folder / "state", datasets_entities=2
    ) as daemon:
        api, other = (client_of(daemon, key) for key in keys)
        yield Board(folder / "state", api, other, api.create(CLASSES, "field"))


def large_picture() -> str:
    """Of over LIMIT bytes."""
    return text_of(encoded(landscape(400, 300), "BMP"))


def full_disk(board: Board) -> Json:
    with small_files(board.api.daemon, LIMIT):
        content = board.add(entity_content=large_picture())
    return content


def under_import(board: Board) -> Json:
    folder = board.state / "datasets"
    with closing(Store(folder, ENOUGH)) as store, store.importing(board.number):
        return board.add()


def past_the_quota(board: Board) -> Json:
    for number in range(2):
        board.add(entity_name=f"{number}.jpg")
    return board.add(entity_name="2.jpg")


def asked_by_another(board: Board) -> Json:
    fields = {"type": CLASSES, "dataset_id": board.number}
    return board.other.call(LABELS, fields)


def without_such_label(board: Board) -> Json:
    fields = {"type": CLASSES, "dataset_id": board.number, "label_name": "absent"}
    return board.api.call(DELETE_LABEL, fields)


PROVOCATIONS: Dict[int, Callable[[Board], Json]] = {
    406000: full_disk,
    406001: lambda board: board.api.call(CREATE, {"type": CLASSES, "dataset_name": ""}),
    406002: lambda board: board.api.call(DELETE, {"type": CLASSES, "dataset_id": 99}),
    406003: lambda board: board.api.call(CREATE, {"type": CLASSES, "dataset_name": "field"}),
    406004: under_import,
    406005: without_such_label,
    406006: asked_by_another,
    406008: past_the_quota,
}


@pytest.mark.parametrize(("code", "words"), ROWS)
def test_every_row_of_the_table_is_seen(board: Board, code: str, words: str) -> None:
    content = PROVOCATIONS[int(code)](board)
    assert refused(content) == int(code)
    assert content["error_msg"] == words or content["error_msg"].startswith(f"{words}: ")


def test_the_table_has_every_code() -> None:
    documented = {int(code): words for code, words in ROWS}
    assert list(documented) == list(PROVOCATIONS)
    reserved = {code: MESSAGES[code] for code in RESERVED}
    assert not set(documented) & set(reserved)
    assert {**documented, **reserved} == MESSAGES


def test_what_is_reserved_is_named() -> None:
    told = " ".join(PAGE.split("\nReserved: ")[1].split("\n\n")[0].split())
    named = {int(code): words for code, words in re.findall(r"(\d+) \(([^)]+)\)", told)}
    assert named == {code: MESSAGES[code] for code in RESERVED}


def test_the_other_language_has_every_code() -> None:
    page = (
        (ROOT / "docs" / "baidu.zh.md").read_text().split("### 数据集错误码")[1].split("\n## ")[0]
    )
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("|")]
    documented = {int(code) for row in rows for code in re.findall(r"\d+", row)}
    assert documented == set(PROVOCATIONS)
    reserved = page.strip().splitlines()[-1]
    assert {int(code) for code in re.findall(r"\d{6}", reserved)} == RESERVED


# -- the disk


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Client]:
    (tmp_path / "models").mkdir()
    key = new_key(tmp_path / "state", "field")
    with RunningDaemon(
        models=tmp_path / "models", state=tmp_path / "state", datasets_reserve_mib=0
    ) as daemon:
        yield client_of(daemon, key)
        assert "Traceback" not in daemon.log()


def test_after_a_full_disk_the_daemon_goes_on(api: Client) -> None:
    number = api.create(CLASSES, "field")
    api.add(CLASSES, number, label("a"))
    large = api.entity(CLASSES, number, label("a"), entity_content=large_picture())
    with small_files(api.daemon, LIMIT):
        for _ in range(3):
            assert api.code(ADD, **large) == 406000
        assert api.labels(CLASSES, number) == {"a": 1}
    assert "File too large" in api.daemon.log()  # the cause
    assert api.done(ADD, **large) == {}
    assert api.labels(CLASSES, number) == {"a": 2}


def test_a_disk_that_cannot_be_written(tmp_path: Path) -> None:
    """As an SD card is mounted after an error."""
    models, state = tmp_path / "models", tmp_path / "state"
    models.mkdir()
    key = new_key(state, "field")
    (state / "datasets").mkdir()
    with disk(state / "datasets"):
        with RunningDaemon(models=models, state=state, datasets_reserve_mib=0) as daemon:
            number = client_of(daemon, key).create(CLASSES, "field")
            client_of(daemon, key).add(CLASSES, number, label("a"))
        remount(state / "datasets", "ro")
        with RunningDaemon(models=models, state=state, datasets_reserve_mib=0) as daemon:
            api = client_of(daemon, key)
            body = api.entity(CLASSES, number, label("b"), entity_content=text_of(picture(1)))
            assert api.code(ADD, **body) == 406000
            assert api.code(CREATE, type=CLASSES, dataset_name="other") == 406000
            assert "ead-only" in daemon.log()
            assert daemon.request("GET", "/healthz").status == 200
            remount(state / "datasets", "rw")
            assert api.done(ADD, **body) == {}
            assert api.labels(CLASSES, number) == {"a": 1, "b": 1}
            assert "Traceback" not in daemon.log()


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """One of its own."""
    command = ["mount", "-t", "tmpfs", "edged-test", str(folder)]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", folder], check=True)


def test_a_store_that_cannot_be_opened(tmp_path: Path) -> None:
    """The models are served all the same, and when it is mended so are the datasets."""
    state = tmp_path / "state"
    (tmp_path / "models").mkdir()
    key = new_key(state, "field")
    (state / "datasets").write_text("in the way")
    with RunningDaemon(models=tmp_path / "models", state=state) as daemon:
        api = client_of(daemon, key)
        assert daemon.request("GET", "/healthz").status == 200
        assert api.code(CREATE, type=CLASSES, dataset_name="field") == 406000
        (state / "datasets").unlink()
        api.create(CLASSES, "field")
        assert "Traceback" not in daemon.log()


def test_they_are_counted(board: Board) -> None:
    """By the numbers that the client reads, not by those of the board's own API."""
    board.api.call(DELETE, {"type": CLASSES, "dataset_id": 99})
    board.api.call(CREATE, b"no JSON")
    told = board.api.daemon.request("GET", "/metrics").body.decode()
    for code in (406001, 406002):
        assert f'edged_requests_total{{code="{code}",dialect="datasets",mid=""}}' in told
