"""What becomes of a segmenter's outputs, for any way a picture was put into its input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Sequence, Tuple

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.errors import BadOutput
from edged.registry.entry import look
from edged.registry.formats.description import input_size
from edged.registry.spec import (
    AnyStep,
    CenterCrop,
    ModelFiles,
    ModelSpec,
    Pad,
    Resize,
    ResizeInside,
)
from edged.results import BBox, Result
from edged.wire import EngineOptions, Load, PredictOptions
from edged.worker.clock import Clock
from edged.worker.decode import decode as decode_picture
from edged.worker.decode import whole
from edged.worker.model import Model, Prepared
from edged.worker.rle import decode
from edged.worker.tasks.segmentation import results

STRETCH = (Resize(40, 20),)


def spec(steps: Sequence[AnyStep] = STRETCH, labels: Tuple[str, ...] = ()) -> ModelSpec:
    return ModelSpec(
        mid=1,
        name="model",
        task="segmentation",
        exporter="test",
        folder="/",
        files=ModelFiles("nb", "/model.nb"),
        preprocess=tuple(steps),
        input_size=input_size(steps),
        labels=labels,
    )


def mask_of(result: Result) -> NDArray[np.bool_]:
    code = result.extended["mask"]
    return decode(code["counts"], *code["size"])


def classes(*boxes: Tuple[int, int, int, int, int]) -> NDArray[np.int32]:
    """[1, 20, 40], 0 but for boxes of class, left, top, right, bottom."""
    map = np.zeros((1, 20, 40), np.int32)
    for index, left, top, right, bottom in boxes:
        map[0, top:bottom, left:right] = index
    return map


def probabilities(map: NDArray[np.int32], count: int, sure: float = 0.9) -> NDArray[np.float32]:
    """[1, count, H, W]"""
    rest = (1 - sure) / (count - 1)
    hot = np.arange(count)[None, :, None, None] == map[:, None]
    return np.where(hot, np.float32(sure), np.float32(rest))


def test_one_result_for_each_class_seen() -> None:
    map = classes((1, 0, 0, 10, 10), (3, 30, 5, 40, 20))
    found = results([probabilities(map, 5)], spec(labels=("road", "a", "b", "c")), 80, 40, 5)
    assert {(one.index, one.label) for one in found} == {(0, "road"), (1, "a"), (3, "c")}
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    # Less than in the middle: along the edges two classes meet.
    assert all(0.85 < one.score <= 0.9 for one in found)
    last = next(one for one in found if one.index == 3)
    assert last.location == BBox(60, 10, 20, 30)
    assert last.extended["area"] == 600 == mask_of(last).sum()
    assert last.extended["mask"]["size"] == [40, 80]
    assert mask_of(last)[10:, 60:].all()
    assert sum(one.extended["area"] for one in found) == 80 * 40


def test_logits_answer_as_probabilities() -> None:
    shares = probabilities(classes((1, 0, 0, 10, 10)), 3)
    logits = np.log(shares) + 7
    for one, other in zip(
        results([logits], spec(), 64, 48, 5), results([shares], spec(), 64, 48, 5)
    ):
        assert (one.index, one.extended) == (other.index, other.extended)
        assert one.score == pytest.approx(other.score, abs=1e-4)


@pytest.mark.parametrize(
    ("dtype", "channel"),
    [(np.int32, False), (np.int64, False), (np.int32, True), (np.float32, True)],
)
def test_a_map_of_classes(dtype: Any, channel: bool) -> None:
    map = classes((2, 10, 5, 20, 15)).astype(dtype)
    if channel:
        map = map[:, None]
    first, second = sorted(results([map], spec(), 80, 40, 5), key=lambda one: one.index)
    assert (first.index, second.index, second.score) == (0, 2, 1.0)
    assert second.location == BBox(20, 10, 20, 20)
    assert second.extended["area"] == 400


@pytest.mark.parametrize("by_class", [False, True])
def test_a_map_of_scores_beside_it(by_class: bool) -> None:
    map = classes((1, 0, 0, 20, 20))
    scores = np.where(map == 1, np.float32(0.75), np.float32(0.6))
    if by_class:
        scores = np.stack([np.where(map == 0, 0.6, 0.4), np.where(map == 1, 0.75, 0.25)], 3)
    found = results([map, scores.astype(np.float32)], spec(), 40, 20, 5)
    assert [(one.index, one.score) for one in found] == [(1, 0.75), (0, 0.6)]


@pytest.mark.parametrize("sigmoid", [False, True])
def test_one_channel_is_someone_or_no_one(sigmoid: bool) -> None:
    score = np.where(classes((1, 0, 0, 20, 20)) == 1, np.float32(0.8), np.float32(0.1))[:, None]
    output = score if sigmoid else np.log(score / (1 - score))
    (found,) = results([output], spec(), 40, 20, 5)
    assert found.index == 1
    assert found.score == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize(
    ("labels", "count", "seen"),
    [
        ((), 2, {1}),
        ((), 3, {0, 1}),
        (("background", "person"), 2, {1}),
        (("Background", "person", "dog"), 3, {1}),
        (("road", "person"), 2, {0, 1}),
    ],
)
def test_the_background_is_no_result(labels: Tuple[str, ...], count: int, seen: Any) -> None:
    found = results(
        [probabilities(classes((1, 0, 0, 9, 9)), count)], spec((*STRETCH,), labels), 40, 20, 5
    )
    assert {one.index for one in found} == seen


def test_nothing_seen_is_no_result() -> None:
    assert results([probabilities(classes(), 2)], spec(), 640, 480, 5) == []


@pytest.mark.parametrize(
    ("steps", "box"),
    [
        # A picture of 80 x 40, in which the map's columns 10 to 20, rows 5 to 15 are:
        ((Resize(40, 20),), (20, 10, 40, 30)),
        ((ResizeInside(40, 20), Pad(40, 20, align="center")), (20, 10, 40, 30)),
        ((Resize(20, 20), Pad(40, 20)), (40, 10, 80, 30)),
        ((Resize(20, 20), Pad(40, 20, align="end")), None),
        ((Resize(30, 10), Pad(40, 20, align="center")), (13, 0, 40, 40)),
        ((Resize(80, 40), CenterCrop(40, 20)), (30, 15, 40, 25)),
    ],
)
def test_where_it_is_in_the_picture(steps: Sequence[AnyStep], box: Any) -> None:
    map = classes((1, 10, 5, 20, 15))
    for output in (map, probabilities(map, 3)):
        found = {one.index: one for one in results([output], spec(steps), 80, 40, 5)}
        if box is None:
            assert 1 not in found
            continue
        at = found[1].location
        corners = (at.left, at.top, at.left + at.width, at.top + at.height)
        assert corners == pytest.approx(box, abs=1)


def test_what_is_cut_off_has_no_class() -> None:
    map = classes()
    (found,) = results([map], spec((Resize(80, 40), CenterCrop(40, 20))), 80, 40, 5)
    assert found.location == BBox(20, 10, 40, 20)
    assert found.extended["area"] == 800


@pytest.mark.parametrize("shape", [(6,), (1, 2, 20, 40), (2, 20, 40)])
def test_other_outputs_are_said_to_be_so(shape: Tuple[int, ...]) -> None:
    with pytest.raises(BadOutput, match="a segmenter answers"):
        results([np.zeros(shape, np.int32)], spec(), 40, 20, 5)


@pytest.mark.parametrize("engine", ["paddlelite", "paddle"])
@pytest.mark.parametrize("photo", ["human_lite_demo.jpg", "bus.jpg"])
def test_a_real_network(fixtures: Path, tmp_path: Path, photo: str, engine: str) -> None:
    pytest.importorskip(engine)
    model = look(fixtures / "models" / "pphumanseg_lite_192").spec
    assert model is not None
    loaded = Model(Load(model, EngineOptions(engine, str(tmp_path), 1, "high"), 1 << 40))
    picture = decode_picture((fixtures / "photos" / photo).read_bytes())
    pixels = picture.shape[0] * picture.shape[1]
    before = picture.copy()
    outcome = loaded.predict(Prepared(whole(picture), picture, 0.0), PredictOptions(), Clock())
    (person,) = outcome.results
    golden = json.loads((fixtures / "golden.json").read_text())[f"pphumanseg_lite_192/{photo}"]
    assert person.index == 1
    assert person.extended["area"] / pixels == pytest.approx(golden["person_fraction"], abs=0.003)
    mask = mask_of(person)
    assert (picture != before).any(axis=2)[mask].mean() > 0.95  # drawn on
    assert outcome.drawn[:2] == b"\xff\xd8"
