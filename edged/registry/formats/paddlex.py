"""Folders as PaddleX 1 and 2 export them, by their `model.yml`.

PaddleX 3 writes what the suites write that it is made of: their modules read that.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

import msgspec

from edged.errors import ModelFolderError
from edged.registry.document import convert
from edged.registry.folder import Folder
from edged.registry.formats.networks import find_network
from edged.registry.formats.steps import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Size,
    StepList,
    all_channels,
    both_sides,
    interp_named,
    one_operator,
)
from edged.registry.spec import (
    Align,
    AnyStep,
    Channels,
    Color,
    Description,
    Pad,
    Resize,
    ResizeFit,
    ResizeInside,
    ResizeShort,
    Task,
)

EXPORTER = "PaddleX"

_CONFIG = "model.yml"
_TASKS: Dict[str, Task] = {
    "classifier": "classification",
    "detector": "detection",
    "segmenter": "segmentation",
}
_ALIGNS: Dict[int, Align] = {0: "start", 1: "center", 2: "end"}
_MIDDLE = 127.5
_EIGHT_BITS: Tuple[Channels, Channels] = ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))


class _Attributes(msgspec.Struct):
    model_type: str
    labels: Optional[List[Union[str, int]]] = None
    fixed_input_shape: Optional[List[Optional[int]]] = None


class _Config(msgspec.Struct):
    Transforms: List[Dict[str, Any]]
    attributes: _Attributes = msgspec.field(name="_Attributes")
    TransformsMode: Color = "RGB"


class _Resize(msgspec.Struct):
    """Defaults, here and below, are those of PaddleX 2."""

    target_size: Size = 608
    interp: str = "LINEAR"
    keep_ratio: bool = False


class _ResizeByShort(msgspec.Struct):
    short_size: int = 256
    max_size: int = -1
    interp: str = "LINEAR"


class _ResizeByLong(msgspec.Struct):
    long_size: int = 256
    interp: str = "LINEAR"


class _CenterCrop(msgspec.Struct):
    crop_size: int = 224


class _Normalize(msgspec.Struct):
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    min_val: Channels = _EIGHT_BITS[0]
    max_val: Channels = _EIGHT_BITS[1]
    is_scale: bool = True


class _Padding(msgspec.Struct):
    target_size: Optional[Size] = None
    pad_mode: int = 0
    im_padding_value: Union[float, Channels, None] = None
    size_divisor: Optional[int] = None
    coarsest_stride: Optional[int] = None  # its name in PaddleX 1


class _Reading(NamedTuple):
    """What the operators are read into; `first`: they are PaddleX 1's."""

    steps: StepList
    first: bool
    kind: str

    @property
    def fill(self) -> float:
        """Of a Padding that does not say it."""
        return 0.0 if self.first and self.kind == "detector" else _MIDDLE

    def sides(self, size: Size) -> Tuple[int, int]:
        """(width, height): PaddleX 1 has them in that order, 2 in the other."""
        one, other = both_sides(size)
        return (one, other) if self.first else (other, one)


def recognise(folder: Folder) -> bool:
    return folder.exists(_CONFIG) and "_Attributes" in folder.yaml_dump(_CONFIG)


def read(folder: Folder) -> Description:
    config = convert(folder.yaml_dump(_CONFIG), _Config, _CONFIG)
    kind = config.attributes.model_type
    if kind not in _TASKS:
        raise ModelFolderError(f"{_CONFIG}: a model_type of {kind} is not served")
    return Description(
        task=_TASKS[kind],
        files=find_network(folder),
        preprocess=_steps(config, first=folder.exists("__model__")),
        labels=tuple(map(str, config.attributes.labels or ())),
    )


def _steps(config: _Config, first: bool) -> Tuple[AnyStep, ...]:
    """PaddleX 1 reads pictures as floats, and resizes them as such."""
    steps = StepList(config.TransformsMode, floats=first)
    reading = _Reading(steps, first, config.attributes.model_type)
    for operator in config.Transforms:
        kind, options = one_operator(operator, f"{_CONFIG}, Transforms")
        if kind.startswith("Arrange"):  # of PaddleX 1: the order of what is fed
            continue
        if kind not in _READERS:
            raise ModelFolderError(f"transform {kind} is not supported")
        _READERS[kind](reading, options, f"{_CONFIG}, {kind}")
    if not steps.fixed:
        steps.resize(_to_fixed(config.attributes.fixed_input_shape))
    return steps.done()


def _to_fixed(shape: Optional[List[Optional[int]]]) -> Resize:
    """To [w, h] or [n, c, h, w]; what may be of any length is None or below 1 there."""
    sides = [side or 0 for side in shape or (0, 0)]
    if len(sides) == 4:
        width, height = sides[3], sides[2]
    elif len(sides) == 2:
        width, height = sides
    else:
        raise ModelFolderError(f"{_CONFIG}: fixed_input_shape must be [w, h] or [n, c, h, w]")
    if width < 1 or height < 1:
        raise ModelFolderError(
            "the size after preprocessing is not fixed: export with --fixed_input_shape"
        )
    return Resize(width, height)


def _resize(reading: _Reading, options: Mapping[str, Any], where: str) -> None:
    resize = convert(options, _Resize, where)
    width, height = reading.sides(resize.target_size)
    interp = interp_named(resize.interp, where)
    if resize.keep_ratio:
        reading.steps.resize(ResizeInside(width, height, interp, by="size"))
    else:
        reading.steps.resize(Resize(width, height, interp))


def _resize_by_short(reading: _Reading, options: Mapping[str, Any], where: str) -> None:
    """A segmenter of PaddleX 1 has an interpolation of its own (seg_transforms.py, 1.0 to 1.3)."""
    resize = convert(options, _ResizeByShort, where)
    interp = interp_named(resize.interp, where)
    if reading.first and reading.kind == "segmenter":
        interp = "nearest"
    if resize.max_size > 0:
        reading.steps.resize(ResizeFit(resize.short_size, resize.max_size, interp, by="size"))
    else:
        reading.steps.resize(ResizeShort(resize.short_size, interp))


def _resize_by_long(reading: _Reading, options: Mapping[str, Any], where: str) -> None:
    resize = convert(options, _ResizeByLong, where)
    long = resize.long_size
    reading.steps.resize(ResizeInside(long, long, interp_named(resize.interp, where), by="size"))


def _center_crop(reading: _Reading, options: Mapping[str, Any], where: str) -> None:
    size = convert(options, _CenterCrop, where).crop_size
    reading.steps.crop(size, size)


def _normalize(reading: _Reading, options: Mapping[str, Any], where: str) -> None:
    """((x - min) / (max - min) - mean) / std, the division by the range only if `is_scale`."""
    norm = convert(options, _Normalize, where)
    if not norm.is_scale:
        reading.steps.normalize(1.0, norm.mean, norm.std)
    elif (norm.min_val, norm.max_val) == _EIGHT_BITS:
        reading.steps.normalize(1 / 255, norm.mean, norm.std)
    else:
        spans = [high - low for high, low in zip(norm.max_val, norm.min_val)]
        mean = [low + part * span for low, part, span in zip(norm.min_val, norm.mean, spans)]
        std = [part * span for part, span in zip(norm.std, spans)]
        reading.steps.normalize(1.0, (mean[0], mean[1], mean[2]), (std[0], std[1], std[2]))


def _padding(reading: _Reading, options: Mapping[str, Any], where: str) -> None:
    pad = convert(options, _Padding, where)
    if pad.pad_mode not in _ALIGNS:
        raise ModelFolderError(f"{where}: pad_mode {pad.pad_mode} is not supported")
    fill = reading.fill if pad.im_padding_value is None else pad.im_padding_value
    value = all_channels(fill)
    if pad.target_size is not None:
        width, height = reading.sides(pad.target_size)
        reading.steps.pad(Pad(width, height, value, _ALIGNS[pad.pad_mode]))
    else:
        stride = pad.coarsest_stride or pad.size_divisor
        default = 1 if reading.first else 32
        reading.steps.pad_to_multiple(stride or default, value, _ALIGNS[pad.pad_mode])


_READERS: Dict[str, Callable[[_Reading, Mapping[str, Any], str], None]] = {
    "Resize": _resize,
    "ResizeByShort": _resize_by_short,
    "ResizeByLong": _resize_by_long,
    "CenterCrop": _center_crop,
    "Normalize": _normalize,
    "Padding": _padding,
}
