"""An exporter's operators, one after the other, to the steps of a ModelSpec."""

from __future__ import annotations

import math
import re
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import msgspec

from edged.errors import ModelFolderError
from edged.registry.spec import (
    Align,
    AnyStep,
    CenterCrop,
    Channels,
    Color,
    Interp,
    Normalize,
    Pad,
    Resize,
    ResizeFit,
    ResizeInside,
    Resizing,
    ToFloat,
)

_IN_PROPORTION = (ResizeFit, ResizeInside)
_LIMITED = (Resize, CenterCrop, *_IN_PROPORTION)
_NOTHING: Channels = (0.0, 0.0, 0.0)

# cv2's names, less INTER_.
_INTERPS: Dict[str, Interp] = {
    "NEAREST": "nearest",
    "LINEAR": "linear",
    "CUBIC": "cubic",
    "AREA": "area",
    "LANCZOS4": "lanczos",
}

# Of every network trained on ImageNet: the suites' default.
IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)

_NUMBER = r"[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?"
_FRACTION = re.compile(rf"\s*({_NUMBER})\s*(?:/\s*({_NUMBER})\s*)?")

Size = Union[int, Tuple[int, int]]
"""Of both sides, or of one and the other in the exporter's own order."""


class StepList:
    """What the operators come to. They are given in their order.

    In a ModelSpec normalising is last. Where an exporter does it earlier, what follows
    is the same on pixels that are not rounded to 8 bits: resizing is linear.
    """

    def __init__(self, color: Color = "RGB", floats: bool = False) -> None:
        """`floats`: the exporter turns the decoded picture into floats at once."""
        self._steps: List[AnyStep] = [ToFloat()] if floats else []
        self._normalize: Optional[Normalize] = None
        self._pad: Optional[Pad] = None
        self._color: Color = color

    def resize(self, step: Resizing) -> None:
        self._before_pad(step)
        if self._normalize is not None and not self._floats:
            if step.interp.startswith("pillow"):  # the exporters' own code fails, or feeds noise
                raise ModelFolderError("a picture that is normalised is not resized with Pillow")
            self._steps.append(ToFloat())
        self._steps.append(step)

    def crop(self, width: int, height: int) -> None:
        step = CenterCrop(width, height)
        self._before_pad(step)
        self._steps.append(step)

    def normalize(
        self, scale: float = 1.0, mean: Channels = _NOTHING, std: Channels = (1.0, 1.0, 1.0)
    ) -> None:
        if self._normalize is not None:
            raise ModelFolderError("the picture is to be normalised twice, which is not supported")
        self._normalize = Normalize(self._color, scale, mean, std)

    def pad(self, step: Pad) -> None:
        """`step.value` in the units of the picture at that point, normalised or not."""
        self._before_pad(step)
        self._pad = msgspec.structs.replace(step, value=self._raw(step.value))

    def pad_to_multiple(
        self, stride: int, value: Channels = _NOTHING, align: Align = "start"
    ) -> None:
        """To the next multiple of `stride` of what came before; less than 2 is none."""
        if stride < 2:
            return
        width, height = self._canvas()
        self.pad(Pad(_up(width, stride), _up(height, stride), value, align))

    def swap_channels(self) -> None:
        """RGB to BGR or back, the normalising of each channel with it."""
        self._color = "BGR" if self._color == "RGB" else "RGB"
        if self._normalize is not None:
            norm = self._normalize
            self._normalize = Normalize(
                self._color, norm.scale, _reversed(norm.mean), _reversed(norm.std)
            )
        if self._pad is not None:
            self._pad = msgspec.structs.replace(self._pad, value=_reversed(self._pad.value))

    @property
    def fixed(self) -> bool:
        """Whether the steps so far lead to one size, or can be padded to one."""
        return self._pad is not None or (
            bool(self._steps) and isinstance(self._steps[-1], _LIMITED)
        )

    def done(self) -> Tuple[AnyStep, ...]:
        """A picture whose size is not fixed yet is padded to the largest it may come to.

        With what becomes 0, at the right and below: so PaddleDetection's own runtime
        makes pictures of several sizes one input.
        """
        if (
            self._pad is None
            and self._steps
            and isinstance(self._steps[-1], (ResizeFit, ResizeInside))
        ):
            width, height = self._canvas()
            self.pad(Pad(width, height))
        tail: List[AnyStep] = [] if self._pad is None else [self._pad]
        if self._normalize is not None or self._color == "BGR":
            tail.append(self._normalize or Normalize(self._color))
        return (*self._steps, *tail)

    @property
    def _floats(self) -> bool:
        return any(isinstance(step, ToFloat) for step in self._steps)

    def _before_pad(self, step: AnyStep) -> None:
        if self._pad is not None:
            op = step.__struct_config__.tag
            raise ModelFolderError(f"the picture is padded before {op}, which is not supported")

    def _canvas(self) -> Tuple[int, int]:
        """(width, height) of the largest picture after the steps so far."""
        last = self._steps[-1] if self._steps else None
        if isinstance(last, (Resize, ResizeInside, CenterCrop)):
            return last.width, last.height
        if isinstance(last, ResizeFit):
            return last.long, last.long  # a tall picture needs the height, a wide one the width
        raise ModelFolderError(
            "the size after preprocessing depends on the picture, and nothing limits it:"
            " export with a fixed size"
        )

    def _raw(self, value: Channels) -> Channels:
        if self._normalize is None:
            return value
        norm = self._normalize
        first, second, third = (
            (part * std + mean) / norm.scale for part, std, mean in zip(value, norm.std, norm.mean)
        )
        return first, second, third


def one_operator(operator: Mapping[str, Any], where: str) -> Tuple[str, Any]:
    """(its name, its options) from the list `where`. Raises ModelFolderError."""
    if len(operator) != 1:
        raise ModelFolderError(f"{where}: {len(operator)} names are not one operator")
    ((kind, options),) = operator.items()
    return kind, options or {}


def interp_named(name: str, where: str) -> Interp:
    """The interpolation that cv2 calls `INTER_<name>`. Raises ModelFolderError."""
    if name not in _INTERPS:
        raise ModelFolderError(f"{where}: interp {name} is not known")
    return _INTERPS[name]


def scale_of(scale: Union[float, str, None], where: str) -> float:
    """A number, or a text like `1.0/255.0`, which is read and never evaluated."""
    if scale is None:
        return 1 / 255
    if isinstance(scale, float):
        return scale
    match = _FRACTION.fullmatch(scale)
    if match is None or float(match[2] or 1) == 0:
        raise ModelFolderError(f"{where}: scale {scale!r} is not a number")
    return float(match[1]) / float(match[2] or 1)


def both_sides(size: Size) -> Tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def all_channels(value: Union[float, Channels]) -> Channels:
    return (value, value, value) if isinstance(value, float) else value


def _up(side: int, stride: int) -> int:
    return math.ceil(side / stride) * stride


def _reversed(channels: Channels) -> Channels:
    return channels[::-1]
