"""What a dataset can be exported as, and imported from: a new one is a line in `FORMATS`."""

from __future__ import annotations

from typing import Callable, Dict, Iterator, NamedTuple, Tuple

from edged.datasets.formats import coco, imagenet, paddleclas, paddleocr, voc
from edged.datasets.formats.items import File, Found, Outgoing
from edged.datasets.formats.source import Source
from edged.datasets.types import Kind
from edged.errors import BadParam

_BOXES: Tuple[Kind, ...] = ("OBJECT_DETECTION",)
_LABELS: Tuple[Kind, ...] = (
    "IMAGE_CLASSIFICATION",
    "IMAGE_SEGMENTATION",
    "SOUND_CLASSIFICATION",
    "TEXT_CLASSIFICATION",
)


class Format(NamedTuple):
    """`kinds` are the types of datasets that it suits, the usual one first; `not_others` is why
    it suits no other.

    `write` gives the files one after the other; `read` is for what is said in a source, not
    for what is in its pictures.
    """

    kinds: Tuple[Kind, ...]
    not_others: str
    write: Callable[[Outgoing], Iterator[File]]
    read: Callable[[Source, Kind], Iterator[Found]]


FORMATS: Dict[str, Format] = {
    "coco": Format(_BOXES, "it is for boxes", coco.write, coco.read),
    "voc": Format(_BOXES, "it is for boxes", voc.write, voc.read),
    "imagenet": Format(_LABELS, "it has no boxes", imagenet.write, imagenet.read),
    "paddleclas": Format(_LABELS, "it has no boxes", paddleclas.write, paddleclas.read),
    "paddleocr": Format(
        ("OBJECT_DETECTION", "IMAGE_CLASSIFICATION"),
        "it is for pictures of text, as boxes or as lines",
        paddleocr.write,
        paddleocr.read,
    ),
}


def format_for(name: str, kind: Kind) -> Format:
    """Raises BadParam for one that there is not, or that does not suit."""
    found = FORMATS.get(name)
    if found is None:
        raise BadParam(f"format is none of {', '.join(FORMATS)}")
    if kind not in found.kinds:
        suited = ", ".join(one for one, format in FORMATS.items() if kind in format.kinds)
        raise BadParam(f"{name} does not suit {kind}: {found.not_others}. There are {suited}")
    return found
