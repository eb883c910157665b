"""The rules that a description obeys, whichever format it is of."""

from __future__ import annotations

import math
from typing import Optional, Sequence, Tuple

from edged.errors import ModelFolderError
from edged.registry.spec import (
    AnyStep,
    CenterCrop,
    Normalize,
    Pad,
    ResizeFit,
    ResizeInside,
    ResizeShort,
    ToFloat,
)

_MAX_SIDE = 4096
_Size = Tuple[int, int]


def input_size(steps: Sequence[AnyStep]) -> _Size:
    """(width, height) that come out of `steps`, which must be sound and fix them."""
    size: Optional[_Size] = None
    at_least: Optional[_Size] = None
    for position, step in enumerate(steps):
        if isinstance(step, Normalize):
            _check_normalize(step, steps[position + 1 :])
        elif isinstance(step, ToFloat):
            continue
        elif isinstance(step, ResizeShort):
            _check_side("resize_short", step.size)
            size, at_least = None, (step.size, step.size)
        elif isinstance(step, ResizeFit):
            _check_fit(step)
            size, at_least = None, (1, 1)
        elif isinstance(step, ResizeInside):
            _check_side(_op(step), step.width, step.height)
            size, at_least = None, (1, 1)
        else:
            _check_side(_op(step), step.width, step.height)
            if isinstance(step, CenterCrop) and at_least is not None:
                _check_crop(step, at_least)
            if isinstance(step, Pad):
                _check_pad(step, size, steps[position + 1 :])
            size = at_least = step.width, step.height
    if size is None:
        raise ModelFolderError(
            "the size after preprocessing is not fixed:"
            " a resize, a center_crop or a pad must set it"
        )
    return size


def _op(step: AnyStep) -> str:
    return str(step.__struct_config__.tag)


def _check_side(op: str, *sides: int) -> None:
    for side in sides:
        if not 1 <= side <= _MAX_SIDE:
            raise ModelFolderError(f"{op} to {side} pixels: a side has 1 to {_MAX_SIDE}")


def _check_crop(step: CenterCrop, at_least: _Size) -> None:
    """Else every square picture would be refused, as if it were the picture's fault."""
    if step.width > at_least[0] or step.height > at_least[1]:
        raise ModelFolderError(
            f"center_crop to {step.width} x {step.height} is larger than the picture before it"
        )


def _check_fit(step: ResizeFit) -> None:
    _check_side("resize_fit", step.short, step.long)
    if step.short > step.long:
        raise ModelFolderError(f"resize_fit: short {step.short} is more than long {step.long}")


def _check_pad(step: Pad, size: Optional[_Size], rest: Sequence[AnyStep]) -> None:
    if any(not isinstance(later, Normalize) for later in rest):
        raise ModelFolderError("pad must be the last step before normalize")
    if not all(map(math.isfinite, step.value)):
        raise ModelFolderError("pad: value must be finite numbers")
    if size is not None and (step.width < size[0] or step.height < size[1]):
        raise ModelFolderError(
            f"pad to {step.width} x {step.height} is smaller than the picture before it"
        )


def _check_normalize(step: Normalize, rest: Sequence[AnyStep]) -> None:
    """The worker divides by `scale` and by `std`."""
    if rest:
        raise ModelFolderError("normalize must be the last step, and the only one")
    if not (math.isfinite(step.scale) and step.scale > 0):
        raise ModelFolderError("normalize: scale must be a number above 0")
    if 0 in step.std:
        raise ModelFolderError("normalize: std must not be 0")
    factors = [step.scale / std for std in step.std] + [mean / step.scale for mean in step.mean]
    if not all(math.isfinite(number) for number in (*step.mean, *step.std, *factors)):
        raise ModelFolderError("normalize: mean and std must be finite numbers")
