"""Folders as the EdgeBoard platform's zips hold them: `config/config.json` and `model/`."""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Mapping, Tuple

import msgspec

from edged.errors import ModelFolderError
from edged.registry.document import Share, convert
from edged.registry.folder import Folder
from edged.registry.formats.labels import labels_beside
from edged.registry.formats.networks import combined
from edged.registry.formats.steps import StepList
from edged.registry.spec import AnyStep, Channels, Color, Description, Interp, Resize

EXPORTER = "EdgeBoard"

_CONFIG = "config/config.json"
_NETWORK = "model/model", "model/params"
_LABELS = "model/label_list.txt"
_INTERPS: Dict[str, Interp] = {
    "nearest": "nearest",
    "bilinear": "linear",
    "linear": "linear",
    "bicubic": "cubic",
    "cubic": "cubic",
    "area": "area",
    "lanczos": "lanczos",
}


class _Config(msgspec.Struct):
    networkType: Literal["detection", "classification"]
    transforms: List[Dict[str, Any]]
    threshold: Share = 0.5


class _Resize(msgspec.Struct):
    width: int
    height: int
    interpolation: str = "bilinear"


class _Normalize(msgspec.Struct):
    mean: Channels
    scale: Channels


class _ConvertFormat(msgspec.Struct):
    format: Color


def recognise(folder: Folder) -> bool:
    return folder.exists(_CONFIG)


def read(folder: Folder) -> Description:
    config = convert(folder.json(_CONFIG), _Config, _CONFIG)
    return Description(
        task=config.networkType,
        files=combined(folder, *_NETWORK),
        preprocess=_steps(config.transforms),
        labels=labels_beside(folder, _LABELS),
        threshold=config.threshold,
    )


def _steps(transforms: List[Dict[str, Any]]) -> Tuple[AnyStep, ...]:
    """ConvertFormat says in which order the channels are, wherever in the list it stands."""
    steps = StepList(_color(transforms))
    for transform in transforms:
        action = transform.get("action")
        where = f"{_CONFIG}, {action}"
        if action == "Resize":
            steps.resize(_resize(transform, where))
        elif action == "Normalize":
            norm = convert(transform, _Normalize, where)
            steps.normalize(1.0, norm.mean, one_over(norm.scale, where))
        elif action != "ConvertFormat":
            raise ModelFolderError(f"transform {action} is not supported")
    return steps.done()


def _color(transforms: List[Dict[str, Any]]) -> Color:
    for transform in transforms:
        if transform.get("action") == "ConvertFormat":
            return convert(transform, _ConvertFormat, f"{_CONFIG}, ConvertFormat").format
    return "RGB"


def _resize(transform: Mapping[str, Any], where: str) -> Resize:
    resize = convert(transform, _Resize, where)
    if resize.interpolation not in _INTERPS:
        raise ModelFolderError(f"{where}: interpolation {resize.interpolation} is not known")
    return Resize(resize.width, resize.height, _INTERPS[resize.interpolation])


def one_over(scale: Channels, where: str) -> Channels:
    """(x - mean) * scale as a ModelSpec has it, (x - mean) / std."""
    if 0 in scale:
        raise ModelFolderError(f"{where}: scale must not be 0")
    return 1 / scale[0], 1 / scale[1], 1 / scale[2]
