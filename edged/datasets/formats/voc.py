"""Pascal VOC: boxes of a detection dataset, an XML document for each picture.

Source: "The PASCAL Visual Object Classes Challenge 2012 development kit", annotation format:
pixels count from 1, and the last one belongs to the box. `trainval.txt` and `label_list.txt`
are what PaddleDetection reads beside it. `verified`, as LabelImg has it, is whether somebody
has looked at the labels; an object has `origin` where its name was made from another one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Iterator, List, Optional, Set, Tuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from edged.datasets.formats.geometry import Edges, box_of, edges_of, number, plain
from edged.datasets.formats.items import (
    PICTURE_SUFFIXES,
    Copy,
    File,
    Found,
    Item,
    Outgoing,
    OutLabel,
    Text,
    printable,
)
from edged.datasets.formats.source import Source
from edged.datasets.label_names import label_of
from edged.datasets.types import Kind, Label

_PICTURES, _ANNOTATIONS = "JPEGImages", "Annotations"
_MOST_BYTES = 4 << 20  # of an annotation
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_ONE = Decimal(1)


def write(dataset: Outgoing) -> Iterator[File]:
    yield Text("label_list.txt", (f"{one.name}\n".encode() for one in dataset.labels_in_order()))
    yield Text("ImageSets/Main/trainval.txt", (f"{one.stem}\n".encode() for one in dataset.items()))
    yield Text("trainval.txt", (_pair(item) for item in dataset.items()))
    for item in dataset.items():
        yield Text(f"{_ANNOTATIONS}/{item.stem}.xml", [_document(item).encode()])
        yield Copy(f"{_PICTURES}/{item.file}", item)


def _pair(item: Item) -> bytes:
    return f"{_PICTURES}/{item.file} {_ANNOTATIONS}/{item.stem}.xml\n".encode()


def _document(item: Item) -> str:
    lines = [
        f'<annotation verified="{"yes" if item.reviewed else "no"}">',
        f"<folder>{_PICTURES}</folder>",
        f"<filename>{escape(item.file)}</filename>",
        f"<size><width>{item.width}</width><height>{item.height}</height><depth>3</depth></size>",
        "<segmented>0</segmented>",
        *(_object(label, edges_of(label.box)) for label in item.labels if label.box is not None),
        "</annotation>\n",
    ]
    return "\n".join(lines)


def _object(label: OutLabel, edges: Edges) -> str:
    values = (edges.left + _ONE, edges.top + _ONE, edges.right, edges.bottom)
    box = "".join(f"<{edge}>{plain(value)}</{edge}>" for edge, value in zip(_EDGES, values))
    origin = f"<origin>{escape(printable(label.origin))}</origin>" if label.origin else ""
    return (
        f"<object><name>{escape(label.name)}</name>{origin}<pose>Unspecified</pose>"
        f"<truncated>0</truncated><difficult>0</difficult><bndbox>{box}</bndbox></object>"
    )


def read(source: Source, kind: Kind) -> Iterator[Found]:
    """Pictures that no document names have no labels."""
    named: Set[str] = set()
    documents = [path for path in source.files if path.endswith(".xml")]
    if not documents:
        source.refuse(_ANNOTATIONS, "there are no annotations (*.xml)")
    for path in documents:
        text = source.text(path, _MOST_BYTES)
        root = None if text is None else _parsed(source, path, text)
        picture = None if root is None else _picture(source, path, root)
        if root is not None and picture is not None:
            named.add(picture)
            labels = _labels(source, path, root)
            reviewed = root.get("verified") != "no"
            yield Found(picture, path, labels, reviewed, _size(root))
    for path in source.files:
        if path.startswith(f"{_PICTURES}/") and path not in named:
            yield Found(path, path)


def _parsed(source: Source, path: str, text: str) -> Optional[ElementTree.Element]:
    if "<!DOCTYPE" in text:  # entities, which may become gigabytes, are declared in it
        source.refuse(path, "it declares a document type, which no annotation needs")
        return None
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        source.refuse(f"{path}, line {error.position[0]}", f"it is no XML: {error}")
        return None


def _picture(source: Source, path: str, root: ElementTree.Element) -> Optional[str]:
    """Its name is often wrong, and that of the document is not: files were renamed, the text
    in them was not."""
    stem = path.rpartition("/")[2][: -len(".xml")]
    for suffix in PICTURE_SUFFIXES:
        for name in (f"{_PICTURES}/{stem}{suffix}", f"{_PICTURES}/{stem}{suffix.upper()}"):
            if name in source.files:
                return name
    name = (root.findtext("filename") or "").strip() or f"{stem}.jpg"
    return source.find(name, (_PICTURES, path.rpartition("/")[0]), path)


def _labels(source: Source, path: str, root: ElementTree.Element) -> List[Label]:
    labels: List[Label] = []
    for index, one in enumerate(root.iterfind("object"), 1):
        where = f"{path}, object {index}"
        name = (one.findtext("name") or "").strip()
        try:
            left, top, right, bottom = (
                number(one.findtext(f"bndbox/{edge}") or "") for edge in _EDGES
            )
        except ValueError as error:
            source.refuse(where, str(error))
            continue
        if not name:
            source.refuse(where, "it has no name")
            continue
        box = box_of(Edges(left - _ONE, top - _ONE, right, bottom))
        labels.append(label_of(name, box, (one.findtext("origin") or "").strip()))
    return labels


def _size(root: ElementTree.Element) -> Optional[Tuple[int, int]]:
    """Some tools write 0 where they do not know."""
    try:
        width, height = (int(root.findtext(f"size/{side}") or 0) for side in ("width", "height"))
    except ValueError:
        return None
    return (width, height) if width and height else None
