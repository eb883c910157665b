"""A model's own test: `sample.jpg`, and in `sample.json` what it must answer to it."""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

import msgspec
from typing_extensions import Annotated

from edged.errors import ModelFolderError
from edged.registry.folder import Folder
from edged.registry.spec import Task
from edged.results import BBox, Result

PICTURE, ANSWER = "sample.jpg", "sample.json"

_MAX_PICTURE = 16 << 20
_MAX_ANSWER = 1 << 20


class Tolerance(NamedTuple):
    """How far a result may be off: `score`, and an edge of its box in pixels, to which comes a
    `part` of the box's longer side."""

    score: float = 0.03
    pixels: float = 3.0
    part: float = 0.01


_TOLERANCE = Tolerance()
# A line is cut out along corners in whole pixels: one of them off, and its letters are as
# they were but less sure.
_TEXT_TOLERANCE = Tolerance(score=0.2)


def tolerance_of(task: Task) -> Tolerance:
    """What another engine, processor or library may do to the results of such a model."""
    return _TEXT_TOLERANCE if task == "ocr" else _TOLERANCE


class Expected(msgspec.Struct, frozen=True):
    """A result as the answers to clients have it, less what the sample does not mind."""

    index: int
    score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    label: Optional[str] = None
    location: Optional[BBox] = None

    def __str__(self) -> str:
        return _named(self.label or str(self.index), self.score)


class _Answer(msgspec.Struct, frozen=True):
    result: List[Expected]


class Sample(msgspec.Struct, frozen=True):
    """`image` is the file as it is; `expected` is None where it came without its answer."""

    image: bytes
    expected: Optional[Tuple[Expected, ...]]

    def difference(
        self,
        results: Sequence[Result],
        threshold: float = 0.5,
        tolerance: Tolerance = _TOLERANCE,
    ) -> Optional[str]:
        """How `results` disagree, in one sentence; None when they agree.

        Another engine, processor or JPEG decoder moves scores a little, and with them
        what passes the model's `threshold` and who is ahead: neither is a difference.
        """
        if self.expected is None:
            return None
        left = list(results)
        cut = _cut(threshold, [result.score for result in results]) + tolerance.score
        for expected in sorted(self.expected, key=lambda one: -one.score):
            found = _best(expected, left)
            complaint = _complaint(expected, found, tolerance)
            if complaint is None and found is not None:
                left.remove(found)
            elif expected.score > cut:
                return complaint
        cut = _cut(threshold, [expected.score for expected in self.expected]) + tolerance.score
        for result in left:
            if not result.score <= cut:  # so that NaN is a difference
                return f"{_named(result.label, result.score)} is not expected"
        return None


def read_sample(path: Path) -> Optional[Sample]:
    """None where there is none; ModelFolderError when it is broken."""
    folder = Folder(path)
    if not folder.exists(PICTURE):
        if folder.exists(ANSWER):
            raise ModelFolderError(f"{ANSWER} stands there without {PICTURE}")
        return None
    image = folder.read(PICTURE, _MAX_PICTURE)
    if not folder.exists(ANSWER):
        return Sample(image, None)
    try:
        answer = msgspec.json.decode(folder.read(ANSWER, _MAX_ANSWER), type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFolderError(f"{ANSWER} is not a golden answer: {error}") from None
    return Sample(image, tuple(answer.result))


def _cut(threshold: float, others: Sequence[float]) -> float:
    """Up to about this score a result may be missing from the other list.

    A detector's list ends at the threshold, a classifier's with the last of its top few,
    which may be below it.
    """
    return min([threshold, *others])


def _best(expected: Expected, results: Sequence[Result]) -> Optional[Result]:
    """The nearest of the same class."""
    same = [result for result in results if result.index == expected.index]
    return min(
        same,
        key=lambda one: (_distance(expected, one), abs(one.score - expected.score)),
        default=None,
    )


def _distance(expected: Expected, result: Result) -> float:
    """How far the farthest edge is off, in pixels."""
    if expected.location is None:
        return 0.0
    pairs = zip(_edges(expected.location), _edges(result.location))
    return max(abs(one - other) for one, other in pairs)


def _edges(box: BBox) -> Tuple[float, float, float, float]:
    return box.left, box.top, box.left + box.width, box.top + box.height


def _complaint(expected: Expected, found: Optional[Result], tolerance: Tolerance) -> Optional[str]:
    if found is None:
        return f"{expected} is missing"
    if expected.label is not None and found.label != expected.label:
        return f"class {found.index} is labelled {found.label}, not {expected.label}"
    pixels = tolerance.pixels
    if expected.location is not None:
        pixels += tolerance.part * max(expected.location.width, expected.location.height)
    distance = _distance(expected, found)
    if not distance <= pixels:  # so that NaN is a difference
        return f"the box of {expected} is {distance:.1f} pixels off"
    if not abs(found.score - expected.score) <= tolerance.score:
        return f"{expected} has the score {found.score:.2f} now"
    return None


def _named(label: str, score: float) -> str:
    return f"{label} ({score:.2f})"
