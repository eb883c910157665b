"""`RES` folders of EasyDL, BML and EasyEdge: `infer_cfg.json`, or the older two files."""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional, Tuple, Union

import msgspec

from edged.errors import ModelFolderError
from edged.registry.document import Share, convert
from edged.registry.folder import Folder
from edged.registry.formats.edgeboard import one_over
from edged.registry.formats.labels import labels_beside
from edged.registry.formats.networks import combined
from edged.registry.formats.steps import StepList, all_channels
from edged.registry.spec import (
    AnyStep,
    Boxes,
    Channels,
    Color,
    Description,
    ModelFiles,
    Resize,
    ResizeFit,
    ResizeShort,
    Task,
)

EXPORTER = "EasyEdge"

_CONFIG = "infer_cfg.json"
_OLD_CONFIG, _OLD_PREPROCESS = "conf.json", "preprocess_args.json"
_LABELS = "label_list.txt"
_ENCRYPTED = ".enc"

_TASKS: Dict[int, Task] = {1: "classification", 2: "detection", 14: "segmentation"}
_INSTANCES, _OCR = 6, 100


class _ModelInfo(msgspec.Struct):
    model_kind: int
    best_threshold: Share = 0.5


class _PostProcess(msgspec.Struct):
    box_normed: bool = True


class _PreProcess(msgspec.Struct):
    """(x - mean) * scale on 0..255; sizes are [w, h]."""

    mean: Optional[Channels] = None
    img_mean: Optional[Channels] = None
    scale: Union[float, Channels] = 1.0
    skip_norm: bool = False
    color_format: Color = "RGB"
    channel_order: Literal["CHW", "HWC"] = "CHW"
    resize: Optional[Tuple[int, int]] = None
    rescale_mode: str = "keep_size"
    target_size: Optional[int] = None
    max_size: int = 0
    center_crop_size: Optional[Tuple[int, int]] = None
    padding_mode: Union[str, int, None] = None
    letterbox: bool = False


class _Fluid(msgspec.Struct):
    optType: str = ""


class _Extra(msgspec.Struct):
    fluid: Optional[_Fluid] = None


class _Config(msgspec.Struct):
    model_info: _ModelInfo
    pre_process: _PreProcess
    post_process: Optional[_PostProcess] = None
    extra: Optional[_Extra] = None


class _OldConfig(msgspec.Struct):
    """Some write `model_kind`, some `modelKind`."""

    model_kind: Optional[int] = None
    modelKind: Optional[int] = None
    best_threshold: Share = 0.5


def recognise(folder: Folder) -> bool:
    if folder.exists(_CONFIG) or _encrypted(folder):
        return True
    return folder.exists(_OLD_CONFIG) and folder.exists(_OLD_PREPROCESS)


def read(folder: Folder) -> Description:
    encrypted = _encrypted(folder)
    if encrypted:
        raise ModelFolderError(f"{encrypted[0]} is encrypted: export the model without encryption")
    config = _config(folder)
    kind = config.model_info.model_kind
    if kind not in _TASKS:
        raise ModelFolderError(_not_served(kind, _is_nb(config)))
    return Description(
        task=_TASKS[kind],
        files=_files(folder, config),
        preprocess=_steps(config.pre_process),
        labels=labels_beside(folder, _LABELS),
        threshold=config.model_info.best_threshold,
        boxes=Boxes(normed=(config.post_process or _PostProcess()).box_normed),
    )


def _not_served(kind: int, is_nb: bool) -> str:
    if kind == _INSTANCES:
        return "an instance segmentation of EasyEdge (kind 6) is not served"
    if kind == _OCR:
        network = "the .nb for ARM boards" if is_nb else "the network"
        return (
            f"an OCR RES of EasyEdge (kind 100) is not served: {network} in it only finds lines,"
            " and the one that reads them is missing: export both with PaddleOCR"
        )
    return f"a model of EasyEdge's kind {kind} is not served"


def _encrypted(folder: Folder) -> List[str]:
    return [name for name in folder.names() if name.endswith(_ENCRYPTED)]


def _config(folder: Folder) -> _Config:
    if folder.exists(_CONFIG):
        return convert(folder.json(_CONFIG), _Config, _CONFIG)
    old = convert(folder.json(_OLD_CONFIG), _OldConfig, _OLD_CONFIG)
    kind = old.modelKind if old.model_kind is None else old.model_kind
    if kind is None:
        raise ModelFolderError(f"{_OLD_CONFIG} does not say what kind of model it is: model_kind")
    preprocess = convert(folder.json(_OLD_PREPROCESS), _PreProcess, _OLD_PREPROCESS)
    return _Config(_ModelInfo(kind, old.best_threshold), preprocess)


def _files(folder: Folder, config: _Config) -> ModelFiles:
    if _is_nb(config):
        return ModelFiles("nb", folder.file("model"))
    return combined(folder, "model", "params")


def _is_nb(config: _Config) -> bool:
    fluid = config.extra.fluid if config.extra else None
    return fluid is not None and fluid.optType == "nb"


def _steps(given: _PreProcess) -> Tuple[AnyStep, ...]:
    if given.channel_order != "CHW":
        raise ModelFolderError(f"channel_order {given.channel_order} is not served, only CHW")
    steps = StepList(given.color_format)
    _rescale(steps, given)
    if given.center_crop_size is not None:
        steps.crop(*given.center_crop_size)
    if not given.skip_norm:
        factors = all_channels(given.scale)
        mean: Any = given.mean or given.img_mean or (0.0, 0.0, 0.0)
        steps.normalize(1.0, mean, one_over(factors, "pre_process"))
    return steps.done()


def _rescale(steps: StepList, given: _PreProcess) -> None:
    """What is not documented well enough to be exact is refused."""
    if given.letterbox:
        raise ModelFolderError("letterbox is not served: how EasyEdge pads it is not documented")
    if given.padding_mode:
        raise ModelFolderError(
            f"padding_mode {given.padding_mode} is not served: how EasyEdge pads is not documented"
        )
    if given.rescale_mode == "keep_size":
        if given.resize is not None:
            steps.resize(Resize(*given.resize))
    elif given.rescale_mode == "keep_ratio":
        short = given.target_size or min(given.resize or (0, 0))
        if given.max_size > 0:
            steps.resize(ResizeFit(short, given.max_size))
        else:
            steps.resize(ResizeShort(short))
    else:
        raise ModelFolderError(f"rescale_mode {given.rescale_mode} is not served: no fixed size")
