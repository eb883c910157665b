"""ModelSpec: all that a worker needs to serve a model, whoever exported it.

The formats write it, the wire carries it, the worker reads it. Annotations are
evaluated at run time (msgspec), so they keep to what Python 3.8 knows.
"""

from __future__ import annotations

from typing import Dict, Literal, Optional, Tuple, Union

import msgspec
from typing_extensions import Annotated

Interp = Literal[
    "nearest",
    "linear",
    "cubic",
    "area",
    "lanczos",
    "pillow_nearest",
    "pillow_bilinear",
    "pillow_bicubic",
    "pillow_box",
    "pillow_hamming",
    "pillow_lanczos",
]
"""cv2's, or Pillow's, which differ from them even where the name is the same: Pillow takes
in every pixel of a picture that is made smaller, and counts pixels from their centres.
"""
Color = Literal["RGB", "BGR"]
Align = Literal["start", "center", "end"]
Task = Literal["detection", "classification", "segmentation", "ocr"]
EngineChoice = Literal["auto", "paddlelite", "paddle"]
Decoding = Literal["exact", "scaled"]
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


class ResizeFit(Step, frozen=True, tag="resize_fit"):
    """Shorter side to `short` pixels, or less where the longer would pass `long`; in proportion.

    `by`: pixels are taken at exactly that ratio (`factor`), or at that of the whole
    pixels it comes to on either side (`size`), as cv2.resize does with fx and fy, or
    with dsize. The two differ visibly.
    """

    short: int
    long: int
    interp: Interp = "linear"
    by: Literal["factor", "size"] = "factor"


class ResizeInside(Step, frozen=True, tag="resize_inside"):
    """As large as fits into `width` x `height` pixels, in proportion (rounded).

    `by`: a network that is told the ratio is told that one, or of either side that of the
    whole pixels it comes to (`size`).
    """

    width: int
    height: int
    interp: Interp = "linear"
    by: Literal["factor", "size"] = "factor"


class ToFloat(Step, frozen=True, tag="to_float"):
    """Resizing from here on does not round to whole numbers, nor clip to 0..255."""


class CenterCrop(Step, frozen=True, tag="center_crop"):
    """The middle `width` x `height` pixels."""

    width: int
    height: int


class Pad(Step, frozen=True, tag="pad"):
    """`width` x `height` pixels, the picture at the upper left, in the middle or lower right.

    What is left has `value`, on 0..255 and in the order of `Normalize.color`. It need
    not be a whole number: the mean there becomes 0 for the network.
    """

    width: int
    height: int
    value: Channels = (0.0, 0.0, 0.0)
    align: Align = "start"


class Normalize(Step, frozen=True, tag="normalize"):
    """(x * scale - mean) / std on 0..255, channels in the order of `color`."""

    color: Color = "RGB"
    scale: float = 1.0
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)


Resizing = Union[Resize, ResizeShort, ResizeFit, ResizeInside]
AnyStep = Union[Resize, ResizeShort, ResizeFit, ResizeInside, ToFloat, CenterCrop, Pad, Normalize]


class Boxes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to read what a detector's network answers.

    `nms_threshold` is for networks that end before the post-processing: of two boxes of
    a class that overlap more (intersection over union) the better one stays; `strides`
    are the pixels of the input to one cell of each of their maps. `normed`: corners are
    parts of the network's input, 0..1, and not pixels of the picture. `background`:
    class 0 is what is not there.
    """

    nms_threshold: float = 0.5
    strides: Tuple[int, ...] = (8, 16, 32, 64)
    normed: bool = False
    background: bool = False


class Classes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to read what a classifier's network answers.

    `best`: one class is true, the most probable are answered. `each`: every class may be
    true, those over their threshold are answered. `either`: the second of two classes if
    it is over the threshold, else the first. `thresholds` are by class, the model's own
    threshold holds where there is none.
    """

    answer: Literal["best", "each", "either"] = "best"
    thresholds: Tuple[float, ...] = ()


class ModelFiles(msgspec.Struct, frozen=True):
    """Where the network is. Absolute paths.

    `nb`: `model` is an optimised Paddle Lite file. `combined`: `model` and
    `params`. `separate`: `model` is the folder with `__model__` and a file for
    each parameter.
    """

    kind: Literal["nb", "combined", "separate"]
    model: str
    params: Optional[str] = None

    @property
    def is_pir(self) -> bool:
        """Whether the program is in the newer form, JSON, that only Paddle Inference reads."""
        return self.model.endswith(".json")


class BoxRules(msgspec.Struct, frozen=True):
    """From a text detector's probabilities to boxes; the names are PaddleOCR's.

    A pixel is text over `threshold`, a box over a mean of `box_threshold`; `unclip` is
    how much it is grown: by area * unclip / perimeter on each side.
    """

    threshold: float = 0.3
    box_threshold: float = 0.6
    unclip: float = 1.5
    max_candidates: int = 1000


class Reading(msgspec.Struct, frozen=True):
    """What an OCR model has beside the network that finds the lines of text.

    `letters` are those of the dictionary, without the blank that stands before them in
    `recognition`'s output and the space after them. `line_height` is of its input, in
    pixels, None where only its program tells. `page_size` (width, height) is of the network
    that finds the lines and `line_width` of `recognition`, where it takes no other and does
    not tell. `angle` sees lines that are upside down. `languages` are those that a client
    may ask for, by Baidu's names.
    """

    recognition: ModelFiles
    letters: Tuple[str, ...]
    angle: Optional[ModelFiles] = None
    line_height: Optional[int] = None
    line_width: Optional[int] = None
    page_size: Optional[Tuple[int, int]] = None
    boxes: BoxRules = BoxRules()
    languages: Tuple[str, ...] = ("CHN_ENG", "ENG", "auto_detect")


_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Every = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class LabelRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `Collect` says otherwise of one label; None for the same."""

    below: Optional[_Share] = None
    every: Optional[_Every] = None


class Collect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which of the pictures that a model answers go to a dataset, with what it saw.

    `dataset` is a name among the board's own; it is made when it is missing. `below`: only
    where something has a score under it. `every`: of those that are left, the first and then
    one in so many. `labels`: only where one of them is seen, each with a rule of its own.
    `per_minute`: at most so many, evenly over it; there are no more once the dataset holds
    `total` entities.
    """

    dataset: str
    below: Optional[_Share] = None
    every: _Every = 1
    labels: Dict[str, LabelRule] = {}
    per_minute: Annotated[int, msgspec.Meta(ge=1, le=60_000)] = 10
    total: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 1000


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What an exporter's folder says of a model.

    `files` are the network's. Of an OCR model they find the lines, and the other networks
    are in `reading`; it has no steps of preprocessing to choose.

    `boxes` is for detectors, `classes` for classifiers.
    `decode` of "scaled": a JPEG that is far larger than what the network sees is decoded at a
    half, a quarter or an eighth of its size.
    `engine`, `threads` and `instances` of None leave the choice to the daemon, by its
    settings and the cores there are.
    """

    task: Task
    files: ModelFiles
    preprocess: Tuple[AnyStep, ...] = ()
    labels: Tuple[str, ...] = ()
    threshold: float = 0.5
    boxes: Boxes = Boxes()
    classes: Classes = Classes()
    engine: Optional[EngineChoice] = None
    instances: Optional[int] = None
    threads: Optional[int] = None
    decode: Decoding = "exact"
    reading: Optional[Reading] = None
    collect: Optional[Collect] = None


class ModelSpec(Description, frozen=True, kw_only=True):
    """The same with what only the registry knows.

    `input_size` is (width, height) of the network's picture input, None of an OCR model,
    which takes pictures of any size.
    """

    mid: int
    name: str
    exporter: str
    folder: str
    input_size: Optional[Tuple[int, int]]

    @property
    def fixed_size(self) -> Tuple[int, int]:
        """`input_size` of a model that is not for OCR."""
        assert self.input_size is not None, "only OCR takes pictures of several sizes"
        return self.input_size

    @property
    def networks(self) -> Tuple[ModelFiles, ...]:
        """The files of all its networks."""
        if self.reading is None:
            return (self.files,)
        angle = () if self.reading.angle is None else (self.reading.angle,)
        return (self.files, self.reading.recognition, *angle)

    def label(self, index: int) -> str:
        """The name of a class, its number where the model came without that label."""
        return self.labels[index] if 0 <= index < len(self.labels) else str(index)
