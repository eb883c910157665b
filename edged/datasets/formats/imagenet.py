"""ImageNet: a folder for each label, with the files that have it in it.

An entity with several labels is in the folder of each. Those without any are beside them, so
that a tool which is given `train` does not take them for a class.
"""

from __future__ import annotations

from typing import Iterator

from edged.datasets.formats.items import PICTURE_SUFFIXES, Copy, File, Found, Outgoing
from edged.datasets.formats.source import Source
from edged.datasets.label_names import label_of
from edged.datasets.types import Kind

_LABELLED, _UNLABELLED = "train", "unlabelled"
_SPLITS = (_LABELLED, "val", "test")
_CONTENTS = (*PICTURE_SUFFIXES, ".wav")


def write(dataset: Outgoing) -> Iterator[File]:
    for item in dataset.items():
        for name in dict.fromkeys(label.name for label in item.labels):
            yield Copy(f"{_LABELLED}/{name}/{item.file}", item)
        if not item.labels:
            yield Copy(f"{_UNLABELLED}/{item.file}", item)


def read(source: Source, kind: Kind) -> Iterator[Found]:
    """With `train`, `val` and `test`, or the folders of the labels alone. Notes beside all
    folders, and hidden files, are none of the dataset."""
    split = any(path.startswith(f"{one}/") for one in _SPLITS for path in source.files)
    for path in source.files:
        *folders, name = path.split("/")
        if name.startswith(".") or name == "Thumbs.db":
            continue
        if not folders:
            if name.lower().endswith(_CONTENTS):
                source.refuse(path, "it is in no folder of a label")
        elif folders == [_UNLABELLED]:
            yield Found(path, path)
        elif not split:
            yield Found(path, path, [label_of(folders[0])])
        elif folders[0] in _SPLITS and len(folders) > 1:
            yield Found(path, path, [label_of(folders[1])])
        else:
            source.refuse(path, "it is in no folder of a label")
