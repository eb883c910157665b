"""ModelSpec: all that a worker needs to serve a model, whoever exported it.

The formats write it, the wire carries it, the worker reads it. Annotations are
evaluated at run time (msgspec), so they keep to what Python 3.8 knows.
"""

from __future__ import annotations

from typing import Literal, Optional, Tuple, Union

import msgspec

Interp = Literal["nearest", "linear", "cubic", "area", "lanczos"]
Color = Literal["RGB", "BGR"]
Task = Literal["detection", "classification"]
EngineChoice = Literal["auto", "paddlelite", "paddle"]
Channels = Tuple[float, float, float]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op"):
    """One operator of the preprocessing, in the order of the list."""


class Resize(Step, frozen=True, tag="resize"):
    """Stretch to exactly `width` x `height` pixels."""

    width: int
    height: int
    interp: Interp = "linear"


class ResizeShort(Step, frozen=True, tag="resize_short"):
    """Shorter side to `size` pixels, the other in proportion (rounded)."""

    size: int
    interp: Interp = "linear"


class CenterCrop(Step, frozen=True, tag="center_crop"):
    """The middle `width` x `height` pixels."""

    width: int
    height: int


class Normalize(Step, frozen=True, tag="normalize"):
    """(x * scale - mean) / std on 0..255, channels in the order of `color`."""

    color: Color = "RGB"
    scale: float = 1.0
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)


AnyStep = Union[Resize, ResizeShort, CenterCrop, Normalize]


class ModelFiles(msgspec.Struct, frozen=True):
    """Where the network is. Absolute paths.

    `nb`: `model` is an optimised Paddle Lite file. `combined`: `model` and
    `params`. `separate`: `model` is the folder with `__model__` and a file for
    each parameter.
    """

    kind: Literal["nb", "combined", "separate"]
    model: str
    params: Optional[str] = None


class ModelSpec(msgspec.Struct, frozen=True):
    """`input_size` is (width, height) of the network's picture input.

    `engine`, `threads` and `instances` of None leave the choice to the daemon, by its
    settings and the cores there are.
    """

    mid: int
    name: str
    task: Task
    exporter: str
    folder: str
    files: ModelFiles
    preprocess: Tuple[AnyStep, ...]
    input_size: Tuple[int, int]
    labels: Tuple[str, ...] = ()
    threshold: float = 0.5
    engine: Optional[EngineChoice] = None
    instances: Optional[int] = None
    threads: Optional[int] = None

    def label(self, index: int) -> str:
        """The name of a class, its number where the model came without that label."""
        return self.labels[index] if 0 <= index < len(self.labels) else str(index)
