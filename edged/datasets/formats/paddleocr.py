"""PaddleOCR: lists of pictures and the text in them.

Source: PaddleOCR's documents of its text detection and text recognition datasets. In a
detection dataset the label of a box is what stands in it: `Label.txt` has the boxes of each
picture with it. In a classification dataset a picture is a line of text, and its label says
what it reads: `rec_gt.txt` has a picture and its text a line. The text is what it was called
first where the label's name was made from that.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Iterator, List, Optional, Tuple

import msgspec

from edged.datasets.formats.geometry import Edges, box_of, edges_of, plain
from edged.datasets.formats.items import (
    Copy,
    File,
    Found,
    Item,
    Outgoing,
    OutLabel,
    Text,
    folder_of,
    printable,
)
from edged.datasets.formats.source import Source
from edged.datasets.label_names import label_of
from edged.datasets.types import Kind, Label

_BOXES, _LINES = "Label.txt", "rec_gt.txt"

_json = msgspec.json.Encoder()


class _Region(msgspec.Struct, gc=False):
    """`points` are corners, clockwise from the upper left one."""

    transcription: str
    points: List[Tuple[Decimal, Decimal]]


def write(dataset: Outgoing) -> Iterator[File]:
    folder = folder_of(dataset.kind)
    if dataset.kind == "OBJECT_DETECTION":
        yield Text(_BOXES, (_picture(f"{folder}/{item.file}", item) for item in dataset.items()))
    else:
        yield Text(
            _LINES,
            (
                f"{folder}/{item.file}\t{_text(label)}\n".encode()
                for item in dataset.items()
                for label in item.labels or [OutLabel(0, 0, "")]
            ),
        )
    for item in dataset.items():
        yield Copy(f"{folder}/{item.file}", item)


def _picture(path: str, item: Item) -> bytes:
    regions = ", ".join(_region(_text(one), edges_of(one.box)) for one in item.labels if one.box)
    return f"{path}\t[{regions}]\n".encode()


def _region(text: str, edges: Edges) -> str:
    left, top, right, bottom = map(plain, edges)
    points = f"[[{left}, {top}], [{right}, {top}], [{right}, {bottom}], [{left}, {bottom}]]"
    said = _json.encode(text).decode()
    return f'{{"transcription": {said}, "points": {points}, "difficult": false}}'


def _text(label: OutLabel) -> str:
    return printable(label.origin or label.name)


def read(source: Source, kind: Kind) -> Iterator[Found]:
    """Of a region with other corners than a box has, the box around it."""
    one = _BOXES if kind == "OBJECT_DETECTION" else _LINES
    if one not in source.files:
        source.refuse(one, "there is no such file")
        return
    for where, line in source.lines(one):
        name, tab, rest = line.partition("\t")
        if not tab:
            source.refuse(where, "it has no tab between a picture and its text")
            continue
        path = source.find(name, (folder_of(kind),), where)
        labels = _boxes(source, where, rest) if one == _BOXES else _words(rest)
        if path is not None and labels is not None:
            yield Found(path, where, labels)


def _words(text: str) -> List[Label]:
    return [label_of(text)] if text.strip() else []


def _boxes(source: Source, where: str, text: str) -> Optional[List[Label]]:
    regions = source.parsed(text.encode(), List[_Region], where)
    if regions is None:
        return None
    labels = []
    for one in regions:
        columns, rows = [x for x, _ in one.points], [y for _, y in one.points]
        if len(one.points) < 2 or not one.transcription.strip():
            source.refuse(where, "it has a region without corners or without a text")
            return None
        # Each of them: what is not a number is not to be compared either.
        if not all(value.is_finite() and abs(value) < 10**9 for value in (*columns, *rows)):
            source.refuse(where, "it has a corner that is no number of pixels")
            return None
        edges = Edges(min(columns), min(rows), max(columns), max(rows))
        labels.append(label_of(one.transcription, box_of(edges)))
    return labels
