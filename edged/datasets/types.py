"""What a dataset holds. The names are those of the EasyDL dataset API."""

from __future__ import annotations

from typing import Literal, NamedTuple, Optional, Sequence

Kind = Literal[
    "IMAGE_CLASSIFICATION",
    "OBJECT_DETECTION",
    "IMAGE_SEGMENTATION",
    "SOUND_CLASSIFICATION",
    "TEXT_CLASSIFICATION",
]

Busy = Literal["", "import", "deletion"]


class Dataset(NamedTuple):
    """`owner` is an API key, empty for the board's own; `entities` is how many it has; `busy`
    is what is under way and lets nothing else change it."""

    id: int
    owner: str
    kind: Kind
    name: str
    entities: int
    busy: Busy


class LabelCount(NamedTuple):
    """A label and how many entities carry it."""

    id: int
    name: str
    entities: int


class Box(NamedTuple):
    """Pixels of the picture as a viewer shows it; left, top is the upper left corner."""

    left: float
    top: float
    width: float
    height: float


class Label(NamedTuple):
    """On an entity, once for each box. `box` only in object detection. `origin` is what a model
    or an imported file called it, where the API's rule for names does not allow that."""

    name: str
    box: Optional[Box] = None
    origin: str = ""


class Content(NamedTuple):
    """A picture, a sound or a text, as it came. `suffix` is that of a file of its format, as
    .jpg; `width` and `height` are of pictures, in pixels."""

    data: bytes
    suffix: str
    width: int = 0
    height: int = 0


class Page(NamedTuple):
    """Rows `start` to `start` + `num` of an ordered list."""

    start: int
    num: int


class Quota(NamedTuple):
    """Most entities, most bytes of content, and bytes of the disk that stay free."""

    entities: int
    bytes: int
    reserve: int


class NewEntity(NamedTuple):
    """`append`: the labels are added to those that the same entity has, else take their place.

    `reviewed` is false for labels that a model gave and nobody has looked at. They do not touch
    an entity that is there already.
    """

    dataset: int
    name: str
    content: Content
    labels: Sequence[Label]
    append: bool = True
    reviewed: bool = True
