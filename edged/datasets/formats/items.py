"""What an exchange format is made of: entities that go out, files, and entities that come in."""

from __future__ import annotations

from pathlib import Path
from typing import Iterable, Iterator, NamedTuple, Optional, Protocol, Sequence, Tuple, Union

from edged.datasets.types import Box, Kind, Label


class OutLabel(NamedTuple):
    """`number` counts the labels of the dataset from 0 on; `box_id`, with `box`, is the box's
    own. `id`, `name` and `origin` are as in the store."""

    number: int
    id: int
    name: str
    origin: str = ""
    box_id: int = 0
    box: Optional[Box] = None


class Item(NamedTuple):
    """An entity that goes out. `file` is its name as a file: safe, with the suffix of what it
    is, and no other of the dataset has the same, even without the suffix."""

    id: int
    file: str
    content: Path
    size: int
    width: int
    height: int
    reviewed: bool
    labels: Tuple[OutLabel, ...]

    @property
    def stem(self) -> str:
        return self.file.rpartition(".")[0]


class Outgoing(Protocol):
    """A dataset as it stood at one moment. Each iteration begins anew."""

    kind: Kind

    @property
    def one_label_each(self) -> bool:
        """Whether no entity has more than one label."""
        ...

    def labels_in_order(self) -> Iterator[OutLabel]: ...

    def items(self) -> Iterator[Item]: ...


class Text(NamedTuple):
    """A file of an export that is made for it. `path` has `/` between its parts."""

    path: str
    chunks: Iterable[bytes]


class Copy(NamedTuple):
    """A file of an export that is an entity's content."""

    path: str
    item: Item


File = Union[Text, Copy]


class Found(NamedTuple):
    """An entity that comes in: the file `path` of the source, and what is said of it at
    `where`. `name` is that of the entity. `size` is the (width, height) that it is said to have.
    """

    path: str
    where: str
    labels: Sequence[Label] = ()
    reviewed: bool = True
    size: Optional[Tuple[int, int]] = None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""Of files that an import takes for pictures, in lower case."""

_FOLDERS = {"SOUND_CLASSIFICATION": "sounds", "TEXT_CLASSIFICATION": "texts"}


def folder_of(kind: Kind) -> str:
    """The folder of the contents, where a format leaves its name free."""
    return _FOLDERS.get(kind, "images")


def printable(text: str) -> str:
    """With blanks for control characters, which neither a line of a list nor XML can have."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
