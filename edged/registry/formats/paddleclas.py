"""Folders as PaddleClas exports them: `inference.yml`, or the bare network of older ones."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Literal, Mapping, Optional, Tuple, Union

import msgspec

from edged.errors import ModelFolderError
from edged.registry.document import Share, convert
from edged.registry.folder import Folder
from edged.registry.formats.labels import labels_beside
from edged.registry.formats.networks import find_network
from edged.registry.formats.steps import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Size,
    StepList,
    both_sides,
    one_operator,
    scale_of,
)
from edged.registry.spec import AnyStep, Channels, Classes, Description, Interp, Resize, ResizeShort

EXPORTER = "PaddleClas"

_CONFIG = "inference.yml"
_NETWORKS = ("inference", "model")
_LABEL_FILES = ("label_list.txt", "labels.txt", "label.txt")

_INTERPS: Dict[str, Interp] = {
    "nearest": "nearest",
    "bilinear": "linear",
    "bicubic": "cubic",
    "area": "area",
    "lanczos": "lanczos",
}
_PILLOW_INTERPS: Dict[str, Interp] = {
    "nearest": "pillow_nearest",
    "bilinear": "pillow_bilinear",
    "bicubic": "pillow_bicubic",
    "box": "pillow_box",
    "hamming": "pillow_hamming",
    "lanczos": "pillow_lanczos",
}
_BACKENDS = {"cv2": _INTERPS, "pil": _PILLOW_INTERPS}
# What a bare network gets, as every network trained on ImageNet.
_SHORT, _CROP = 256, 224

Kind = Literal["best", "each", "either"]
Thresholds = Tuple[float, Tuple[float, ...]]


class _Resize(msgspec.Struct):
    """Defaults, here and below, are PaddleClas's own."""

    size: Optional[Size] = None
    resize_short: Optional[int] = None
    interpolation: Optional[str] = None
    backend: str = "cv2"


class _Crop(msgspec.Struct):
    size: Size


class _Normalize(msgspec.Struct):
    scale: Union[float, str, None] = None
    mean: Optional[Channels] = None
    std: Optional[Channels] = None
    channel_num: int = 3


class _Transforms(msgspec.Struct):
    transform_ops: List[Dict[str, Any]]


class _Config(msgspec.Struct):
    PreProcess: _Transforms
    PostProcess: Optional[Dict[str, Any]] = None


_Labels = Union[List[Union[str, int]], Dict[str, Union[str, int]], str, None]


class _Answer(msgspec.Struct):
    """What is under `Topk`, `MultiLabelThreshOutput` or `ThreshOutput`."""

    threshold: Union[Share, List[Share], Dict[str, Share]] = 0.5
    label_list: _Labels = None
    class_id_map_file: Optional[str] = None
    label_0: str = "0"
    label_1: str = "1"


def recognise(folder: Folder) -> bool:
    if folder.exists(_CONFIG):
        preprocess = folder.yaml_dump(_CONFIG).get("PreProcess")
        return isinstance(preprocess, dict) and _is_classifier(preprocess)
    return all(folder.exists(f"inference.{suffix}") for suffix in ("pdmodel", "pdiparams"))


def _is_classifier(preprocess: Dict[str, Any]) -> bool:
    """PaddleOCR writes `transform_ops` too, of other operators."""
    operators = preprocess.get("transform_ops")
    if not isinstance(operators, list):
        return False
    known = (isinstance(one, dict) and not _READERS.keys().isdisjoint(one) for one in operators)
    return any(known)


def read(folder: Folder) -> Description:
    if not folder.exists(_CONFIG):
        return _bare(folder)
    config = convert(folder.yaml_dump(_CONFIG), _Config, _CONFIG)
    kind, answer = _answer(config.PostProcess or {})
    if kind == "either":
        labels: Tuple[str, ...] = (answer.label_0, answer.label_1)
    else:
        labels = _labels(folder, answer)
    threshold, thresholds = _thresholds(answer.threshold)
    return Description(
        task="classification",
        files=find_network(folder, _NETWORKS),
        preprocess=_steps(config.PreProcess.transform_ops),
        labels=labels,
        threshold=threshold,
        classes=Classes(kind, thresholds),
    )


def _bare(folder: Folder) -> Description:
    """What PaddleClas does by default, of which nothing in the folder says otherwise."""
    steps = StepList()
    steps.resize(ResizeShort(_SHORT))
    steps.crop(_CROP, _CROP)
    steps.normalize(1 / 255, IMAGENET_MEAN, IMAGENET_STD)
    return Description(
        task="classification",
        files=find_network(folder, _NETWORKS),
        preprocess=steps.done(),
        labels=labels_beside(folder, *_LABEL_FILES),
    )


def _steps(operators: List[Dict[str, Any]]) -> Tuple[AnyStep, ...]:
    steps = StepList()
    for operator in operators:
        kind, options = one_operator(operator, f"{_CONFIG}, transform_ops")
        if kind not in _READERS:
            raise ModelFolderError(f"preprocess step {kind} is not supported")
        _READERS[kind](steps, options, f"{_CONFIG}, {kind}")
    return steps.done()


def _resize(steps: StepList, options: Mapping[str, Any], where: str) -> None:
    resize = convert(options, _Resize, where)
    interps = _BACKENDS.get(resize.backend.lower())
    if interps is None:
        raise ModelFolderError(f"{where}: the backend {resize.backend} is not known")
    name = "bilinear" if resize.interpolation is None else resize.interpolation.lower()
    if name not in interps:
        raise ModelFolderError(f"{where}: {resize.backend} has no interpolation {name}")
    if resize.resize_short:
        steps.resize(ResizeShort(resize.resize_short, interps[name]))
    elif resize.size is not None:
        steps.resize(Resize(*both_sides(resize.size), interps[name]))
    else:
        raise ModelFolderError(f"{where}: neither size nor resize_short")


def _crop(steps: StepList, options: Mapping[str, Any], where: str) -> None:
    steps.crop(*both_sides(convert(options, _Crop, where).size))


def _normalize(steps: StepList, options: Mapping[str, Any], where: str) -> None:
    norm = convert(options, _Normalize, where)
    if norm.channel_num != 3:
        raise ModelFolderError(f"{where}: channel_num {norm.channel_num} is not served, only 3")
    steps.normalize(
        scale_of(norm.scale, where), norm.mean or IMAGENET_MEAN, norm.std or IMAGENET_STD
    )


def _nothing(steps: StepList, options: Mapping[str, Any], where: str) -> None:
    """The worker feeds CHW anyway."""


# What may stand under PostProcess and is no way to answer.
_NO_ANSWERS = ("main_indicator", "SavePreLabel")


def _answer(postprocess: Dict[str, Any]) -> Tuple[Kind, _Answer]:
    name = postprocess.get("name")
    if isinstance(name, str):  # its options stand beside it
        postprocess = {name: {key: value for key, value in postprocess.items() if key != "name"}}
    for name, kind in _ANSWERS.items():
        if name in postprocess:
            options = postprocess[name] or {}
            return kind, convert(options, _Answer, f"{_CONFIG}, PostProcess, {name}")
    others = [name for name in postprocess if name not in _NO_ANSWERS]
    if others:
        raise ModelFolderError(f"{_CONFIG}: PostProcess {others[0]} is not served")
    return "best", _Answer()


def _thresholds(given: Union[float, List[float], Dict[str, float]]) -> Thresholds:
    """(for all classes, by class)"""
    default = 0.5
    by_class: Tuple[float, ...] = ()
    if isinstance(given, float):
        default = given
    elif isinstance(given, list):
        by_class = tuple(given)
    else:
        default = given.get("default", default)
        named = {
            _class_number(key, "threshold"): value
            for key, value in given.items()
            if key != "default"
        }
        last = max(named, default=-1)
        by_class = tuple(named.get(number, default) for number in range(last + 1))
    return default, by_class


def _class_number(key: str, what: str) -> int:
    if not key.isdecimal() or len(key) > 4:
        raise ModelFolderError(f"{_CONFIG}: {what} for {key!r}, which is no number of a class")
    return int(key)


def _labels(folder: Folder, answer: _Answer) -> Tuple[str, ...]:
    if isinstance(answer.label_list, list):
        return tuple(map(str, answer.label_list))
    if isinstance(answer.label_list, dict):
        by_number = {
            _class_number(key, "a label"): label for key, label in answer.label_list.items()
        }
        if sorted(by_number) != list(range(len(by_number))):
            raise ModelFolderError(f"{_CONFIG}: label_list lacks a class")
        return tuple(str(by_number[number]) for number in range(len(by_number)))
    # The path was one of the machine that trained it; the file may have come along.
    path = answer.label_list or answer.class_id_map_file
    name = os.path.basename(path) if path else ""
    return labels_beside(folder, *([name] if name else []), *_LABEL_FILES)


_READERS: Dict[str, Callable[[StepList, Mapping[str, Any], str], None]] = {
    "ResizeImage": _resize,
    "CropImage": _crop,
    "NormalizeImage": _normalize,
    "ToCHWImage": _nothing,
}
_ANSWERS: Dict[str, Kind] = {
    "Topk": "best",
    "MultiLabelThreshOutput": "each",
    "ThreshOutput": "either",
}
