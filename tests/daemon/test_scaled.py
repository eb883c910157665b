"""A model with `decode: scaled` beside the same with `exact`, asked for a large picture."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Callable, List

import cv2
import numpy as np

from tests.daemon.contract import BINARY, Json, assert_same, picture, post_form, results
from tests.pictures import decoded
from tests.support import ROOT, RunningDaemon

EXACT, SCALED = 1, 2
TIMES = 5  # the sample has 640 pixels or so, the network 320


def two_models(folder: Path) -> Path:
    for mid, way in ((EXACT, "exact"), (SCALED, "scaled")):
        model = folder / way
        shutil.copytree(ROOT / "models" / "digits", model)
        description = (model / "model.yaml").read_text(encoding="utf-8")
        description = description.replace("mid: 1\n", f"mid: {mid}\ndecode: {way}\n")
        (model / "model.yaml").write_text(description.replace("name: digits", f"name: {way}"))
    return folder


def enlarged(sample: bytes) -> bytes:
    pixels = decoded(sample)
    size = pixels.shape[1] * TIMES, pixels.shape[0] * TIMES
    large = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
    return cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def test_boxes_are_of_the_whole_picture(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    daemon = start_daemon(models=two_models(tmp_path / "models"), max_megapixels=100)
    sample = (ROOT / "models" / "digits" / "sample.jpg").read_bytes()
    large = enlarged(sample)
    small, exact, scaled = (
        sure(results(daemon.post(f"{BINARY}?mid={mid}", image)))
        for mid, image in ((EXACT, sample), (EXACT, large), (SCALED, large))
    )
    assert len(exact) >= 3
    assert_same(scaled, exact, pixels=4 * TIMES, score=0.1)
    grown = [
        {**one, "location": {side: pixels * TIMES for side, pixels in one["location"].items()}}
        for one in small
    ]
    assert_same(scaled, grown, pixels=4 * TIMES, score=0.1)
    # A small one is decoded as it is.
    assert results(daemon.post(f"{BINARY}?mid={SCALED}", sample)) == results(
        daemon.post(f"{BINARY}?mid={EXACT}", sample)
    )

    # Whether the drawn picture is asked for changes nothing but that it comes, whole.
    drawn = daemon.post(f"{BINARY}?mid={SCALED}&show=1", large)
    plain = results(daemon.post(f"{BINARY}?mid={SCALED}", large))
    assert results(drawn) == plain
    pixels = decoded(picture(drawn))
    assert pixels.shape == decoded(large).shape
    changed = np.abs(pixels.astype(int) - decoded(large)).max(axis=2) > 60
    assert changed.any()

    both = post_form(daemon, large, f"[{EXACT}, {SCALED}]").json["data"]
    assert both[1]["result"] == plain
    assert both[0]["result"] != plain  # else nothing was scaled


def sure(found: List[Json]) -> List[Json]:
    return [one for one in found if one["score"] > 0.7]
