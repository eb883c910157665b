"""The three networks of an OCR model, each at the few sizes that it is loaded for.

A predictor takes one size only, and those of a text detector are large, so a size costs
memory, and another one costs time. Measured with PP-OCR (detector v3, recognition v2 of
6625 letters) on x86-64, one thread, a busy machine, Paddle Lite without AVX2:

| | Paddle Lite | Paddle Inference |
|---|---|---|
| detector 640 x 640 | 205 MB, 270 ms | 158 MB, 150 ms |
| detector 960 x 544 | 253 MB, 160-350 ms | 150 MB, 93-190 ms |
| detector 960 x 736 | 345 MB, 400 ms | |
| detector 960 x 960 | 450 MB, 515 ms | 222 MB, 230 ms |
| recognition 320, 448 wide | 36, 44 MB; 14, 19 ms | 38, 18 MB; 12, 15 ms |
| recognition 640, 1280 wide | 55, 117 MB; 26, 54 ms | 27, 49 MB; 19, 33 ms |
| 320 by two | 59 MB; 13.2 ms each | 38 MB; 8.9 ms each |
| angle, alone and by three | 2.3 ms, no less | 6.7, 4.4 ms each |
| another size of the detector, its first run | 0 to 0.4 s more, once 0.8 | 0.3 to 1.1 s more |

Detector: one is loaded at a time, so that its memory is that of the largest size seen; a
camera sends one size and never waits again. Letting one go before loading the next gives
its memory back (35 changes: level from the second round on, at 660 MB on Paddle Lite and
850 on Paddle Inference for the whole process; 1.9 GB with six sizes kept on Paddle Lite).
That was seen on x86-64 only: on ARM, others have seen predictors leave threads behind.

With sizes free of charge there is one for each usual frame, 16:9, 4:3 and square, upright
too, since padding changes what is read. Of one photograph's 13 lines 12 read as in the
reference at their exact size, 960 x 544, and 8 on 960 x 960 with zeros below. It is not
clearly for the worse (mean score 0.887 and 0.883), and to fill with the mean, the edge or
a mirror image came no nearer to the exact size than zeros.

Recognition: four widths, loaded when first wanted and kept. PaddleOCR pads to 320, so none
is narrower; the time goes by the width, and what is padding is not only paid for: blanks
between words get lost in it. docs/models.md has what other widths cost and read, measured by
scripts/measure_ocr.py. Of 46 lines in three photographs, parts of one among them, 40 read
as at their exact width with 320, 640 and 1280, with five widths 40 too, with 1280 alone 19.
To mask the padding changed none of them. A line longer than the widest (40 times its height
at 32) is squeezed into it. Of 60 such lines, drawn, 99.6 % of the letters were right at up
to 50 times the height, 96 % up to 60, 86 % up to 70 and 59 % up to 80, where their own
width gave 99.7 % or more: for 175 MB on Paddle Lite it would have to be loaded.

Lines share a run where that gains something: on Paddle Inference, up to 640 pixels across
together, which is two of 320, and three angles. Twice that saves another tenth and takes 50
to 75 MB more.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from edged.errors import BadOutput, EngineError, ModelFolderError
from edged.registry import program
from edged.registry.spec import BoxRules, ModelFiles, Reading
from edged.worker.clock import Clock
from edged.worker.decode import Picture
from edged.worker.engines import Array, Engine, Load, Network
from edged.worker.engines.inputs import try_out
from edged.worker.ocr import ctc
from edged.worker.ocr.crop import Blob, Size, line_blob, page_blob, width_at
from edged.worker.ocr.db import Quad, TextBox, find_boxes

# The first is loaded at the start.
_CANVASES: Tuple[Size, ...] = (
    *((960, 544), (544, 960), (960, 704), (704, 960), (960, 960)),
    *((640, 352), (352, 640), (640, 480), (480, 640), (640, 640)),
)
_GRID = 32  # pixels: what the detector's strides divide
_LINE_WIDTHS = (320, 448, 640, 1280)
_LINE_HEIGHT = 48  # PP-OCRv3 and later
_ANGLE_SIZE = (192, 48)
_SURELY_TURNED = 0.9
_MOST_COLUMNS = 640  # pixels across, of all lines in one run together; a longer one is alone
_SHORTEST_SIDE = 3.0  # pixels of the picture


_Thing = TypeVar("_Thing")


class Detector:
    """Finds the lines of text in a picture of any size."""

    def __init__(
        self, files: ModelFiles, rules: BoxRules, load: Load, page_size: Optional[Size] = None
    ) -> None:
        """`page_size` is of a network that takes no other, and does not tell."""
        only = page_size or program.picture_size(_declared(files))
        self._canvases = (only,) if all(only) else _CANVASES
        self._files, self._rules, self._load = files, rules, load
        self._canvas = self._canvases[0]
        self._engine: Optional[Engine] = None
        (output, *_) = try_out(self._on(self._canvas))
        width, height = self._canvas
        _check_shape("detection", output, (1, 1, height, width))

    def find(self, picture: Picture, clock: Clock) -> List[TextBox]:
        """Corners are in whole pixels of the picture, those of its frame included."""
        height, width = picture.shape[:2]
        size, canvas = fit(width, height, self._canvases)
        blob = page_blob(picture, size, canvas)
        clock.lap("preprocess")
        (output, *_) = _run(self._on(canvas), blob)
        clock.lap("run")
        _check_shape("detection", output, (1, 1, canvas[1], canvas[0]))
        probabilities = np.ascontiguousarray(output[0, 0, : size[1], : size[0]], np.float32)
        scale = np.array([width / size[0], height / size[1]])
        boxes = [
            TextBox(_whole_pixels(box.quad * scale, width, height), box.score)
            for box in find_boxes(probabilities, self._rules)
        ]
        clock.lap("postprocess")
        return [box for box in boxes if _shortest_side(box.quad) > _SHORTEST_SIDE]

    def _on(self, canvas: Size) -> Engine:
        if self._engine is None or canvas != self._canvas:
            self._engine = None  # lets go of the memory before more is taken
            self._engine = self._load(Network(self._files, canvas))
            self._canvas = canvas
        return self._engine


def fit(width: int, height: int, canvases: Sequence[Size]) -> Tuple[Size, Size]:
    """The size that a picture is brought to, and the smallest of `canvases` that holds it.

    It is never enlarged, except to the grid.
    """
    scale = min(1.0, max(min(w / width, h / height) for w, h in canvases))
    wanted = (_on_grid(width * scale), _on_grid(height * scale))
    holding = [one for one in canvases if one[0] >= wanted[0] and one[1] >= wanted[1]]
    canvas = min(holding or canvases, key=lambda one: one[0] * one[1])
    return (min(wanted[0], canvas[0]), min(wanted[1], canvas[1])), canvas


def _on_grid(side: float) -> int:
    return max(_GRID, round(int(side) / _GRID) * _GRID)


def _whole_pixels(quad: NDArray[np.float64], width: int, height: int) -> Quad:
    return np.rint(quad).clip(0, (width, height)).astype(np.float32)


def _shortest_side(quad: Quad) -> float:
    return float(np.linalg.norm(quad - np.roll(quad, 1, axis=0), axis=1).min())


class Angle:
    """Tells lines that are upside down. Its program declares a size that it is not fed."""

    def __init__(self, files: ModelFiles, load: Load) -> None:
        batch = _batch(_declared(files), _ANGLE_SIZE[0])
        network = Network(files, _ANGLE_SIZE, resizable=True, batch=batch)
        self._engine = load(network)
        (output, *_) = try_out(self._engine)
        _check_shape("angle", output, (1, 2))

    def turned(self, lines: Sequence[Picture], clock: Clock) -> List[bool]:
        """Of each line, whether it is."""
        turned: List[bool] = []
        for some in _parts(lines, self._engine.batch):
            blob = np.concatenate([line_blob(line, _ANGLE_SIZE) for line in some])
            clock.lap("preprocess")
            (output, *_) = _run(self._engine, blob)
            clock.lap("run")
            _check_shape("angle", output, (len(some), 2))
            turned += (np.asarray(output[:, 1], np.float32) > _SURELY_TURNED).tolist()
        return turned


class Recognition:
    """Reads lines."""

    def __init__(self, reading: Reading, load: Load) -> None:
        """Raises ModelFolderError for a dictionary that is not this network's."""
        self._inputs = _declared(reading.recognition)
        width, height = program.picture_size(self._inputs)
        self._height = reading.line_height or height or _LINE_HEIGHT
        width = reading.line_width or width
        self._widths = (width,) if width else _LINE_WIDTHS
        self._files, self._load = reading.recognition, load
        self._engines: Dict[int, Engine] = {}
        self._letters = ("", *reading.letters, " ")
        (output, *_) = try_out(self._on(self._widths[0]))
        if output.ndim != 3:
            raise EngineError(f"recognition answers [1, T, C], this one {list(output.shape)}")
        if output.shape[2] != len(self._letters):
            raise ModelFolderError(
                f"the dictionary has {len(reading.letters)} letters, which makes"
                f" {len(self._letters)} with the blank and the space, but the recognition"
                f" network answers {output.shape[2]}"
            )

    def read(self, lines: Sequence[Picture], clock: Clock) -> List[ctc.Text]:
        """In the order of `lines`. Raises BadOutput."""
        widths = [self._width_for(line) for line in lines]
        texts: Dict[int, ctc.Text] = {}
        for width in sorted(set(widths)):
            alike = [index for index, one in enumerate(widths) if one == width]
            for some in _parts(alike, self._on(width).batch):
                texts.update(zip(some, self._read([lines[index] for index in some], width, clock)))
        return [texts[index] for index in range(len(lines))]

    def _read(self, lines: Sequence[Picture], width: int, clock: Clock) -> List[ctc.Text]:
        blob = np.concatenate([line_blob(line, (width, self._height)) for line in lines])
        clock.lap("preprocess")
        (output, *_) = _run(self._on(width), blob)
        clock.lap("run")
        if output.ndim != 3 or len(output) != len(lines):
            raise BadOutput(f"recognition answers {list(output.shape)} for {len(lines)} lines")
        texts = []
        for line, steps in zip(lines, np.asarray(output, np.float32)):
            # What comes later is of the padding; a letter may come a step after its end.
            filled = min(width_at(line, self._height), width)
            seen = -(-filled * len(steps) // width) + 1
            texts.append(ctc.decode(steps[:seen], self._letters))
        clock.lap("postprocess")
        return texts

    def _width_for(self, line: Picture) -> int:
        wanted = width_at(line, self._height)
        return next((one for one in self._widths if one >= wanted), self._widths[-1])

    def _on(self, width: int) -> Engine:
        if width not in self._engines:
            size, batch = (width, self._height), _batch(self._inputs, width)
            network = Network(self._files, size, batch=batch)
            self._engines[width] = self._load(network)
        return self._engines[width]


def turn(line: Picture) -> Picture:
    """By 180 degrees."""
    return cv2.rotate(line, cv2.ROTATE_180).astype(np.uint8, copy=False)


def _parts(things: Sequence[_Thing], size: int) -> Iterator[Sequence[_Thing]]:
    return (things[start : start + size] for start in range(0, len(things), size))


def _batch(inputs: Mapping[str, Sequence[int]], width: int) -> int:
    """Lines of this width in a run: one, where it is not known that the program takes more."""
    takes_more = [shape[0] < 0 for shape in inputs.values() if shape] == [True]
    return max(_MOST_COLUMNS // width, 1) if takes_more else 1


def _declared(files: ModelFiles) -> Dict[str, Tuple[int, ...]]:
    """The inputs of the program: none where that is not to be known."""
    if files.kind == "nb" or files.is_pir:
        return {}
    return program.of(files).inputs


def _run(engine: Engine, blob: Blob) -> List[Array]:
    return engine.run({engine.inputs[0].name: blob})


def _check_shape(name: str, output: Array, shape: Tuple[int, ...]) -> None:
    if output.shape != shape:
        raise EngineError(
            f"the {name} network answers {list(shape)}, this one {list(output.shape)}"
        )
