"""Entities in few words."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Dict, List, NamedTuple, Sequence, Tuple

from edged.datasets.reader import FILE, Reader
from edged.datasets.store import Store
from edged.datasets.types import Box, Content, Kind, Label, NewEntity, Page, Quota

ENOUGH = Quota(entities=1_000_000, bytes=1 << 40, reserve=0)
ALL = Page(0, 1_000_000)
TEXT: Kind = "TEXT_CLASSIFICATION"


class Entity(NamedTuple):
    """As it stands in the tables. `digest` is the SHA-256 of the content in hex."""

    id: int
    name: str
    digest: str
    suffix: str
    size: int
    width: int
    height: int
    reviewed: bool
    labels: Tuple[Label, ...]


def text(
    dataset: int,
    data: bytes = b"text",
    *labels: str,
    name: str = "a.txt",
    append: bool = True,
    reviewed: bool = True,
) -> NewEntity:
    named = [Label(label) for label in labels]
    return NewEntity(dataset, name, Content(data, ".txt"), named, append, reviewed)


def added(store: Store, *entities: NewEntity) -> List[int]:
    """Their numbers; all of them must be taken."""
    answers = store.add(entities)
    numbers = [answer for answer in answers if isinstance(answer, int)]
    assert len(numbers) == len(answers), answers
    return numbers


def delete_label(store: Store, dataset: int, name: str) -> None:
    for _ in store.label_deletion(dataset, name):
        pass


def tidied(store: Store) -> None:
    """As after a start."""
    for _ in store.tidy():
        pass


def labels_of(store: Reader, dataset: int) -> Dict[str, int]:
    """How many entities carry each label, as a label list says."""
    count, labels = store.labels(dataset, ALL)
    assert count == len(labels)
    return {label.name: label.entities for label in labels}


def entities_of(store: Reader, dataset: int) -> List[Entity]:
    """Oldest first."""
    with closing(sqlite3.connect(store.folder / FILE)) as db:
        rows = db.execute(
            "SELECT entities.id, name, digest, suffix, size, width, height, reviewed "
            "FROM entities JOIN contents ON contents.id = content "
            "WHERE dataset = ? ORDER BY entities.id",
            (dataset,),
        ).fetchall()
        return [Entity._make((*row[:7], bool(row[7]), _labels(db, row[0]))) for row in rows]


def _labels(db: sqlite3.Connection, entity: int) -> Tuple[Label, ...]:
    rows = db.execute(
        "SELECT name, origin, x, y, boxes.width, boxes.height FROM entity_labels "
        "JOIN labels ON labels.id = label LEFT JOIN boxes USING (entity, label) "
        "WHERE entity = ? AND dataset IS NOT NULL ORDER BY label, boxes.id",
        (entity,),
    )
    return tuple(
        Label(name, None if box[0] is None else Box(*box), origin) for name, origin, *box in rows
    )


def carried(store: Reader, dataset: int) -> List[Tuple[str, Sequence[str]]]:
    """The name of each entity and its labels."""
    return [
        (entity.name, [label.name for label in entity.labels])
        for entity in entities_of(store, dataset)
    ]
