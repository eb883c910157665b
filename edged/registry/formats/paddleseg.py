"""Folders as PaddleSeg exports them: `deploy.yaml`, or `Deploy` in a newer `inference.yml`."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Literal, Mapping, Optional, Tuple, Union

import msgspec

from edged.errors import ModelFolderError
from edged.registry.document import convert
from edged.registry.folder import Folder
from edged.registry.formats.labels import labels_beside
from edged.registry.formats.networks import combined, find_network
from edged.registry.formats.steps import StepList, all_channels, interp_named
from edged.registry.spec import AnyStep, Channels, Description, ModelFiles, Pad, Resize

EXPORTER = "PaddleSeg"

_CONFIG, _NEW_CONFIG = "deploy.yaml", "inference.yml"
_LABELS = "label_list.txt"
_HALF: Channels = (0.5, 0.5, 0.5)
_MIDDLE: Channels = (127.5, 127.5, 127.5)


class _Deploy(msgspec.Struct):
    transforms: List[Dict[str, Any]]
    model: Optional[str] = None
    params: Optional[str] = None
    input_shape: Optional[List[int]] = None
    output_op: Literal["argmax", "softmax", "none"] = "argmax"


class _Config(msgspec.Struct):
    Deploy: _Deploy


class _Resize(msgspec.Struct):
    """Defaults, here and below, are PaddleSeg's own."""

    target_size: Tuple[int, int] = (512, 512)
    interp: str = "LINEAR"
    keep_ratio: bool = False
    size_divisor: Optional[int] = None


class _Normalize(msgspec.Struct):
    mean: Channels = _HALF
    std: Channels = _HALF


class _Padding(msgspec.Struct):
    target_size: Tuple[int, int]
    im_padding_value: Union[float, Channels] = _MIDDLE


def recognise(folder: Folder) -> bool:
    if folder.exists(_CONFIG):
        return True
    return folder.exists(_NEW_CONFIG) and "Deploy" in folder.yaml_dump(_NEW_CONFIG)


def read(folder: Folder) -> Description:
    name = _CONFIG if folder.exists(_CONFIG) else _NEW_CONFIG
    deploy = convert(folder.yaml_dump(name), _Config, name).Deploy
    return Description(
        task="segmentation",
        files=_files(folder, deploy),
        preprocess=_steps(deploy, name),
        labels=labels_beside(folder, _LABELS),
    )


def _files(folder: Folder, deploy: _Deploy) -> ModelFiles:
    if deploy.model is not None and deploy.params is not None and folder.exists(deploy.model):
        return combined(folder, deploy.model, deploy.params)
    return find_network(folder)


def _steps(deploy: _Deploy, name: str) -> Tuple[AnyStep, ...]:
    """PaddleSeg reads pictures as floats, so nothing is rounded on the way."""
    steps = StepList(floats=True)
    for operator in deploy.transforms:
        kind = operator.get("type")
        if not isinstance(kind, str):
            raise ModelFolderError(f"{name}: a transform has no type")
        if kind not in _READERS:
            raise ModelFolderError(f"transform {kind} is not supported")
        _READERS[kind](steps, operator, f"{name}, {kind}")
    if not steps.fixed:
        steps.resize(Resize(*_input_size(deploy, name)))
    return steps.done()


def _input_size(deploy: _Deploy, name: str) -> Tuple[int, int]:
    """(width, height) a network without a Resize was exported with."""
    shape = deploy.input_shape or []
    if len(shape) != 4 or min(shape[2:]) < 1:
        raise ModelFolderError(
            f"{name}: neither transforms nor input_shape fix a size: export with --input_shape"
        )
    return shape[3], shape[2]


def _resize(steps: StepList, operator: Mapping[str, Any], where: str) -> None:
    """`target_size` is [w, h], the reverse of PaddleDetection's."""
    resize = convert(operator, _Resize, where)
    if resize.keep_ratio or resize.size_divisor:
        raise ModelFolderError(f"{where}: keep_ratio and size_divisor are not supported")
    width, height = resize.target_size
    steps.resize(Resize(width, height, interp_named(resize.interp, where)))


def _normalize(steps: StepList, operator: Mapping[str, Any], where: str) -> None:
    norm = convert(operator, _Normalize, where)
    steps.normalize(1 / 255, norm.mean, norm.std)


def _padding(steps: StepList, operator: Mapping[str, Any], where: str) -> None:
    pad = convert(operator, _Padding, where)
    width, height = pad.target_size
    steps.pad(Pad(width, height, all_channels(pad.im_padding_value)))


_READERS: Dict[str, Callable[[StepList, Mapping[str, Any], str], None]] = {
    "Resize": _resize,
    "Normalize": _normalize,
    "Padding": _padding,
}
