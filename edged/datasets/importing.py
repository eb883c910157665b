"""A folder or a zip of files as entities of a dataset: all of it is checked, then it is added."""

from __future__ import annotations

import re
from typing import Callable, Iterator, List, NamedTuple, Sequence, Tuple

from edged.datasets import rules
from edged.datasets.contents import digest_of
from edged.datasets.export import Progress
from edged.datasets.formats.geometry import clipped
from edged.datasets.formats.items import Found
from edged.datasets.formats.source import Source
from edged.datasets.store import Store
from edged.datasets.types import Content, Kind, Label, NewEntity
from edged.errors import BadImport, EdgedError
from edged.image_header import read_header

# What one transaction adds: it is in memory meanwhile, and others wait for its end.
_BATCH, _BATCH_BYTES = 100, 16 << 20
_MOST_BYTES = {
    "SOUND_CLASSIFICATION": rules.MOST_SOUND_BYTES,
    # A character of UTF-8 has four bytes at most.
    "TEXT_CLASSIFICATION": 4 * rules.MOST_CHARACTERS,
}
_PARAM = re.compile(r"^param\[\w+\]")

PictureSize = Callable[[bytes], Tuple[int, int]]
"""(width, height) of a picture as a viewer shows it. Raises EdgedError where it does not decode."""


class Checked(NamedTuple):
    """An entity that may be added. Its content is not kept, but `digest`."""

    path: str
    name: str
    labels: Sequence[Label]
    reviewed: bool
    digest: str
    suffix: str
    width: int
    height: int


def check(
    source: Source,
    kind: Kind,
    found: Sequence[Found],
    size_of: PictureSize,
    progress: Progress,
) -> List[Checked]:
    """Raises BadImport with a line for each that is wrong, and where it stands."""
    if not found and not source.problems:
        source.refuse(source.name, "there is nothing to import")
    checked = []
    for one in found:
        try:
            checked.append(_checked(source, kind, one, size_of))
        except EdgedError as error:
            where = one.where if one.where.startswith(one.path) else f"{one.where}, {one.path}"
            source.refuse(where, _PARAM.sub("it", str(error)))
        progress(1)
    source.check()
    return checked


def _checked(source: Source, kind: Kind, found: Found, size_of: PictureSize) -> Checked:
    """Raises EdgedError."""
    rules.check_entity_name(found.name)
    data = source.read(found.path, _MOST_BYTES.get(kind, rules.MOST_IMAGE_BYTES))
    suffix, (width, height) = _suffix_and_size(kind, data, size_of)
    if found.size is not None and found.size != (width, height):
        # Its boxes would be on another picture, or on this one turned.
        said = "{} x {}".format(*found.size)
        raise BadImport(f"it is {width} x {height} pixels, and is said to be {said}")
    labels = []
    for label in found.labels:
        box = label.box and clipped(label.box, width, height)
        labels.append(label._replace(box=box))
        try:
            rules.check_labels(labels[-1:], kind, width, height)
        except EdgedError as error:
            raise BadImport(f"the label {label.name}: {_PARAM.sub('it', str(error))}") from None
    return Checked(
        *(found.path, found.name, labels, found.reviewed, digest_of(data)),
        *(suffix, width, height),
    )


def _suffix_and_size(kind: Kind, data: bytes, size_of: PictureSize) -> Tuple[str, Tuple[int, int]]:
    """Raises EdgedError for what is not of that kind."""
    if kind == "TEXT_CLASSIFICATION":
        rules.check_text(data)
        return ".txt", (0, 0)
    if kind == "SOUND_CLASSIFICATION":
        rules.check_sound(data)
        return ".wav", (0, 0)
    return rules.SUFFIXES[read_header(data).format], size_of(data)


def add(
    store: Store, dataset: int, source: Source, checked: Sequence[Checked], progress: Progress
) -> None:
    """Labels are added to those that the same entities have. Meanwhile nothing else changes
    the dataset.

    Raises DatasetUnknown, DatasetBusy, and QuotaExceeded, StoreError or BadImport in the
    middle: what was added until then stays, and is not added twice when all of it is again.
    """
    with store.importing(dataset):
        for batch in _batches(dataset, source, checked):
            for answer in store.add(batch):
                if isinstance(answer, EdgedError):
                    raise answer
            progress(len(batch))


def _batches(dataset: int, source: Source, checked: Sequence[Checked]) -> Iterator[List[NewEntity]]:
    batch: List[NewEntity] = []
    size = 0
    for one in checked:
        data = source.read(one.path, rules.MOST_IMAGE_BYTES)
        if digest_of(data) != one.digest:
            raise BadImport(f"{one.path} has changed since it was checked")
        content = Content(data, one.suffix, one.width, one.height)
        batch.append(NewEntity(dataset, one.name, content, one.labels, True, one.reviewed))
        size += len(data)
        if len(batch) == _BATCH or size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
