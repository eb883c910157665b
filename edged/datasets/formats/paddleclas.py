"""PaddleClas: lists of files and what they show, by the numbers of the labels.

Source: PaddleClas's documents of its dataset formats. Where an entity has several labels, the
list is that of a multi-label dataset: a file, a tab, and 0 or 1 for each label. Else it is a
file and the number of its label. Entities without a label have a list of their own.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, Iterator, List, Optional

from edged.datasets.formats.items import (
    Copy,
    File,
    Found,
    Item,
    Outgoing,
    Text,
    folder_of,
)
from edged.datasets.formats.source import Source
from edged.datasets.label_names import label_of
from edged.datasets.types import Kind, Label
from edged.registry.formats.labels import label_lines

_LIST, _UNLABELLED, _NAMES = "train_list.txt", "unlabelled_list.txt", "label_list.txt"
_LISTS = (_LIST, "val_list.txt", "test_list.txt")
_NAME_FILES = (_NAMES, "labels.txt")
_NUMBERS = re.compile("[01](?:,[01])+|[0-9]{1,9}")


def write(dataset: Outgoing) -> Iterator[File]:
    folder = folder_of(dataset.kind)
    count = sum(1 for _ in dataset.labels_in_order())
    line = _one if dataset.one_label_each else _several(count)
    yield Text(_NAMES, (f"{one.number} {one.name}\n".encode() for one in dataset.labels_in_order()))
    yield Text(
        _LIST, (line(f"{folder}/{item.file}", item) for item in dataset.items() if item.labels)
    )
    yield Text(
        _UNLABELLED,
        (f"{folder}/{item.file}\n".encode() for item in dataset.items() if not item.labels),
    )
    for item in dataset.items():
        yield Copy(f"{folder}/{item.file}", item)


def _one(path: str, item: Item) -> bytes:
    return f"{path} {item.labels[0].number}\n".encode()


def _several(count: int) -> Callable[[str, Item], bytes]:
    def line(path: str, item: Item) -> bytes:
        marks = bytearray(b"0" * count)
        for label in item.labels:
            marks[label.number] = ord("1")
        return path.encode() + b"\t" + b",".join(bytes([mark]) for mark in marks) + b"\n"

    return line


def read(source: Source, kind: Kind) -> Iterator[Found]:
    """Lists of training, validation and test alike. Without the labels' names their numbers
    are their names."""
    lists = [name for name in _LISTS if name in source.files]
    if not lists:
        source.refuse(_LIST, "there is no such file")
    names = _names(source)
    for one in lists:
        for where, line in source.lines(one):
            # Not by one expression: that takes hours of a line of nothing but white space.
            name, *numbers = line.rsplit(None, 1)
            if not numbers or not _NUMBERS.fullmatch(numbers[0]):
                source.refuse(where, "it is not a file and the number of its label")
                continue
            path = source.find(name, (folder_of(kind),), where)
            labels = _labels(source, where, numbers[0], names)
            if path is not None and labels is not None:
                yield Found(path, where, labels)
    for where, line in source.lines(_UNLABELLED) if _UNLABELLED in source.files else ():
        path = source.find(line, (folder_of(kind),), where)
        if path is not None:
            yield Found(path, where)


def _names(source: Source) -> Optional[Dict[int, str]]:
    for path in source.files:
        if "/" not in path and path.endswith(_NAME_FILES):
            text = source.text(path, 1 << 20)
            return None if text is None else dict(enumerate(label_lines(text)))
    return None


def _labels(
    source: Source, where: str, numbers: str, names: Optional[Dict[int, str]]
) -> Optional[List[Label]]:
    """`numbers` is one, or a 0 or 1 for each label."""
    if "," in numbers:
        marks = numbers.split(",")
        if names is not None and len(marks) != len(names):
            source.refuse(where, f"it has {len(marks)} marks, and there are {len(names)} labels")
            return None
        found = [index for index, mark in enumerate(marks) if mark == "1"]
    else:
        found = [int(numbers)]
    if names is None:
        return [label_of(str(index)) for index in found]
    unknown = [index for index in found if index not in names]
    if unknown:
        source.refuse(where, f"there is no label {unknown[0]}")
        return None
    return [label_of(names[index]) for index in found]
