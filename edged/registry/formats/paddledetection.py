"""Folders as PaddleDetection exports them: `infer_cfg.yml`, or a newer `inference.yml`."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Literal, Mapping, Optional, Tuple, Union

import msgspec
from typing_extensions import Annotated

from edged.errors import ModelFolderError
from edged.registry.document import Share, convert
from edged.registry.folder import Folder
from edged.registry.formats.networks import STEMS, find_network
from edged.registry.formats.steps import Size, StepList, all_channels, both_sides
from edged.registry.spec import (
    AnyStep,
    Boxes,
    Channels,
    Description,
    Interp,
    Pad,
    Resize,
    ResizeFit,
    ResizeInside,
)

EXPORTER = "PaddleDetection"

_CONFIG, _NEW_CONFIG = "infer_cfg.yml", "inference.yml"
_INTERPS: Tuple[Interp, ...] = ("nearest", "linear", "cubic", "area", "lanczos")  # cv2's codes
_PILLOW_INTERPS: Tuple[Interp, ...] = (  # Pillow's, which are others
    "pillow_nearest",
    "pillow_lanczos",
    "pillow_bilinear",
    "pillow_bicubic",
    "pillow_box",
    "pillow_hamming",
)

_KEYPOINTS = ("HRNet", "HigherHRNet", "TinyPose3DHRNet", "METRO_Body", "PETR")
# Of the exports of PaddleDetection 0.x, by `arch`:
_SHORT_AND_LONG = ("RCNN", "RetinaNet")  # resized in proportion
_NORMED = ("SSD", "Face")  # boxes in parts of the picture
_BACKGROUND = "background"


_Stride = Annotated[int, msgspec.Meta(ge=1, le=1024)]


class _NMS(msgspec.Struct):
    nms_threshold: Share = Boxes().nms_threshold


class _Config(msgspec.Struct):
    Preprocess: List[Dict[str, Any]]
    draw_threshold: Share = 0.5
    label_list: Optional[List[Union[str, int]]] = None
    arch: str = ""
    with_background: bool = False
    NMS: Optional[_NMS] = None
    fpn_stride: Optional[List[_Stride]] = None


class _Resize(msgspec.Struct):
    """Defaults, here and below, are PaddleDetection's own."""

    target_size: Size
    keep_ratio: bool = True
    interp: int = 1


class _OldResize(msgspec.Struct):
    target_size: int
    max_size: int = 0
    image_shape: Optional[List[int]] = None
    interp: int = 1
    use_cv2: bool = True


class _NormalizeImage(msgspec.Struct):
    mean: Channels
    std: Channels
    is_scale: bool = True
    norm_type: Optional[Literal["mean_std", "none"]] = "mean_std"


class _Permute(msgspec.Struct):
    to_bgr: bool = False


class _PadStride(msgspec.Struct):
    stride: int = 0


class _Pad(msgspec.Struct):
    size: Size
    fill_value: Union[float, Channels] = 114.0


class _LetterBox(msgspec.Struct):
    target_size: Size


def recognise(folder: Folder) -> bool:
    if folder.exists(_CONFIG):
        return True
    # PaddleClas and PaddleOCR write an inference.yml too, with `PreProcess`.
    return folder.exists(_NEW_CONFIG) and "Preprocess" in folder.yaml_dump(_NEW_CONFIG)


def read(folder: Folder) -> Description:
    name = _CONFIG if folder.exists(_CONFIG) else _NEW_CONFIG
    config = convert(folder.yaml_dump(name), _Config, name)
    if config.arch in _KEYPOINTS:
        raise ModelFolderError(f"{config.arch} answers key points, which are not served")
    return Description(
        task="detection",
        files=find_network(folder, STEMS if name == _CONFIG else STEMS[::-1]),
        preprocess=read_steps(config.Preprocess, name, config.arch),
        labels=_labels(config),
        threshold=config.draw_threshold,
        boxes=_boxes(config),
    )


def _labels(config: _Config) -> Tuple[str, ...]:
    labels = [str(label) for label in config.label_list or ()]
    if config.with_background and labels:
        # Exporters wrote it first, last or not at all.
        labels = [_BACKGROUND, *(label for label in labels if label != _BACKGROUND)]
    return tuple(labels)


def _boxes(config: _Config) -> Boxes:
    return Boxes(
        nms_threshold=Boxes().nms_threshold if config.NMS is None else config.NMS.nms_threshold,
        strides=Boxes().strides if config.fpn_stride is None else tuple(config.fpn_stride),
        normed=config.arch in _NORMED and _is_old(config.Preprocess),
        background=config.with_background,
    )


def _is_old(operators: List[Dict[str, Any]]) -> bool:
    """Of PaddleDetection 0.x: 2.x calls it NormalizeImage."""
    return any(operator.get("type") == "Normalize" for operator in operators)


def read_steps(operators: List[Dict[str, Any]], name: str, arch: str) -> Tuple[AnyStep, ...]:
    steps = StepList()
    for operator in operators:
        kind = operator.get("type")
        if not isinstance(kind, str):
            raise ModelFolderError(f"{name}: a preprocess step has no type")
        where = f"{name}, preprocess step {kind}"
        if kind not in _READERS:
            raise ModelFolderError(f"preprocess step {kind} is not supported")
        if kind == "Resize" and not {"max_size", "use_cv2"}.isdisjoint(operator):
            _old_resize(steps, operator, where, arch)
        else:
            _READERS[kind](steps, operator, where)
    return steps.done()


def _resize(steps: StepList, operator: Mapping[str, Any], where: str) -> None:
    resize = convert(operator, _Resize, where)
    height, width = both_sides(resize.target_size)
    interp = _interp(resize.interp, where)
    if resize.keep_ratio:
        steps.resize(ResizeFit(min(height, width), max(height, width), interp))
    else:
        steps.resize(Resize(width, height, interp))


def _old_resize(steps: StepList, operator: Mapping[str, Any], where: str, arch: str) -> None:
    resize = convert(operator, _OldResize, where)
    target = resize.target_size
    if resize.use_cv2:
        interp = _interp(resize.interp, where)
    elif resize.max_size:
        raise ModelFolderError(f"{where}: max_size is for use_cv2 only")
    else:
        interp = _interp(resize.interp, where, _PILLOW_INTERPS)
    if resize.max_size and arch in _SHORT_AND_LONG:
        steps.resize(ResizeFit(target, resize.max_size, interp))
    else:
        steps.resize(Resize(target, target, interp))
    if resize.max_size and resize.image_shape is not None:
        steps.pad(Pad(resize.max_size, resize.max_size))


def _letter_box(steps: StepList, operator: Mapping[str, Any], where: str) -> None:
    """Its 127.5 is 128 on 8 bits, where cv2 rounds it to the even number."""
    height, width = both_sides(convert(operator, _LetterBox, where).target_size)
    steps.resize(ResizeInside(width, height, "area"))
    steps.pad(Pad(width, height, (128.0, 128.0, 128.0), "center"))


def _normalize(steps: StepList, operator: Mapping[str, Any], where: str) -> None:
    image = convert(operator, _NormalizeImage, where)
    scale = 1 / 255 if image.is_scale else 1.0
    if image.norm_type != "mean_std":
        steps.normalize(scale)
    else:
        steps.normalize(scale, image.mean, image.std)


def _permute(steps: StepList, operator: Mapping[str, Any], where: str) -> None:
    """The worker feeds CHW anyway."""
    if convert(operator, _Permute, where).to_bgr:
        steps.swap_channels()


def _pad(steps: StepList, operator: Mapping[str, Any], where: str) -> None:
    pad = convert(operator, _Pad, where)
    height, width = both_sides(pad.size)
    steps.pad(Pad(width, height, all_channels(pad.fill_value)))


def _pad_stride(steps: StepList, operator: Mapping[str, Any], where: str) -> None:
    steps.pad_to_multiple(convert(operator, _PadStride, where).stride)


def _interp(code: int, where: str, interps: Tuple[Interp, ...] = _INTERPS) -> Interp:
    if not 0 <= code < len(interps):
        raise ModelFolderError(f"{where}: interp {code} is not known")
    return interps[code]


_READERS: Dict[str, Callable[[StepList, Mapping[str, Any], str], None]] = {
    "Resize": _resize,
    "LetterBoxResize": _letter_box,
    "NormalizeImage": _normalize,
    "Normalize": _normalize,
    "Permute": _permute,
    "Pad": _pad,
    "PadStride": _pad_stride,
}
