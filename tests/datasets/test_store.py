"""Datasets, labels and entities: what each call of a store does."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

import pytest

from edged.datasets.reader import FILE, Reader
from edged.datasets.store import Store
from edged.datasets.types import Box, Content, Dataset, Label, NewEntity, Page, Quota
from edged.errors import DatasetExists, DatasetUnknown, LabelUnknown, QuotaExceeded
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

# -- datasets


def test_a_dataset_is_known_by_its_number(store: Store) -> None:
    number = store.create("key", "OBJECT_DETECTION", "Helme 头盔")
    assert store.dataset(number) == Dataset(number, "key", "OBJECT_DETECTION", "Helme 头盔", 0, "")
    with pytest.raises(DatasetUnknown):
        store.dataset(number + 1)


def test_a_name_is_taken_once_for_each_owner_and_type(store: Store) -> None:
    numbers = {
        store.create("key", TEXT, "a"),
        store.create("key", TEXT, "b"),
        store.create("key", "SOUND_CLASSIFICATION", "a"),
        store.create("other", TEXT, "a"),
    }
    assert len(numbers) == 4
    with pytest.raises(DatasetExists):
        store.create("key", TEXT, "a")
    assert len(store.every()) == 4


def test_a_list_has_the_owners_datasets_of_one_type_by_the_page(store: Store) -> None:
    mine = [store.create("key", TEXT, f"{number}") for number in range(5)]
    store.create("key", "SOUND_CLASSIFICATION", "a")
    store.create("other", TEXT, "a")
    pages = [store.datasets("key", TEXT, Page(start, 2)) for start in (0, 2, 4, 6)]
    assert [total for total, _ in pages] == [5, 5, 5, 5]
    assert [[dataset.id for dataset in page] for _, page in pages] == [
        *(mine[:2], mine[2:4], mine[4:], [])
    ]
    assert store.datasets("nobody", TEXT, ALL) == (0, [])


@pytest.mark.parametrize("number", [0, -1, 1 << 62, 1 << 63, -(1 << 63) - 1, 1 << 200])
def test_no_number_is_too_large_to_ask_for(store: Store, dataset: int, number: int) -> None:
    with pytest.raises(DatasetUnknown):
        store.dataset(number)
    (answer,) = store.add([text(number)])
    assert isinstance(answer, DatasetUnknown)
    start = max(0, number)
    assert store.datasets("key", TEXT, Page(start, 1))[0] == 1
    assert store.labels(dataset, Page(start, 1)) == (0, [])


def test_the_number_of_a_deleted_dataset_is_not_given_again(store: Store) -> None:
    number = store.create("key", TEXT, "a")
    store.delete(number)
    assert store.create("key", TEXT, "a") > number


# -- entities


def test_an_entity_comes_back_as_it_was_put(store: Store) -> None:
    dataset = store.create("key", "OBJECT_DETECTION", "a")
    labels = [
        Label("helmet", Box(1, 2.5, 30, 40)),
        Label("helmet", Box(5, 5, 5, 5)),
        Label("h_1", Box(0, 0, 1, 1), origin="Bauhelm, gelb"),
    ]
    content = Content(b"a picture", ".jpg", 640, 480)
    (number,) = added(store, NewEntity(dataset, "a.jpg", content, labels, reviewed=False))
    (entity,) = entities_of(store, dataset)
    digest = hashlib.sha256(b"a picture").hexdigest()
    assert entity[:8] == (number, "a.jpg", digest, ".jpg", 9, 640, 480, False)
    assert list(entity.labels) == labels
    assert store.content(digest).read_bytes() == b"a picture"


def test_the_same_again_is_one_entity(store: Store, dataset: int) -> None:
    box = Label("a", Box(1, 2, 3, 4))
    new = text(dataset)._replace(labels=[box, box])
    numbers = added(store, new, new) + added(store, new)
    assert len(set(numbers)) == 1
    (entity,) = entities_of(store, dataset)
    assert list(entity.labels) == [box]
    assert store.dataset(dataset).entities == 1
    assert labels_of(store, dataset) == {"a": 1}


def test_another_name_content_or_dataset_is_another_entity(store: Store, dataset: int) -> None:
    other = store.create("key", TEXT, "other")
    numbers = added(
        store, text(dataset), text(dataset, name="b"), text(dataset, b"more"), text(other)
    )
    assert len(set(numbers)) == 4
    assert store.dataset(dataset).entities == 3
    assert store.dataset(other).entities == 1
    assert len(list((store.folder / "contents").glob("*/*"))) == 2  # each content once


def test_labels_are_added_or_take_the_place_of_others(store: Store, dataset: int) -> None:
    added(store, text(dataset, b"text", "a", "b"))
    added(store, text(dataset, b"text", "b", "c"))
    assert carried(store, dataset) == [("a.txt", ["a", "b", "c"])]
    added(store, text(dataset, b"text", "d", append=False))
    assert carried(store, dataset) == [("a.txt", ["d"])]
    assert labels_of(store, dataset) == {"a": 0, "b": 0, "c": 0, "d": 1}
    added(store, text(dataset, b"text", append=False))
    assert carried(store, dataset) == [("a.txt", [])]


def test_boxes_take_the_place_of_others_too(store: Store, dataset: int) -> None:
    for box in (Box(1, 1, 1, 1), Box(2, 2, 2, 2)):
        added(store, text(dataset, append=False)._replace(labels=[Label("a", box)]))
    (entity,) = entities_of(store, dataset)
    assert entity.labels == (Label("a", Box(2, 2, 2, 2)),)


def test_what_a_model_sees_again_stays_as_it_was_reviewed(store: Store, dataset: int) -> None:
    def reviewed() -> bool:
        (entity,) = entities_of(store, dataset)
        return entity.reviewed

    seen = text(dataset, b"text", "seen", reviewed=False)
    (number,) = added(store, seen)
    assert (reviewed(), carried(store, dataset)) == (False, [("a.txt", ["seen"])])
    added(store, text(dataset, b"text", "right", append=False))
    assert added(store, seen, seen._replace(append=False)) == [number, number]
    assert (reviewed(), carried(store, dataset)) == (True, [("a.txt", ["right"])])


def test_a_dataset_by_its_name(store: Store, dataset: int) -> None:
    known = store.dataset(dataset)
    assert store.find(known.owner, known.kind, known.name) == known
    for owner, kind, name in (
        ("another", known.kind, known.name),
        (known.owner, "SOUND_CLASSIFICATION", known.name),
        (known.owner, known.kind, known.name.upper() + "x"),
    ):
        with pytest.raises(DatasetUnknown):
            store.find(owner, kind, name)


def test_an_addition_to_no_dataset_takes_no_other_with_it(store: Store, dataset: int) -> None:
    answers = store.add([text(dataset), text(dataset + 1, b"lost"), text(dataset, b"more")])
    assert [type(answer) for answer in answers] == [int, DatasetUnknown, int]
    assert store.dataset(dataset).entities == 2


def test_a_content_that_was_damaged_is_written_anew(store: Store, dataset: int) -> None:
    """An addition that is answered is on the disk, also where it was once before."""
    added(store, text(dataset))
    (entity,) = entities_of(store, dataset)
    for damage in (b"te", None):
        file = store.content(entity.digest)
        file.unlink()
        if damage is not None:
            file.write_bytes(damage)
        added(store, text(dataset))
        assert file.read_bytes() == b"text"


# -- labels


def test_labels_are_counted_by_the_page(store: Store, dataset: int) -> None:
    other = store.create("key", TEXT, "other")
    added(store, text(other, b"text", "a", "c"))
    added(store, text(dataset, b"1", "a", "b"), text(dataset, b"2", "b", "c"))
    total, page = store.labels(dataset, Page(1, 1))
    assert (total, [(label.name, label.entities) for label in page]) == (3, [("b", 2)])
    assert labels_of(store, dataset) == {"a": 1, "b": 2, "c": 1}
    assert labels_of(store, other) == {"a": 1, "c": 1}


def test_a_deleted_label_is_off_its_entities_which_stay(store: Store, dataset: int) -> None:
    other = store.create("key", TEXT, "other")
    added(store, text(dataset, b"1", "a", "b"), text(dataset, b"2", "a"), text(other, b"1", "a"))
    before = {label.name: label.id for label in store.labels(dataset, ALL)[1]}
    delete_label(store, dataset, "a")
    assert labels_of(store, dataset) == {"b": 1}
    assert carried(store, dataset) == [("a.txt", ["b"]), ("a.txt", [])]
    assert labels_of(store, other) == {"a": 1}
    with pytest.raises(LabelUnknown):
        delete_label(store, dataset, "a")
    with pytest.raises(DatasetUnknown):
        delete_label(store, other + 1, "a")
    added(store, text(dataset, b"2", "a"))
    after = {label.name: label.id for label in store.labels(dataset, ALL)[1]}
    assert labels_of(store, dataset) == {"b": 1, "a": 1}
    assert after["a"] not in before.values()


# -- deletion


def test_a_deletion_takes_all_that_nothing_else_names(store: Store, dataset: int) -> None:
    other = store.create("key", TEXT, "other")
    added(store, text(dataset, b"mine", "a"), text(dataset, b"ours", "a"), text(other, b"ours"))
    store.delete(dataset)
    with pytest.raises(DatasetUnknown):
        store.dataset(dataset)
    with pytest.raises(DatasetUnknown):
        store.delete(dataset)
    (file,) = (store.folder / "contents").glob("*/*")
    assert file.read_bytes() == b"ours"
    assert carried(store, other) == [("a.txt", [])]
    assert store.labels(dataset, ALL) == (0, [])


def test_a_deletion_frees_the_disk(store: Store, dataset: int) -> None:
    kept = store.create("key", TEXT, "kept")
    added(store, text(kept))
    tidied(store)
    before = _used(store.folder)
    many = (text(dataset, b"%d" % (n % 20), "a", name=f"{n}" * 20) for n in range(3000))
    added(store, *many)
    assert _used(store.folder) > 4 * before
    store.delete(dataset)
    assert _used(store.folder) <= before
    assert len(list((store.folder / "contents").glob("*/*"))) == 1


def _used(folder: Path) -> int:
    """Bytes of the database and its write-ahead log."""
    return sum(file.stat().st_size for file in folder.glob(f"{FILE}*") if file.suffix != "-shm")


# -- limits


def test_entities_have_a_limit(folder: Path) -> None:
    with closing(Store(folder, ENOUGH._replace(entities=2))) as store:
        dataset, other = store.create("", TEXT, "a"), store.create("", TEXT, "b")
        answers = store.add([text(dataset), text(other), text(dataset, b"third"), text(dataset)])
        assert [type(answer) for answer in answers] == [int, int, QuotaExceeded, int]
        assert "datasets_entities" in str(answers[2])
        store.delete(other)
        added(store, text(dataset, b"third"))


def test_bytes_have_a_limit_and_each_content_counts_once(folder: Path) -> None:
    with closing(Store(folder, ENOUGH._replace(bytes=10))) as store:
        dataset, other = store.create("", TEXT, "a"), store.create("", TEXT, "b")
        added(store, text(dataset, b"12345678"), text(other, b"12345678"))
        (answer,) = store.add([text(dataset, b"123")])
        assert isinstance(answer, QuotaExceeded)
        assert "datasets_mib" in str(answer)
        added(store, text(dataset, b"12"), text(dataset, b"12345678", "a"))
        store.delete(other)
        assert isinstance(store.add([text(dataset, b"3")])[0], QuotaExceeded)
        store.delete(dataset)
        added(store, text(store.create("", TEXT, "c"), b"1234567890"))


def test_a_part_of_the_disk_stays_free(folder: Path) -> None:
    with closing(Store(folder, ENOUGH)) as store:
        dataset = store.create("", TEXT, "a")
        added(store, text(dataset))
    with closing(Store(folder, ENOUGH._replace(reserve=1 << 60))) as store:
        (answer,) = store.add([text(dataset, b"more")])
        assert isinstance(answer, QuotaExceeded)
        assert "datasets_reserve_mib" in str(answer)
        with pytest.raises(QuotaExceeded):
            store.create("", TEXT, "b")
        assert not list((folder / "contents").glob(f"*/{hashlib.sha256(b'more').hexdigest()}"))
        store.delete(dataset)  # what makes room is never refused


def test_nothing_fits_no_entity(folder: Path) -> None:
    with closing(Store(folder, Quota(0, 0, 0))) as store:
        (answer,) = store.add([text(store.create("", TEXT, "a"))])
        assert isinstance(answer, QuotaExceeded)


def test_a_reader_sees_what_is_written_beside_it(store: Store, dataset: int) -> None:
    with closing(Reader(store.folder)) as reader:
        added(store, text(dataset, b"text", "a"))
        assert reader.dataset(dataset).entities == 1
        assert carried(reader, dataset) == [("a.txt", ["a"])]
