"""What every format says of a model, and the rules all of them obey."""

from __future__ import annotations

import math
from typing import Optional, Sequence, Tuple

import msgspec

from edged.errors import ModelFolderError
from edged.registry.spec import (
    AnyStep,
    CenterCrop,
    EngineChoice,
    ModelFiles,
    Normalize,
    Resize,
    ResizeShort,
    Task,
)

_MAX_SIDE = 4096
_Size = Tuple[int, int]


class Description(msgspec.Struct, frozen=True):
    """A ModelSpec without what only the registry knows."""

    task: Task
    files: ModelFiles
    preprocess: Tuple[AnyStep, ...]
    labels: Tuple[str, ...] = ()
    threshold: float = 0.5
    engine: Optional[EngineChoice] = None
    instances: Optional[int] = None
    threads: Optional[int] = None


def input_size(steps: Sequence[AnyStep]) -> _Size:
    """(width, height) that come out of `steps`, which must be sound and fix them."""
    size: Optional[_Size] = None
    at_least: Optional[_Size] = None
    for position, step in enumerate(steps, 1):
        if isinstance(step, Normalize):
            if position != len(steps):
                raise ModelFolderError("normalize must be the last step, and the only one")
            _check_normalize(step)
        elif isinstance(step, ResizeShort):
            _check_side("resize_short", step.size)
            size, at_least = None, (step.size, step.size)
        else:
            _check_side("resize" if isinstance(step, Resize) else "center_crop", *_of(step))
            if isinstance(step, CenterCrop) and at_least is not None:
                _check_crop(step, at_least)
            size = at_least = _of(step)
    if size is None:
        raise ModelFolderError(
            "the size after preprocessing is not fixed: a resize or a center_crop must set it"
        )
    return size


def _of(step: AnyStep) -> _Size:
    assert isinstance(step, (Resize, CenterCrop))
    return step.width, step.height


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


def _check_normalize(step: Normalize) -> None:
    """The worker divides by `scale` and by `std`."""
    if not (math.isfinite(step.scale) and step.scale > 0):
        raise ModelFolderError("normalize: scale must be a number above 0")
    if 0 in step.std:
        raise ModelFolderError("normalize: std must not be 0")
    factors = [step.scale / std for std in step.std] + [mean / step.scale for mean in step.mean]
    if not all(math.isfinite(number) for number in (*step.mean, *step.std, *factors)):
        raise ModelFolderError("normalize: mean and std must be finite numbers")
