"""`model.yaml`: a whole description, or changes to what an exporter says.

With any of the keys of `_Native` it is whole, with `task: ocr` it says where the networks
of an OCR model are; else it only overrides.
"""

from __future__ import annotations

import os
from typing import List, Literal, Optional, Tuple, Type, Union

import msgspec
from typing_extensions import Annotated

from edged.datasets.collect import check
from edged.errors import ModelFolderError
from edged.registry.document import Document, Share, convert
from edged.registry.folder import Folder
from edged.registry.formats.labels import read_labels
from edged.registry.spec import (
    AnyStep,
    Boxes,
    Classes,
    Collect,
    Decoding,
    Description,
    EngineChoice,
    ModelFiles,
)

EXPORTER = "native"

FILE = "model.yaml"
_MAX_MID = 2**53 - 1  # what every JSON client reads exactly

LineHeight = Annotated[int, msgspec.Meta(ge=8, le=256)]
_Side = Annotated[int, msgspec.Meta(ge=32, le=4096)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=64)]


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model even when the rest of its file is wrong."""

    mid: Optional[Annotated[int, msgspec.Meta(ge=0, le=_MAX_MID)]] = None
    name: Optional[str] = None


class Overrides(Identity, frozen=True, kw_only=True, forbid_unknown_fields=True):
    labels: Union[List[str], str, None] = None
    threshold: Optional[Share] = None
    engine: Optional[EngineChoice] = None
    instances: Optional[_Count] = None
    threads: Optional[_Count] = None
    decode: Decoding = "exact"
    collect: Optional[Collect] = None


class _Native(Overrides, frozen=True, kw_only=True):
    task: Literal["detection", "classification", "segmentation"]
    model: str
    params: Optional[str] = None
    preprocess: List[AnyStep]
    boxes: Boxes = Boxes()
    classes: Classes = Classes()


class Ocr(Overrides, frozen=True, kw_only=True):
    """The networks' folders, relative to that of the file; `dictionary` is a file of letters."""

    task: Literal["ocr"]
    det: str = "det"
    rec: str = "rec"
    cls: Optional[str] = None
    dictionary: Optional[str] = None
    languages: Optional[List[str]] = None
    line_height: Optional[LineHeight] = None
    line_width: Optional[_Side] = None
    page_size: Optional[Tuple[_Side, _Side]] = None


_NATIVE_KEYS = frozenset(_Native.__struct_fields__) - frozenset(Overrides.__struct_fields__)


def identity(folder: Folder) -> Identity:
    return convert(_document(folder), Identity, FILE)


def is_ocr(folder: Folder) -> bool:
    """Whether the file names the networks of an OCR model; paddleocr.py reads those."""
    return _names_ocr(_document(folder))


def read_ocr(folder: Folder) -> Ocr:
    return convert(_document(folder), Ocr, FILE)


def recognise(folder: Folder) -> bool:
    return not _NATIVE_KEYS.isdisjoint(_document(folder))


def read(folder: Folder) -> Description:
    native = convert(_document(folder), _Native, FILE)
    return Description(
        task=native.task,
        files=_files(folder, native.model, native.params),
        preprocess=tuple(native.preprocess),
        boxes=native.boxes,
        classes=native.classes,
    )


def override(folder: Folder, description: Description) -> Description:
    """`description` with what `model.yaml`, if there is one, says otherwise."""
    document = _document(folder)
    changes: Overrides = convert(document, _schema(document), FILE)
    labels = description.labels if changes.labels is None else _labels(folder, changes.labels)
    threshold = description.threshold if changes.threshold is None else changes.threshold
    if description.task == "ocr" and changes.decode == "scaled":
        raise ModelFolderError(f"{FILE}: decode cannot be scaled, as text is read at its full size")
    if changes.collect is not None:
        check(changes.collect, description.task, labels)
    return msgspec.structs.replace(
        description,
        labels=labels,
        threshold=threshold,
        engine=changes.engine,
        instances=changes.instances,
        threads=changes.threads,
        decode=changes.decode,
        collect=changes.collect,
    )


def _document(folder: Folder) -> Document:
    return folder.yaml(FILE) if folder.exists(FILE) else {}


def _names_ocr(document: Document) -> bool:
    return bool(document.get("task") == "ocr")


def _schema(document: Document) -> Type[Overrides]:
    if _names_ocr(document):
        return Ocr
    return Overrides if _NATIVE_KEYS.isdisjoint(document) else _Native


def _labels(folder: Folder, labels: Union[List[str], str]) -> Tuple[str, ...]:
    return read_labels(folder, labels) if isinstance(labels, str) else tuple(labels)


def _files(folder: Folder, model: str, params: Optional[str]) -> ModelFiles:
    path = folder.inside(model)
    if os.path.isdir(path):
        kind: Literal["nb", "separate"] = "separate"
        folder.file(f"{model}/__model__")
    elif model.endswith(".nb"):
        kind = "nb"
        folder.file(model)
    elif params is None:
        folder.file(model)
        raise ModelFolderError(f"{FILE}: params is missing, the file with the weights of {model}")
    else:
        return ModelFiles("combined", folder.file(model), folder.file(params))
    if params is not None:
        raise ModelFolderError(f"{FILE}: params goes only with a full model in two files")
    return ModelFiles(kind, path)
