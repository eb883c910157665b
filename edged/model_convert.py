"""A model's folder as another one, for a board: its networks converted, all else written out."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Dict, List, Tuple

import msgspec
import yaml

from edged.errors import ModelFolderError
from edged.network_tool import convert, describe
from edged.registry.entry import Entry
from edged.registry.folder import Folder
from edged.registry.formats import native, paddleocr
from edged.registry.program import picture_size
from edged.registry.sample import ANSWER, PICTURE
from edged.registry.spec import Boxes, Classes, ModelFiles, ModelSpec, Reading

Networks = Dict[str, ModelFiles]
Documents = Dict[str, Dict[str, Any]]

_NETWORK = "model.nb"


def convert_to(entry: Entry, target: str, cache: Path, out: Path) -> List[Path]:
    """Writes a folder that can be served where `target` is; the paths of its `.nb` files.

    `out` is not there yet, or is empty. Its `model.yaml` comes last: without it, nothing
    that was written so far is taken for a model. Raises ModelFolderError, EngineError.
    """
    spec = entry.spec
    if spec is None:
        raise ModelFolderError(f"{entry.folder} cannot be served: {entry.reason}")
    for files in spec.networks:
        if files.kind == "nb":
            raise ModelFolderError(f"{Path(files.model).name} is converted already")
    _check_out(out, Path(spec.folder))
    networks, documents = _ocr(entry, spec, spec.reading) if spec.reading else _single(entry, spec)
    converted = [(name, convert(files, target, str(cache))) for name, files in networks.items()]
    try:
        for name, path in converted:
            _copy(path, out / name)
        folder = Folder(Path(spec.folder))
        for name in (PICTURE, ANSWER):
            if folder.exists(name):
                _copy(folder.file(name), out / name)
        for name, document in documents.items():
            (out / name).write_text(_yaml(document), "utf-8")
    except OSError as error:
        raise ModelFolderError(f"{error.filename} cannot be written: {error.strerror}") from None
    return [out / name for name in networks]


def _check_out(out: Path, source: Path) -> None:
    """What lies in it would be taken for a part of the new model, or be written over."""
    if source in (out.resolve(), *out.resolve().parents):
        raise ModelFolderError(f"{out} is in the model's own folder")
    try:
        empty = not out.exists() or not any(out.iterdir())
    except OSError as error:
        raise ModelFolderError(f"{out} cannot be read: {error.strerror}") from None
    if not empty:
        raise ModelFolderError(f"{out} is not empty: name a new folder")


def _single(entry: Entry, spec: ModelSpec) -> Tuple[Networks, Documents]:
    """By their names in the new folder, as they are written one after the other.

    `model.yaml` says all that the exporter did.
    """
    described = {
        **_identity(entry, spec),
        "model": _NETWORK,
        "labels": spec.labels or None,
        "boxes": None if spec.boxes == Boxes() else spec.boxes,
        "classes": None if spec.classes == Classes() else spec.classes,
        "preprocess": spec.preprocess,
    }
    return {_NETWORK: spec.files}, {native.FILE: described}


def _ocr(entry: Entry, spec: ModelSpec, reading: Reading) -> Tuple[Networks, Documents]:
    """As `_single`. An `.nb` tells no size, so those that a program binds are said too.

    The letters go into the recognition's `inference.yml`, where any character may stand.
    """
    page, line = _fixed_size(spec.files), _fixed_size(reading.recognition)
    line_width, line_height = line
    networks = {"det": spec.files, "rec": reading.recognition}
    if reading.angle is not None:
        networks["cls"] = reading.angle
    described = {
        **_identity(entry, spec),
        **{part: part for part in networks},
        "line_height": reading.line_height or line_height or None,
        "line_width": reading.line_width or line_width or None,
        "page_size": reading.page_size or (page if all(page) else None),
        "languages": reading.languages,
    }
    documents = {
        f"det/{paddleocr.CONFIG}": {"PostProcess": paddleocr.box_document(reading.boxes)},
        f"rec/{paddleocr.CONFIG}": {"PostProcess": paddleocr.letters_document(reading.letters)},
        native.FILE: described,
    }
    return {f"{part}/{_NETWORK}": files for part, files in networks.items()}, documents


def _identity(entry: Entry, spec: ModelSpec) -> Dict[str, Any]:
    return {
        "mid": entry.mid,
        "name": spec.name,
        "task": spec.task,
        "threshold": spec.threshold,
        "instances": spec.instances,
        "threads": spec.threads,
        "collect": spec.collect,
    }


def _fixed_size(files: ModelFiles) -> Tuple[int, int]:
    return picture_size(describe(files).inputs)


def _copy(path: str, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)


def _yaml(document: Dict[str, Any]) -> str:
    said = {key: value for key, value in document.items() if value is not None}
    return yaml.dump(msgspec.to_builtins(said), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True  # they are not allowed in it
