"""COCO: boxes of a detection dataset in one JSON document, `annotations/instances.json`.

Source: "COCO data format" (cocodataset.org), object detection. Beside its fields an image has
`reviewed`, and an annotation `origin` where the label's name was made from another one.
"""

from __future__ import annotations

import math
from typing import Dict, Iterable, Iterator, List, Optional, Tuple, Union

import msgspec

from edged.datasets.formats.items import Copy, File, Found, Item, Outgoing, Text
from edged.datasets.formats.source import Source
from edged.datasets.label_names import label_of
from edged.datasets.types import Box, Kind, Label

_PICTURES, _DOCUMENT = "images", "annotations/instances.json"
_FOREIGN = "_annotations.coco.json"

_json = msgspec.json.Encoder()

_Id = Union[int, str]


class _Image(msgspec.Struct, gc=False):
    id: _Id
    file_name: str
    width: Optional[float] = None
    height: Optional[float] = None
    reviewed: bool = True


class _Category(msgspec.Struct, gc=False):
    id: int
    name: str


class _Annotation(msgspec.Struct, gc=False):
    image_id: _Id
    category_id: int
    bbox: Tuple[float, float, float, float]
    iscrowd: int = 0
    origin: str = ""


class _Document(msgspec.Struct):
    images: List[_Image]
    annotations: List[_Annotation] = []
    categories: List[_Category] = []


def write(dataset: Outgoing) -> Iterator[File]:
    yield Text(_DOCUMENT, _document(dataset))
    for item in dataset.items():
        yield Copy(f"{_PICTURES}/{item.file}", item)


def _document(dataset: Outgoing) -> Iterator[bytes]:
    """A record a line, so that no more than one is in memory. Ids are those of the store: the
    same in every export, whatever else is added to the dataset."""
    yield b'{"images": ['
    yield from _records(_image(item) for item in dataset.items())
    yield b'],\n"annotations": ['
    yield from _records(one for item in dataset.items() for one in _annotations(item))
    yield b'],\n"categories": ['
    yield from _records(
        {"id": one.id, "name": one.name, "supercategory": ""} for one in dataset.labels_in_order()
    )
    yield b"]}\n"


def _records(records: Iterable[Dict[str, object]]) -> Iterator[bytes]:
    comma = b"\n"
    for record in records:
        yield comma + _json.encode(record)
        comma = b",\n"


def _image(item: Item) -> Dict[str, object]:
    return {
        "id": item.id,
        "file_name": item.file,
        "width": item.width,
        "height": item.height,
        "reviewed": item.reviewed,
    }


def _annotations(item: Item) -> Iterator[Dict[str, object]]:
    for label in item.labels:
        if label.box is not None:
            yield {
                "id": label.box_id,
                "image_id": item.id,
                "category_id": label.id,
                "bbox": label.box,
                "area": label.box.width * label.box.height,
                "iscrowd": 0,
                "segmentation": [],
                **({"origin": label.origin} if label.origin else {}),
            }


def read(source: Source, kind: Kind) -> Iterator[Found]:
    """Of crowds (`iscrowd`) there are no boxes of one thing, so they are left out."""
    documents = _documents(source)
    if not documents:
        source.refuse("annotations", "there is no annotations/instances*.json")
    for path in documents:
        document = source.json(path, _Document)
        if document is not None:
            yield from _found(source, path, document)


def _documents(source: Source) -> List[str]:
    every = [path for path in source.files if path.endswith(".json")]
    known = [
        path
        for path in every
        if path.startswith("annotations/instances") or path.rpartition("/")[2] == _FOREIGN
    ]
    return known or (every if len(every) == 1 else [])


def _found(source: Source, path: str, document: _Document) -> Iterator[Found]:
    names = {category.id: category.name for category in document.categories}
    labels: Dict[_Id, List[Label]] = {image.id: [] for image in document.images}
    if len(labels) < len(document.images):
        source.refuse(path, "two of the images have one id")
        return
    for index, one in enumerate(document.annotations):
        where = f"annotations[{index}]"
        if one.image_id not in labels:
            source.refuse(f"{path}, {where}", f"there is no image {one.image_id}")
        elif one.category_id not in names:
            source.refuse(f"{path}, {where}", f"there is no category {one.category_id}")
        elif not one.iscrowd:
            label = label_of(names[one.category_id], Box(*one.bbox), one.origin)
            labels[one.image_id].append(label)
    folder = path.rpartition("/")[0]
    for index, image in enumerate(document.images):
        where = f"{path}, images[{index}]"
        picture = source.find(image.file_name, (folder, _PICTURES), where)
        if picture is not None:
            size = _size(image)
            yield Found(picture, where, labels[image.id], image.reviewed, size)


def _size(image: _Image) -> Optional[Tuple[int, int]]:
    if not image.width or not image.height:
        return None
    return math.floor(image.width), math.floor(image.height)
