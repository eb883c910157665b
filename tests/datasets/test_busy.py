"""What is under way lets nothing else change a dataset, and what was cut off is ended."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Iterator

import pytest

from edged.datasets.store import Store
from edged.errors import DatasetBusy, DatasetUnknown
from tests.datasets.stores import (
    ALL,
    ENOUGH,
    TEXT,
    added,
    carried,
    delete_label,
    entities_of,
    labels_of,
    text,
    tidied,
)
from tests.support import ROOT

# Says so when it imports, and stays at it until it is killed.
_IMPORTER = """
import sys, time
from pathlib import Path
from edged.datasets.store import Store
from tests.datasets.stores import ENOUGH
with Store(Path(sys.argv[1]), ENOUGH).importing(int(sys.argv[2])):
    print("importing", flush=True)
    time.sleep(600)
"""


@contextmanager
def import_elsewhere(folder: Path, dataset: int) -> Iterator[None]:
    """In a process that dies in the middle of it."""
    command = [sys.executable, "-c", _IMPORTER, str(folder), str(dataset)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"importing\n"
            yield
        finally:
            process.kill()


def assert_busy(store: Store, dataset: int, busy: str) -> None:
    """No change is taken, and none is made."""
    before = carried(store, dataset), labels_of(store, dataset)
    (answer,) = store.add([text(dataset, b"late")])
    assert isinstance(answer, DatasetBusy)
    with pytest.raises(DatasetBusy):
        delete_label(store, dataset, "a")
    with pytest.raises(DatasetBusy), store.importing(dataset):
        raise AssertionError("never here")
    assert (carried(store, dataset), labels_of(store, dataset)) == before
    assert store.dataset(dataset).busy == busy


def test_an_import_is_alone_with_its_dataset(store: Store, other: Store, dataset: int) -> None:
    added(store, text(dataset, b"text", "a"))
    free = store.create("key", TEXT, "free")
    with store.importing(dataset):
        added(store, text(dataset, b"imported"))
        assert_busy(other, dataset, "import")
        with pytest.raises(DatasetBusy):
            other.delete(dataset)
        added(other, text(free))
        with store.importing(free):
            assert_busy(other, free, "import")
    added(other, text(dataset, b"more", "b"))
    assert store.dataset(dataset).busy == ""
    other.delete(dataset)


def test_an_import_that_fails_ends(store: Store, other: Store, dataset: int) -> None:
    with pytest.raises(ZeroDivisionError), store.importing(dataset):
        raise ZeroDivisionError
    added(other, text(dataset))


def test_an_import_ends_with_its_process(store: Store, dataset: int) -> None:
    added(store, text(dataset, b"text", "a"))
    with import_elsewhere(store.folder, dataset):
        assert_busy(store, dataset, "import")
        with pytest.raises(DatasetBusy):
            store.delete(dataset)
        tidied(store)
        assert_busy(store, dataset, "import")
    added(store, text(dataset, b"more"))
    assert store.dataset(dataset).busy == ""


def test_a_start_ends_an_import_that_was_cut_off(store: Store, dataset: int) -> None:
    with import_elsewhere(store.folder, dataset):
        pass
    assert store.dataset(dataset).busy == "import"
    tidied(store)
    assert store.dataset(dataset).busy == ""


def test_a_deletion_under_way_is_the_last_change(store: Store, other: Store, dataset: int) -> None:
    added(store, *(text(dataset, b"%d" % (n % 9), "a", name=f"{n}") for n in range(300)))
    free = store.create("key", TEXT, "free")
    steps = store.deletion(dataset)
    for _ in range(2):
        next(steps)
        for each in (store, other):
            assert_busy(each, dataset, "deletion")
        added(store, text(free))
    for _ in steps:
        pass
    with pytest.raises(DatasetUnknown):
        other.dataset(dataset)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("again", [False, True])
def test_a_deletion_that_was_cut_off_is_ended(
    folder: Path, store: Store, dataset: int, steps: int, again: bool
) -> None:
    """By the next start, or by who asks for it again."""
    kept = store.create("key", TEXT, "kept")
    added(store, *(text(dataset, b"%d" % (n % 9), "a", name=f"{n}") for n in range(300)))
    added(store, text(kept, b"7"))
    with closing(Store(folder, ENOUGH)) as cut_off:
        deletion = cut_off.deletion(dataset)
        for _ in range(steps):
            next(deletion)
    if again:
        store.delete(dataset)
    else:
        tidied(store)
    assert [each.id for each in store.every()] == [kept]
    (file,) = (folder / "contents").glob("*/*")
    assert file.read_bytes() == b"7"


def test_a_label_is_gone_at_once_and_its_deletion_ended_later(
    folder: Path, store: Store, dataset: int
) -> None:
    added(store, *(text(dataset, b"text", "a", "b", name=f"{n}") for n in range(300)))
    with closing(Store(folder, ENOUGH)) as cut_off:
        steps = cut_off.label_deletion(dataset, "a")
        next(steps)
        assert labels_of(store, dataset) == {"b": 300}
        assert {tuple(labels) for _, labels in carried(store, dataset)} == {("b",)}
        next(steps)
    added(store, text(dataset, b"text", "a", name="0"))  # another label of the same name
    assert labels_of(store, dataset) == {"b": 300, "a": 1}
    tidied(store)
    assert labels_of(store, dataset) == {"b": 300, "a": 1}
    assert store.labels(dataset, ALL)[0] == 2


def test_tidying_takes_what_no_row_names(store: Store, dataset: int) -> None:
    added(store, text(dataset))
    contents = store.folder / "contents"
    orphan = contents / "ab" / ("ab" + "0" * 62)
    orphan.write_bytes(b"half of")
    note = contents / "ab" / "note"
    note.touch()  # not the store's
    tidied(store)
    assert not orphan.exists()
    assert note.exists()
    note.unlink()
    (entity,) = entities_of(store, dataset)
    assert store.content(entity.digest).read_bytes() == b"text"
