"""Where the preprocessing puts a picture: sizes, ratios and offsets, without any pixels."""

from __future__ import annotations

from typing import NamedTuple, Sequence, Tuple, Union

from edged.errors import BadImage, ImageTooLarge
from edged.registry.spec import (
    AnyStep,
    CenterCrop,
    Normalize,
    Pad,
    Resize,
    ResizeInside,
    ResizeShort,
    Resizing,
    ToFloat,
)

# Others of libjpeg's are slower than the whole picture.
_REDUCTIONS = (8, 4, 2)
# A strip of 16,384 x 1 pixels with its short side at 256 would fill 3 GB.
_MOST_PIXELS = 1 << 25


class Placement(NamedTuple):
    """Where a picture lies in the network's input.

    The point (x, y) of the picture is at (x * scale_x + left, y * scale_y + top) there.
    `size` is (width, height) of the input, `resized` that of the picture in it, before a
    crop takes from it or a pad adds to it.
    """

    size: Tuple[int, int]
    resized: Tuple[int, int]
    scale_x: float = 1.0
    scale_y: float = 1.0
    left: float = 0.0
    top: float = 0.0


def place(steps: Sequence[AnyStep], width: int, height: int) -> Placement:
    """Raises BadImage or ImageTooLarge when a picture of this size cannot be put there."""
    size = width, height
    placement = Placement(size, size)
    for step in steps:
        placement = _after(step, placement)
    return placement


def _after(step: AnyStep, before: Placement) -> Placement:
    if isinstance(step, (Normalize, ToFloat)):
        return before
    if isinstance(step, (CenterCrop, Pad)):
        left, top = offset(step, before.size)
        return before._replace(
            size=(step.width, step.height), left=before.left + left, top=before.top + top
        )
    size, (x, y) = resized(step, before.size)
    return Placement(
        size=size,
        resized=size,
        scale_x=before.scale_x * x,
        scale_y=before.scale_y * y,
        left=before.left * x,
        top=before.top * y,
    )


def resized(step: Resizing, size: Tuple[int, int]) -> Tuple[Tuple[int, int], Tuple[float, float]]:
    """(width, height) after a step that resizes, and the ratios (x, y) it is told by.

    The ratios are those that the exporter gives to its network, of which the rounded
    sizes may differ a little.
    """
    width, height = size
    if isinstance(step, Resize):
        new = step.width, step.height
    elif isinstance(step, ResizeShort):
        ratio = step.size / min(size)
        new = round(width * ratio), round(height * ratio)
    elif isinstance(step, ResizeInside):
        ratio = min(step.height / height, step.width / width)
        new = _at_least_a_line(width * ratio, height * ratio)
        if step.by == "factor":
            return new, (ratio, ratio)
    else:
        ratio = step.short / min(size)
        if round(ratio * max(size)) > step.long:
            ratio = step.long / max(size)
        new = _at_least_a_line(width * ratio, height * ratio)
        if step.by == "factor":
            return new, (ratio, ratio)
    if new[0] * new[1] > _MOST_PIXELS:
        raise ImageTooLarge(f"the image is too narrow for this model: {width} x {height}")
    return new, (new[0] / width, new[1] / height)


def reduction(steps: Sequence[AnyStep], size: Tuple[int, int]) -> int:
    """8, 4 or 2: the largest n at which 1/n of a JPEG of `size` (width, height) is still twice as
    wide and twice as high as what the first step makes of it; else 1. Raises as `place`.
    """
    geometry = [step for step in steps if not isinstance(step, (Normalize, ToFloat))]
    if not geometry or isinstance(geometry[0], (CenterCrop, Pad)):
        return 1
    wanted, _ = resized(geometry[0], size)
    parts = (
        part
        for part in _REDUCTIONS
        if all(2 * few <= many for few, many in zip(wanted, reduced(size, part)))
    )
    return next(parts, 1)


def reduced(size: Tuple[int, int], part: int) -> Tuple[int, int]:
    """(width, height) of a JPEG that is decoded at 1/`part` of `size`."""
    width, height = size
    return -(-width // part), -(-height // part)


def _at_least_a_line(width: float, height: float) -> Tuple[int, int]:
    return max(round(width), 1), max(round(height), 1)


def offset(step: Union[CenterCrop, Pad], size: Tuple[int, int]) -> Tuple[int, int]:
    """(left, top) by which a step moves a picture of `size`; a crop moves it by less than 0."""
    width, height = size
    if isinstance(step, CenterCrop):
        if width < step.width or height < step.height:
            raise BadImage(f"the image is smaller than the model's {step.width} x {step.height}")
        return -((width - step.width) // 2), -((height - step.height) // 2)
    right, bottom = step.width - width, step.height - height
    if right < 0 or bottom < 0:
        raise BadImage(
            f"the image does not fit into the model's {step.width} x {step.height}:"
            f" in proportion it comes to {width} x {height}"
        )
    if step.align == "start":
        return 0, 0
    return (right // 2, bottom // 2) if step.align == "center" else (right, bottom)
