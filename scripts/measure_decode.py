"""What `decode: scaled` changes in the answers, as a table.

    .venv/bin/python scripts/measure_decode.py MODELS PICTURES [PICTURES ...]

Each model in the folder MODELS that is not for text sees each JPEG below the folders PICTURES:
as it is, and as a camera of 1080 lines and one of 2160 would send it. Only pictures that are
reduced count. Beside `scaled` stands a yardstick: the exact decode of the same picture saved
once more, at quality 90.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edged.errors import EdgedError  # noqa: E402
from edged.registry.registry import scan  # noqa: E402
from edged.registry.spec import Decoding, ModelSpec  # noqa: E402
from edged.results import BBox, Result  # noqa: E402
from edged.wire import EngineOptions, Load, PredictOptions  # noqa: E402
from edged.worker.clock import Clock  # noqa: E402
from edged.worker.decode import decode  # noqa: E402
from edged.worker.model import Model, Prepared  # noqa: E402
from edged.worker.rle import decode as decode_mask  # noqa: E402

LINES = (1080, 2160)
SURE = 0.5  # least score of what is compared
ASKED = PredictOptions(top=1)

Answer = List[Result]


class Difference(NamedTuple):
    """Of one picture: results that are in both answers, and in only one. Of those in both how
    far apart the scores are, and the boxes' corners in parts of the shorter side, or what of
    the masks' union is not in both.
    """

    same: int
    other: int
    scores: List[float]
    places: List[float]


def pictures(folders: Sequence[str]) -> Iterator[bytes]:
    for folder in folders:
        for path in sorted(Path(folder).rglob("*.jp*g")):
            data = path.read_bytes()
            try:
                pixels = decode(data)
            except EdgedError:
                continue
            yield data
            for lines in LINES:
                ratio = lines / min(pixels.shape[:2])
                if ratio < 1:
                    small = cv2.resize(
                        pixels, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA
                    )
                    yield saved(small, 85)


def saved(pixels: cv2.typing.MatLike, quality: int) -> bytes:
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


class Way:
    """A model, loaded once for one way to decode."""

    def __init__(self, spec: ModelSpec, decoding: Decoding, cache: str) -> None:
        options = EngineOptions("paddlelite", cache, threads=1, power_mode="high")
        spec = msgspec.structs.replace(spec, decode=decoding)
        self._model = Model(Load(spec, options, 1 << 40))

    def __call__(self, data: bytes) -> Answer:
        return self._predict(self._model.prepare(data, ASKED))

    def if_reduced(self, data: bytes) -> Optional[Answer]:
        """None for a picture that is decoded whole."""
        prepared = self._model.prepare(data, ASKED)
        return None if prepared.picture.is_whole else self._predict(prepared)

    def _predict(self, prepared: Prepared) -> Answer:
        return self._model.predict(prepared, ASKED, Clock()).results


def overlap(one: BBox, other: BBox) -> float:
    """Intersection over union."""
    left, top = max(one.left, other.left), max(one.top, other.top)
    right = min(one.left + one.width, other.left + other.width)
    bottom = min(one.top + one.height, other.top + other.height)
    common = max(right - left, 0) * max(bottom - top, 0)
    return common / max(one.width * one.height + other.width * other.height - common, 1e-9)


def masks_overlap(one: Result, other: Result) -> float:
    """Intersection over union."""
    first, second = (
        decode_mask(mask["counts"], *mask["size"])
        for mask in (one.extended["mask"], other.extended["mask"])
    )
    return float((first & second).sum() / (first | second).sum())


def compare(exact: Answer, changed: Answer, task: str, side: int) -> Difference:
    """`side` is the picture's shorter one, in pixels."""
    left = [one for one in changed if one.score >= SURE]
    same, scores, places = 0, [], []
    wanted = [one for one in exact if one.score >= SURE]
    for one in wanted:
        matching = [other for other in left if other.index == one.index]
        if task == "detection":
            matching = [other for other in matching if overlap(one.location, other.location) >= 0.5]
        if not matching:
            continue
        best = max(matching, key=lambda other: overlap(one.location, other.location))
        left.remove(best)
        same += 1
        scores.append(abs(one.score - best.score))
        if task == "detection":
            places.append(corner_difference(one.location, best.location) / side)
        elif task == "segmentation":
            places.append(1 - masks_overlap(one, best))
    return Difference(same, len(wanted) - same + len(left), scores, places)


def corner_difference(one: BBox, other: BBox) -> float:
    return max(
        abs(one.left - other.left),
        abs(one.top - other.top),
        abs(one.left + one.width - other.left - other.width),
        abs(one.top + one.height - other.top - other.height),
    )


def row(name: str, way: str, differences: Sequence[Difference]) -> str:
    same, other = sum(one.same for one in differences), sum(one.other for one in differences)
    scores = spread([score for one in differences for score in one.scores], "{:.3f}")
    places = spread([100 * place for one in differences for place in one.places], "{:.2f} %")
    share = f"{same} of {same + other}"
    return f"| {name} | {way} | {len(differences)} | {share} | {scores} | {places} |"


def spread(values: Sequence[float], form: str) -> str:
    """Median and 95th percentile."""
    if len(values) < 2:
        return "-"
    p95 = statistics.quantiles(values, n=20, method="inclusive")[-1]
    return f"{form.format(statistics.median(values))}, {form.format(p95)}"


def main(models: str, *folders: str) -> None:
    with tempfile.TemporaryDirectory() as cache:
        specs = [entry.spec for entry in scan(Path(models), Path(cache)) if entry.spec]
        specs = [spec for spec in specs if spec.task != "ocr"]
        ways = [(spec, Way(spec, "exact", cache), Way(spec, "scaled", cache)) for spec in specs]
        found: List[List[Tuple[Difference, Difference]]] = [[] for _ in specs]
        for data in pictures(folders):
            pixels = decode(data)
            again, side = saved(pixels, 90), min(pixels.shape[:2])
            for differences, (spec, exact, scaled) in zip(found, ways):
                answer, reduced = exact(data), scaled.if_reduced(data)
                if reduced is not None:
                    differences.append(
                        (
                            compare(answer, reduced, spec.task, side),
                            compare(answer, exact(again), spec.task, side),
                        )
                    )
    print("| model | exact against | pictures | same results | score | box or mask |")
    print("|---|---|---|---|---|---|")
    for spec, differences in zip(specs, found):
        print(row(spec.name, "scaled", [scaled for scaled, _ in differences]))
        print(row(spec.name, "saved again", [again for _, again in differences]))


if __name__ == "__main__":
    main(*sys.argv[1:])
