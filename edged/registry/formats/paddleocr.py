"""An OCR model of PaddleOCR's exports: `det/`, `rec/` and, if there is one, `cls/`.

Each is a folder with a network. `model.yaml` with `task: ocr` may name other folders. The
letters come from a `.txt` beside the recognition network, or from its `inference.yml`.
One of them on its own is recognised too, so that nobody else takes it for theirs.
"""

from __future__ import annotations

import math
import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import msgspec
from typing_extensions import Annotated

from edged.errors import EngineError, ModelFolderError
from edged.registry import program
from edged.registry.document import Document, Share, convert
from edged.registry.folder import Folder
from edged.registry.formats import native
from edged.registry.formats.labels import decode
from edged.registry.formats.networks import find_network, only_file
from edged.registry.formats.steps import IMAGENET_MEAN, IMAGENET_STD, scale_of
from edged.registry.spec import BoxRules, Channels, Description, ModelFiles, Reading

EXPORTER = "PaddleOCR"

CONFIG = "inference.yml"
_STEMS = ("inference", "model")
_PROGRAM = "inference.pdmodel"
_DECODERS = {"DBPostProcess": "det", "CTCLabelDecode": "rec", "ClsPostProcess": "cls"}
_CLS_SHAPE = (3, 48, 192)
_BESIDE = {"det": ", with rec", "rec": ", with det", "cls": ", with det and rec"}
_DICTIONARY_LIMIT = 1 << 20


class _Boxes(msgspec.Struct):
    """`PostProcess` of a detector; the names are PaddleOCR's. Others than DB's have none."""

    name: str = "DBPostProcess"
    thresh: Share = 0.3
    box_thresh: Share = 0.6
    unclip_ratio: Annotated[float, msgspec.Meta(ge=0, le=10)] = 1.5
    max_candidates: Annotated[int, msgspec.Meta(ge=1, le=10000)] = 1000


class _Letters(msgspec.Struct):
    name: str = "CTCLabelDecode"
    character_dict: List[Union[str, int, float]] = []


class _Decode(msgspec.Struct):
    img_mode: str = "BGR"


class _Normalize(msgspec.Struct):
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    scale: Union[float, str, None] = None


class _ClsResize(msgspec.Struct):
    image_shape: Tuple[int, int, int] = _CLS_SHAPE


class _RecResize(msgspec.Struct):
    image_shape: Tuple[int, native.LineHeight, int]


def recognise(folder: Folder) -> bool:
    return _is_whole(folder) or (not native.recognise(folder) and bool(_part(folder)))


def _is_whole(folder: Folder) -> bool:
    if native.is_ocr(folder):
        return True
    return all(os.path.isdir(folder.path / part) for part in ("det", "rec"))


def _part(folder: Folder) -> str:
    """Which part of an OCR model this is: det, rec, cls, or nothing of the kind.

    By `inference.yml`, or by the shapes of the network where no exporter left a word.
    """
    if folder.exists(CONFIG):
        after = folder.yaml_dump(CONFIG).get("PostProcess")
        name = after.get("name") if isinstance(after, dict) else None
        return _DECODERS.get(name, "") if isinstance(name, str) else ""
    if not folder.exists(_PROGRAM) or _has_documents(folder):
        return ""
    try:
        network = program.read(folder.file(_PROGRAM))
    except (EngineError, ModelFolderError):
        return ""
    shapes = [*network.inputs.values(), *network.outputs.values()]
    if len(shapes) != 2 or len(shapes[0]) != 4:
        return ""
    (_, _, height, width), answer = shapes
    if len(answer) == 4 and answer[1] == 1:
        return "det"
    if len(answer) == 3:
        return "rec"
    # A classifier of two classes, but for pictures of lines.
    return "cls" if answer[1:] == (2,) and 0 < 2 * height < width else ""


def _has_documents(folder: Folder) -> bool:
    names = set(folder.names()) - {native.FILE}
    return any(name.endswith((".yml", ".yaml", ".json")) for name in names)


def read(folder: Folder) -> Description:
    if not _is_whole(folder):
        part = _part(folder)
        raise ModelFolderError(
            f"this is one network of an OCR model: put it into a folder as {part}"
            f"{_BESIDE[part]} beside it"
        )
    named = native.read_ocr(folder) if native.is_ocr(folder) else native.Ocr(task="ocr")
    angle = named.cls
    if angle is None and folder.exists("cls"):
        angle = "cls"
    _check_fed(folder, named.det)
    _check_fed(folder, named.rec)
    if angle is not None:
        _check_angle(folder, angle)
    reading = Reading(
        recognition=_network(folder, named.rec),
        letters=_letters(folder, named.rec, named.dictionary),
        angle=None if angle is None else _network(folder, angle),
        line_height=named.line_height or _line_height(folder, named.rec),
        line_width=named.line_width,
        page_size=named.page_size,
        boxes=_box_rules(folder, named.det),
    )
    if named.languages is not None:
        reading = msgspec.structs.replace(reading, languages=tuple(named.languages))
    return Description(task="ocr", files=_network(folder, named.det), reading=reading)


def box_document(rules: BoxRules) -> Mapping[str, object]:
    """What `PostProcess` of a detector says where these are its rules."""
    return msgspec.structs.asdict(
        _Boxes(
            thresh=rules.threshold,
            box_thresh=rules.box_threshold,
            unclip_ratio=rules.unclip,
            max_candidates=rules.max_candidates,
        )
    )


def letters_document(letters: Sequence[str]) -> Mapping[str, object]:
    """What `PostProcess` of a recognition says where these are its letters."""
    return msgspec.structs.asdict(_Letters(character_dict=list(letters)))


def _network(folder: Folder, part: str) -> ModelFiles:
    return find_network(folder, _STEMS, part)


def _section(folder: Folder, part: str, key: str) -> object:
    """What `inference.yml` of a network says under `key`; {} where it is not there."""
    if not folder.exists(f"{part}/{CONFIG}"):
        return {}
    return folder.yaml_dump(f"{part}/{CONFIG}").get(key, {})


def _letters(folder: Folder, part: str, named: Optional[str]) -> Tuple[str, ...]:
    file = only_file(folder, part, ".txt") if named is None else named
    if file is not None:
        return _read_dictionary(folder, file)
    where = f"{part}/{CONFIG}, PostProcess"
    decoder = convert(_section(folder, part, "PostProcess"), _Letters, where)
    if decoder.name != "CTCLabelDecode":
        raise ModelFolderError(f"{where}: {decoder.name} is not supported, only CTCLabelDecode")
    if not decoder.character_dict:
        raise ModelFolderError(
            f"the dictionary is missing: a .txt in {part}, or character_dict in its {CONFIG}"
        )
    return tuple(str(letter) for letter in decoder.character_dict)


def _read_dictionary(folder: Folder, name: str) -> Tuple[str, ...]:
    """One letter a line, which may be a space; an empty line counts too."""
    text = decode(folder.read(name, _DICTIONARY_LIMIT), name)
    lines = [line.rstrip("\r") for line in text.split("\n")]
    return tuple(lines[:-1] if lines[-1] == "" else lines)


def _line_height(folder: Folder, part: str) -> Optional[int]:
    resize = _operators(folder, part).get("RecResizeImg")
    if resize is None:
        return None
    _, height, _ = convert(resize, _RecResize, f"{part}/{CONFIG}, RecResizeImg").image_shape
    return height


def _operators(folder: Folder, part: str) -> Document:
    """What `inference.yml` of a network says is done to a picture: options by operator."""
    section = _section(folder, part, "PreProcess")
    operators = section.get("transform_ops") if isinstance(section, dict) else None
    found: Dict[str, Any] = {}
    for operator in operators if isinstance(operators, list) else []:
        if isinstance(operator, dict):
            found.update(operator)
    return found


def _check_fed(folder: Folder, part: str) -> None:
    """The pixels must be those that the worker feeds to every such network.

    DetResizeForTest does not bind: detectors take pages of any size, and the worker has a
    few of its own.
    """
    where, operators = f"{part}/{CONFIG}", _operators(folder, part)
    decode = convert(operators.get("DecodeImage") or {}, _Decode, f"{where}, DecodeImage")
    if decode.img_mode != "BGR":
        raise ModelFolderError(f"{where}: img_mode {decode.img_mode} is not served, only BGR")
    where = f"{where}, NormalizeImage"
    norm = convert(operators.get("NormalizeImage") or {}, _Normalize, where)
    said = (*norm.mean, *norm.std, scale_of(norm.scale, where))
    fed = (*IMAGENET_MEAN, *IMAGENET_STD, 1 / 255)
    if not all(math.isclose(one, other, rel_tol=1e-3) for one, other in zip(said, fed)):
        raise ModelFolderError(f"{where}: only ImageNet's mean and std and 1/255 are served")


def _check_angle(folder: Folder, part: str) -> None:
    """Classifiers of other suites turn lines, too, but are fed otherwise."""
    where = f"{part}/{CONFIG}"
    if not folder.exists(where):
        return
    after = convert(_section(folder, part, "PostProcess"), Dict[str, Any], f"{where}, PostProcess")
    name = after.get("name", ", ".join(after) or "nothing")
    if name != "ClsPostProcess":
        raise ModelFolderError(
            f"{where}, PostProcess: {name} is not supported, only ClsPostProcess"
        )
    resize = _operators(folder, part).get("ClsResizeImg") or {}
    shape = convert(resize, _ClsResize, f"{where}, ClsResizeImg").image_shape
    if shape != _CLS_SHAPE:
        raise ModelFolderError(
            f"{where}, ClsResizeImg: {list(shape)} is not served, only {list(_CLS_SHAPE)}"
        )


def _box_rules(folder: Folder, part: str) -> BoxRules:
    where = f"{part}/{CONFIG}, PostProcess"
    boxes = convert(_section(folder, part, "PostProcess"), _Boxes, where)
    if boxes.name != "DBPostProcess":
        raise ModelFolderError(f"{where}: {boxes.name} is not supported, only DBPostProcess")
    return BoxRules(
        threshold=boxes.thresh,
        box_threshold=boxes.box_thresh,
        unclip=boxes.unclip_ratio,
        max_candidates=boxes.max_candidates,
    )
