"""Text: lines are found, cut out, turned upright, read, and put in order."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence

from edged.registry.spec import ModelSpec
from edged.results import Result, clip_bbox
from edged.wire import PredictOptions, TensorInfo
from edged.worker.clock import Clock
from edged.worker.decode import Picture
from edged.worker.engines import Load
from edged.worker.ocr.crop import cut_out
from edged.worker.ocr.db import TextBox
from edged.worker.ocr.networks import Angle, Detector, Recognition, turn
from edged.worker.ocr.order import reading_order


class _Line(NamedTuple):
    """`angle`: degrees counter-clockwise by which it was turned to be read."""

    box: TextBox
    text: str
    score: float
    angle: int


class Ocr:
    """As `Task` says. One result for each line: its text, in reading order."""

    def __init__(self, spec: ModelSpec, load: Load) -> None:
        reading = spec.reading
        assert reading is not None, "the formats describe an OCR model with its reading"
        self._threshold = spec.threshold
        self._detector = Detector(spec.files, reading.boxes, load)
        self._angle: Optional[Angle] = None
        if reading.angle is not None:
            self._angle = Angle(reading.angle, load)
        self._recognition = Recognition(reading, load)

    @property
    def inputs(self) -> Sequence[TensorInfo]:
        """The detector's, at the first of its sizes."""
        return self._detector.inputs

    def predict(self, picture: Picture, options: PredictOptions, clock: Clock) -> List[Result]:
        """Neither `top` nor `threshold` binds: every line that is read is an answer."""
        height, width = picture.shape[:2]
        boxes = self._detector.find(picture, clock)
        lines = [line for box in boxes for line in [self._read(picture, box, clock)] if line]
        turned = [line.angle == 180 for line in lines]
        upside_down = 2 * sum(turned) > len(turned)
        order = reading_order([line.box.quad for line in lines], upside_down)
        results = [_result(lines[index], width, height) for index in order]
        clock.lap("postprocess")
        return results

    def _read(self, picture: Picture, box: TextBox, clock: Clock) -> Optional[_Line]:
        """None where nothing can be read."""
        line, upright = cut_out(picture, box.quad)
        angle = 0 if upright else 90
        if self._angle is not None and self._angle.is_turned(line, clock):
            line, angle = turn(line), angle + 180
        text, score = self._recognition.read(line, clock)
        text = text.strip()
        if not text or score < self._threshold:
            return None
        return _Line(box, text, score, angle)


def _result(line: _Line, width: int, height: int) -> Result:
    quad = line.box.quad
    (left, top), (right, bottom) = quad.min(axis=0).tolist(), quad.max(axis=0).tolist()
    return Result(
        index=0,
        label=line.text,
        score=round(line.score, 5),
        location=clip_bbox(left, top, right, bottom, width, height),
        extended={
            "quad": [[int(x), int(y)] for x, y in quad.tolist()],
            "box_score": round(line.box.score, 5),
            "angle": line.angle,
        },
    )
