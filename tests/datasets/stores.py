"""Entities in few words."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from edged.datasets.reader import Reader
from edged.datasets.store import Store
from edged.datasets.types import Content, Kind, Label, NewEntity, Page, Quota

ENOUGH = Quota(entities=1_000_000, bytes=1 << 40, reserve=0)
ALL = Page(0, 1_000_000)
TEXT: Kind = "TEXT_CLASSIFICATION"


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


def carried(store: Reader, dataset: int) -> List[Tuple[str, Sequence[str]]]:
    """The name of each entity and its labels."""
    return [
        (entity.name, [label.name for label in entity.labels])
        for entity in store.entities(dataset, 0, 1_000_000)
    ]
