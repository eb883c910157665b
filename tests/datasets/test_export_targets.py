"""Folders and zips that an export leaves: whole or not at all, and in constant memory."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Callable, List

import pytest

from edged.datasets.export import Progress, to_folder, to_zip
from edged.datasets.formats import FORMATS, Format
from edged.datasets.reader import FILE, Reader
from edged.datasets.snapshot import Snapshot
from edged.datasets.store import Store
from edged.datasets.types import Box, Label
from edged.errors import BadParam, DatasetUnknown, StoreError
from tests.datasets.filled import DETECTION, added, entity, filled, picture, quiet
from tests.datasets.stores import ENOUGH, delete_label, entities_of
from tests.support import ROOT

Write = Callable[[Snapshot, Format, Path, Progress], None]
COCO = FORMATS["coco"]
both = pytest.mark.parametrize("write", [to_folder, to_zip])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    assert filled(tmp_path / "store", "OBJECT_DETECTION", DETECTION) == 1
    return tmp_path / "store"


def content_of_first(store: Path) -> Path:
    with closing(Reader(store)) as reader:
        return reader.content(entities_of(reader, 1)[0].digest)


@both
def test_what_is_there_is_never_written_over(store: Path, tmp_path: Path, write: Write) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("x")
    with closing(Snapshot(store, 1)) as snapshot, pytest.raises(BadParam, match="there already"):
        write(snapshot, COCO, out, quiet)
    (tmp_path / "link").symlink_to("nowhere")
    with closing(Snapshot(store, 1)) as snapshot, pytest.raises(BadParam, match="there already"):
        write(snapshot, COCO, tmp_path / "link", quiet)
    assert sorted(os.listdir(tmp_path)) == ["link", "out", "store"]
    assert os.listdir(out) == ["mine"]


def test_an_empty_folder_is_filled(store: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with closing(Snapshot(store, 1)) as snapshot:
        to_folder(snapshot, COCO, tmp_path / "out", quiet)
    assert sorted(os.listdir(tmp_path / "out")) == ["annotations", "images"]
    assert sorted(os.listdir(tmp_path)) == ["out", "store"]


@both
def test_nothing_is_left_of_an_export_that_fails(store: Path, tmp_path: Path, write: Write) -> None:
    content_of_first(store).unlink()
    with closing(Snapshot(store, 1)) as snapshot, pytest.raises(StoreError, match=r"street\.jpg"):
        write(snapshot, COCO, tmp_path / "out", quiet)
    assert os.listdir(tmp_path) == ["store"]


@both
def test_a_content_that_is_not_whole(store: Path, tmp_path: Path, write: Write) -> None:
    os.truncate(content_of_first(store), 100)
    with closing(Snapshot(store, 1)) as snapshot, pytest.raises(StoreError, match="100 bytes"):
        write(snapshot, COCO, tmp_path / "out", quiet)
    assert os.listdir(tmp_path) == ["store"]


@both
def test_an_export_that_is_interrupted(store: Path, tmp_path: Path, write: Write) -> None:
    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    with closing(Snapshot(store, 1)) as snapshot, pytest.raises(KeyboardInterrupt):
        write(snapshot, COCO, tmp_path / "out", interrupt)
    assert os.listdir(tmp_path) == ["store"]


@both
def test_progress_counts_each_entity_once(store: Path, tmp_path: Path, write: Write) -> None:
    seen: List[int] = []
    with closing(Snapshot(store, 1)) as snapshot:
        assert snapshot.count == len(DETECTION)
        write(snapshot, FORMATS["voc"], tmp_path / "out", seen.append)
    assert sum(seen) == len(DETECTION)


# -- what changes meanwhile


def test_a_snapshot_is_of_one_moment(store: Path, tmp_path: Path) -> None:
    """Entities that come, labels that go: it is as it was, and nobody waits for it."""
    with closing(Snapshot(store, 1)) as snapshot:
        before = [(item.file, item.labels) for item in snapshot.items()]
        items = snapshot.items()
        next(items)
        added(store, 1, entity("new.jpg", picture(99), Label("new", Box(1, 1, 1, 1))))
        with closing(Store(store, ENOUGH)) as writer:
            delete_label(writer, 1, "car")
            writer.add([DETECTION[1]._replace(dataset=1, labels=[Label("x", Box(1, 1, 1, 1))])])
        assert [(item.file, item.labels) for item in snapshot.items()] == before
        assert next(snapshot.labels_in_order()).name == "car"
    with closing(Snapshot(store, 1)) as later:
        assert later.count == len(DETECTION) + 1
        assert "car" not in [one.name for one in later.labels_in_order()]


def test_the_log_of_the_store_does_not_grow_behind_a_snapshot(store: Path) -> None:
    with closing(Snapshot(store, 1)):
        added(store, 1, *(entity(f"{one}", picture(one)) for one in range(50)))
        with closing(sqlite3.connect(store / FILE)) as db:
            busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert busy == 0


def test_a_dataset_that_is_deleted_meanwhile(store: Path, tmp_path: Path) -> None:
    with closing(Snapshot(store, 1)) as snapshot:
        with closing(Store(store, ENOUGH)) as writer:
            writer.delete(1)
        with pytest.raises(StoreError):
            to_zip(snapshot, COCO, tmp_path / "out.zip", quiet)
    with pytest.raises(DatasetUnknown):
        Snapshot(store, 1)
    assert os.listdir(tmp_path) == ["store"]


# -- constant memory


GROWTH = """
import sys, sqlite3
from contextlib import closing
from pathlib import Path
from edged.datasets.export import zip_chunks
from edged.datasets.formats import FORMATS
from edged.datasets.snapshot import Snapshot

def peak():
    (line,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1])

sizes = []
for dataset in 1, 2, 3:  # the first only warms up
    with closing(Snapshot(Path(sys.argv[1]), dataset)) as snapshot:
        for chunk in zip_chunks(snapshot, FORMATS[sys.argv[2]], lambda count: None):
            pass
    sizes.append(peak())
print(*sizes)
"""


def many(store: Path, dataset: int, first: int, count: int) -> None:
    """Rows of entities that share the content of the first, put in past the store, at once."""
    with closing(sqlite3.connect(store / FILE)) as db:
        numbers = range(first, first + count)
        db.executemany(
            "INSERT INTO entities (id, dataset, name, content, suffix, width, height, reviewed) "
            "SELECT ?, ?, ?, content, suffix, width, height, 1 FROM entities WHERE id = 1",
            ((one, dataset, f"from the field {one}.jpg") for one in numbers),
        )
        label = db.execute(
            "INSERT INTO labels (dataset, name) VALUES (?, 'car')", (dataset,)
        ).lastrowid
        db.executemany(
            "INSERT INTO entity_labels VALUES (?, ?, '')", ((one, label) for one in numbers)
        )
        db.executemany(
            "INSERT INTO boxes (entity, label, x, y, width, height) VALUES (?, ?, ?, 1, 2, 2)",
            ((one, label, box) for one in numbers for box in range(3)),
        )
        db.commit()


@pytest.mark.parametrize("name", ["coco", pytest.param("voc", marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_dataset(tmp_path: Path, name: str) -> None:
    """18,000 entities more: a zip's list of files alone would be 5 MiB in any library, and the
    annotations 6 MiB. The fewer fill SQLite's cache of 2 MiB already."""
    store = tmp_path / "store"
    for letter in "abc":
        filled(store, "OBJECT_DETECTION", [entity("one.jpg", picture(1))], letter)
    for dataset, count in ((1, 200), (2, 12_000), (3, 30_000)):
        many(store, dataset, 100_000 * dataset, count)
    run = subprocess.run(
        [sys.executable, "-c", GROWTH, str(store), name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    _, small, large = map(int, run.stdout.split())
    assert large - small < 2 << 10  # KiB


def test_pictures_are_stored_as_they_are(store: Path, tmp_path: Path) -> None:
    with closing(Snapshot(store, 1)) as snapshot:
        to_zip(snapshot, COCO, tmp_path / "out.zip", quiet)
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        methods = {one.filename.partition("/")[0]: one.compress_type for one in archive.infolist()}
    assert methods == {"annotations": zipfile.ZIP_DEFLATED, "images": zipfile.ZIP_STORED}
