"""Pictures that models collect as they answer them, on a real daemon with the demo models."""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
import yaml

from edged.datasets.lock import WriteLock
from edged.datasets.reader import Reader
from edged.datasets.store import Store
from edged.datasets.types import Dataset
from edged.errors import StoreError
from tests.daemon.contract import BINARY, FORM, MULTIPART, Json, form, json_body, results
from tests.daemon.dialects.cloud import refused
from tests.daemon.dialects.datasets import BOXES, CLASSES, LIST, client_of, new_key
from tests.datasets.stores import ENOUGH, Entity, entities_of
from tests.support import DEMO_MODELS, RunningDaemon, wait_for

DIGITS, CAMERAS = 1, 2
MANY = {"per_minute": 60_000}

Board = Callable[..., RunningDaemon]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "state" / "datasets"


@pytest.fixture
def board(tmp_path: Path, state: Path) -> Iterator[Board]:
    """Starts a daemon with digits, camera-check, or both, each with its `collect` block and its
    labels renamed."""
    (tmp_path / "state").mkdir()
    (state / "converted").mkdir(exist_ok=True)
    (tmp_path / "state" / "converted").symlink_to(state / "converted")  # converted once for all
    running: List[RunningDaemon] = []

    def start(rename: Callable[[str], str] = str, **collect: Json) -> RunningDaemon:
        models = tmp_path / "models"
        shutil.rmtree(models, ignore_errors=True)
        for name, block in collect.items():
            folder = Path(shutil.copytree(DEMO_MODELS / name.replace("_", "-"), models / name))
            (folder / "sample.json").unlink()
            document = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
            document.update(
                collect=block, instances=1, labels=list(map(rename, document["labels"]))
            )
            (folder / "model.yaml").write_text(yaml.safe_dump(document), "utf-8")
        daemon = RunningDaemon(models=models, state=tmp_path / "state", deadline=60, queue=64)
        running.append(daemon)
        return daemon

    yield start
    for daemon in running:
        daemon.close()


def sample(name: str, number: int = 0) -> bytes:
    """Another file of the same picture for every number."""
    image = (DEMO_MODELS / name / "sample.jpg").read_bytes()
    return image[:2] + b"\xff\xfe\x00\x06" + number.to_bytes(4, "big") + image[2:]


def post(daemon: RunningDaemon, mid: int, *images: bytes) -> List[List[Json]]:
    """The results of each; all must be answered."""
    return [results(daemon.post(f"{BINARY}?mid={mid}", image)) for image in images]


def digits(*numbers: int) -> List[bytes]:
    return [sample("digits", number) for number in numbers]


def stored(store: Path) -> List[Tuple[Dataset, List[Entity]]]:
    try:
        with closing(Reader(store)) as reader:
            return [(one, entities_of(reader, one.id)) for one in reader.every()]
    except StoreError:
        return []


def entities(store: Path, count: int) -> List[Entity]:
    """Those of the only dataset, once there are so many. No more come: see `ended`."""

    def there() -> List[Entity]:
        found = [entity for _, some in stored(store) for entity in some]
        return found if len(found) >= count else []

    found: List[Entity] = wait_for(there)
    return found


def ended(daemon: RunningDaemon) -> str:
    """Its log, when all that it had to store is stored."""
    daemon.process.terminate()
    assert daemon.process.wait(30) == 0
    log = daemon.log()
    assert "Traceback" not in log
    assert "BlockingError" not in log
    return log


def test_boxes(board: Board, store: Path) -> None:
    daemon = board(digits={"dataset": "现场"})
    (seen,) = post(daemon, DIGITS, *digits(0))
    (entity,) = entities(store, 1)
    ((dataset, _),) = stored(store)
    assert dataset[1:5] == ("", BOXES, "现场", 1)
    assert re.fullmatch("1-[0-9a-f]{16}\\.jpg", entity.name)
    assert not entity.reviewed
    with closing(Reader(store)) as reader:
        assert reader.content(entity.digest).read_bytes() == sample("digits")
    assert [one.name for one in sorted(entity.labels)] == sorted(one["label"] for one in seen)
    for one in seen:
        at = one["location"]
        box = (at["left"], at["top"], at["width"], at["height"])
        assert any(
            label.name == one["label"] and all(abs(a - b) <= 1 for a, b in zip(label.box, box))
            for label in entity.labels
            if label.box is not None
        )


def test_classes_with_names_that_the_api_does_not_allow(board: Board, store: Path) -> None:
    daemon = board(rename=lambda label: f"{label} 镜头", camera_check={"dataset": "cameras"})
    ((best, *others),) = post(daemon, CAMERAS, sample("camera-check"))
    assert others
    (entity,) = entities(store, 1)
    (label,) = entity.labels
    assert (label.box, label.origin) == (None, best["label"])
    assert label.origin.endswith(" 镜头")
    assert re.fullmatch(f"{best['label'].split()[0][:9]}-[a-z2-7]{{10}}", label.name)


def test_every_way_of_asking(board: Board, store: Path) -> None:
    """Whatever the dialect, and each of several models for itself."""
    daemon = board(digits={"dataset": "d", **MANY}, camera_check={"dataset": "c"})
    daemon.post("/digits/ObjectDetection", json_body(sample("digits", 1)))
    body = form(("file", sample("digits", 2)), ("mids", b"[1,2]"))
    assert daemon.post(MULTIPART, body, FORM).status == 200
    entities(store, 3)
    ended(daemon)
    found = {(one.kind, one.name): one.entities for one, _ in stored(store)}
    assert found == {(BOXES, "d"): 2, (CLASSES, "c"): 1}


def test_a_picture_twice_is_one_entity(board: Board, store: Path) -> None:
    daemon = board(digits={"dataset": "d", **MANY})
    post(daemon, DIGITS, *digits(0, 0, 1))
    ended(daemon)
    assert len(entities(store, 2)) == 2


@pytest.mark.parametrize(
    ("collect", "expected"),
    [
        ({"every": 3}, 3),
        ({"below": 0.0}, 0),
        ({"below": 1.0}, 7),
        ({"per_minute": 1}, 1),
        ({"total": 4}, 4),
    ],
)
def test_how_many(board: Board, store: Path, collect: Json, expected: int) -> None:
    daemon = board(digits={"dataset": "d", **MANY, **collect})
    post(daemon, DIGITS, *digits(*range(7)))
    ended(daemon)
    assert sum(len(some) for _, some in stored(store)) == expected


def test_all_that_there_may_be_is_counted_over_restarts(board: Board, store: Path) -> None:
    for first in (0, 10):
        daemon = board(digits={"dataset": "d", "total": 3, **MANY})
        post(daemon, DIGITS, *digits(*range(first, first + 5)))
        assert "all that its `total` allows" in ended(daemon)
        assert len(entities(store, 3)) == 3


def test_a_slow_disk_costs_pictures_and_no_answers(board: Board, store: Path) -> None:
    """Nothing can be written for as long as another process writes."""
    daemon = board(digits={"dataset": "d", **MANY})
    post(daemon, DIGITS, *digits(0))
    entities(store, 1)
    with closing(WriteLock(store)) as lock, lock.held():
        post(daemon, DIGITS, *digits(*range(1, 31)))
    (line,) = re.findall(r"(\d+) pictures were not collected: the disk is too slow", ended(daemon))
    assert len(entities(store, 1)) + int(line) == 31
    assert int(line) < 30


def test_a_store_that_fails_costs_no_answers(board: Board, store: Path) -> None:
    daemon = board(digits={"dataset": "d", **MANY})
    store.rename(store.with_name("away"))
    store.write_text("in the way")
    post(daemon, DIGITS, *digits(*range(5)))
    assert "5 pictures were not collected: " in ended(daemon)


def test_a_dataset_that_was_deleted_is_made_anew(board: Board, store: Path) -> None:
    daemon = board(digits={"dataset": "d", **MANY})
    post(daemon, DIGITS, *digits(0))
    entities(store, 1)
    with closing(Store(store, ENOUGH)) as other:
        other.delete(1)
    post(daemon, DIGITS, *digits(1))
    entities(store, 1)
    ended(daemon)
    assert [(one.id, one.entities) for one, _ in stored(store)] == [(2, 1)]


def test_it_is_the_boards_own(board: Board, store: Path) -> None:
    key = new_key(store.parent, "field")
    daemon = board(digits={"dataset": "d"})
    post(daemon, DIGITS, *digits(0))
    entities(store, 1)
    client = client_of(daemon, key)
    assert client.done(LIST, type=BOXES)["results"] == []
    fields = {"type": BOXES, "dataset_id": 1}
    assert refused(client.call("dataset/delete", fields)) == 406006


def test_a_block_that_says_nothing_useful_fails_its_model_alone(board: Board) -> None:
    daemon = board(digits={"dataset": "d", "blow": 1}, camera_check={"dataset": "c"})
    listed: List[Dict[str, Any]] = daemon.request("GET", "/api/models").json["data"]
    states = {model["mid"]: (model["state"], model["reason"]) for model in listed}
    assert states[CAMERAS][0] == "ready"
    assert states[DIGITS][0] == "failed"
    assert "collect: object contains unknown field `blow`" in states[DIGITS][1]
