"""Text: lines are found, cut out, turned upright, read, and put in order."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Tuple

from edged.registry.spec import ModelSpec
from edged.results import Result, clip_bbox
from edged.wire import PredictOptions
from edged.worker.clock import Clock
from edged.worker.decode import Decoded, Picture
from edged.worker.engines import Load
from edged.worker.ocr.crop import cut_out, elongation
from edged.worker.ocr.db import TextBox
from edged.worker.ocr.networks import Angle, Detector, Recognition, turn
from edged.worker.ocr.order import reading_order

# Lines that are cut out before the first of them is read: whole batches of most widths, and
# the part of a page of which `run_timeout` is the limit.
# All at once, those of a large photograph would take its memory again.
_AT_ONCE = 12


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
        self._detector = Detector(spec.files, reading.boxes, load, reading.page_size)
        self._angle: Optional[Angle] = None
        if reading.angle is not None:
            self._angle = Angle(reading.angle, load)
        self._recognition = Recognition(reading, load)

    def reduction(self, size: Tuple[int, int]) -> int:
        """Lines are cut out of the whole picture."""
        return 1

    def predict(self, picture: Decoded, options: PredictOptions, clock: Clock) -> List[Result]:
        """Neither `top` nor `threshold` binds: every line that is read is an answer."""
        boxes = self._detector.find(picture.pixels, clock)
        boxes.sort(key=lambda box: elongation(box.quad))  # lines of one width fill a batch
        lines: List[_Line] = []
        for start in range(0, len(boxes), _AT_ONCE):
            clock.begin_part()
            lines += self._read(picture.pixels, boxes[start : start + _AT_ONCE], clock)
        turned = [line.angle == 180 for line in lines]
        upside_down = 2 * sum(turned) > len(turned)
        order = reading_order([line.box.quad for line in lines], upside_down)
        results = [_result(lines[index], *picture.size) for index in order]
        clock.lap("postprocess")
        return results

    def _read(self, picture: Picture, boxes: Sequence[TextBox], clock: Clock) -> List[_Line]:
        """Those in which something can be read."""
        cut = [cut_out(picture, box.quad) for box in boxes]
        lines, angles = [line for line, _ in cut], [0 if upright else 90 for _, upright in cut]
        if self._angle is not None:
            for index, turned in enumerate(self._angle.turned(lines, clock)):
                if turned:
                    lines[index], angles[index] = turn(lines[index]), angles[index] + 180
        read = (
            _Line(box, text.strip(), score, angle)
            for box, (text, score), angle in zip(
                boxes, self._recognition.read(lines, clock), angles
            )
        )
        return [line for line in read if line.text and line.score >= self._threshold]


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
