"""A model's golden answer: what counts as another answer, and what does not."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, List, Optional

import pytest

from edged.errors import ModelFolderError
from edged.registry.sample import Expected, Sample, Tolerance, read_sample, tolerance_of
from edged.results import BBox, Result


def result(index: int, score: float, box: Any = (10, 20, 100, 200)) -> Result:
    return Result(index, f"c{index}", score, BBox(*map(float, box)))


def sample(results: List[Result]) -> Sample:
    expected = (Expected(one.index, one.score, one.label, one.location) for one in results)
    return Sample(b"", tuple(expected))


CAT, DOG = result(0, 0.9), result(1, 0.7, (300, 300, 50, 60))


def test_the_same_answer_agrees() -> None:
    assert sample([CAT, DOG]).difference([CAT, DOG]) is None
    assert sample([]).difference([]) is None


def test_without_a_golden_answer_everything_agrees() -> None:
    assert Sample(b"", None).difference([CAT]) is None


def test_order_does_not_matter() -> None:
    assert (
        sample([result(0, 0.81), result(1, 0.80)]).difference([result(1, 0.81), result(0, 0.80)])
        is None
    )


def test_small_drifts_agree() -> None:
    drifted = [result(0, 0.88, (12.5, 17.5, 102, 198)), result(1, 0.725, (303, 303, 50, 60))]
    assert sample([CAT, DOG]).difference(drifted) is None


def test_a_tolerance_of_ones_own() -> None:
    tight = Tolerance(score=0.001, pixels=0.5, part=0.0)
    near, far = result(0, 0.9, (10.4, 20, 100, 200)), result(0, 0.9, (10.6, 20, 100, 200))
    assert sample([CAT]).difference([near], tolerance=tight) is None
    assert "pixels off" in str(sample([CAT]).difference([far], tolerance=tight))
    assert "has the score" in str(sample([CAT]).difference([result(0, 0.898)], tolerance=tight))
    faint = result(1, 0.52)  # what is left out near the threshold
    assert sample([CAT, faint]).difference([CAT]) is None
    assert sample([CAT, faint]).difference([CAT], tolerance=tight) is not None


@pytest.mark.parametrize(
    ("results", "complaint"),
    [
        ([CAT], "c1 (0.70) is missing"),
        ([], "c0 (0.90) is missing"),
        ([CAT, DOG, result(2, 0.6)], "c2 (0.60) is not expected"),
        ([CAT, CAT, DOG], "c0 (0.90) is not expected"),
        ([CAT, result(2, 0.7, (300, 300, 50, 60))], "c1 (0.70) is missing"),
        ([result(0, 0.86), DOG], "c0 (0.90) has the score 0.86 now"),
        ([result(0, 0.94), DOG], "c0 (0.90) has the score 0.94 now"),
        ([result(0, 0.9, (16, 20, 100, 200)), DOG], "the box of c0 (0.90) is 6.0 pixels off"),
        ([result(0, 0.9, (10, 20, 100, 206)), DOG], "the box of c0 (0.90) is 6.0 pixels off"),
        ([CAT, result(1, 0.7, (304, 300, 50, 60))], "the box of c1 (0.70) is 4.0 pixels off"),
        ([result(0, math.nan), DOG], "c0 (0.90) has the score nan now"),
        ([CAT, DOG, result(2, math.nan)], "c2 (nan) is not expected"),
        ([result(0, 0.9, (math.nan, 20, 100, 200)), DOG], "the box of c0 (0.90) is nan pixels"),
    ],
)
def test_another_answer_is_told(results: List[Result], complaint: str) -> None:
    difference = sample([CAT, DOG]).difference(results)
    assert difference is not None
    assert complaint in difference


def test_how_sure_a_line_of_text_is_read_may_drift_but_not_what_it_says() -> None:
    line = Result(0, "Total", 0.9, BBox(10, 20, 100, 30))
    less_sure = Result(0, "Total", 0.75, BBox(11, 20, 100, 30))
    other = Result(0, "Tota1", 0.9, BBox(10, 20, 100, 30))
    golden = sample([line])
    assert golden.difference([less_sure], tolerance=tolerance_of("ocr")) is None
    assert golden.difference([less_sure], tolerance=tolerance_of("detection")) is not None
    assert "Tota1" in str(golden.difference([other], tolerance=tolerance_of("ocr")))


def test_two_of_a_class_need_two() -> None:
    two = [result(0, 0.9), result(0, 0.8, (400, 20, 100, 200))]
    assert sample(two).difference(list(reversed(two))) is None
    assert sample(two).difference(two[:1]) == "c0 (0.80) is missing"


def test_another_label_of_the_same_class_is_told() -> None:
    other = Result(0, "dog", 0.9, CAT.location)
    assert sample([CAT]).difference([other]) == "class 0 is labelled dog, not c0"


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_what_is_near_the_threshold_may_come_and_go(threshold: float) -> None:
    near = result(1, threshold + 0.02, (1, 1, 9, 9))
    assert sample([CAT, near]).difference([CAT], threshold) is None
    assert sample([CAT]).difference([CAT, near], threshold) is None
    assert sample([near]).difference([], threshold) is None
    far = result(1, threshold + 0.05, (1, 1, 9, 9))
    assert sample([CAT, far]).difference([CAT], threshold) is not None
    assert sample([CAT]).difference([CAT, far], threshold) is not None


TOP = [result(index, score) for index, score in enumerate([0.40, 0.25, 0.10, 0.08, 0.07])]


def test_the_tail_of_a_classifier_may_change() -> None:
    other_tail = [*TOP[:4], result(9, 0.075)]
    assert sample(TOP).difference(other_tail) is None


def test_fewer_or_more_classes_agree() -> None:
    assert sample(TOP).difference(TOP[:3]) is None
    assert sample(TOP[:3]).difference(TOP) is None


def test_the_head_of_a_classifier_counts_below_the_threshold_too() -> None:
    swapped = [result(7, 0.40), *TOP[1:]]
    assert sample(TOP).difference(swapped) == "c0 (0.40) is missing"


GOLDEN = {
    "index": 3,
    "label": "cat",
    "score": 0.9,
    "location": {"left": 1, "top": 2.5, "width": 3, "height": 4},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sample.jpg").write_bytes(b"a picture")
    return tmp_path


def read(folder: Path, content: Any) -> Optional[Sample]:
    (folder / "sample.json").write_text(
        content if isinstance(content, str) else json.dumps(content), "utf-8"
    )
    return read_sample(folder)


def test_a_folder_without_a_sample(tmp_path: Path) -> None:
    assert read_sample(tmp_path) is None


def test_a_picture_alone(folder: Path) -> None:
    assert read_sample(folder) == Sample(b"a picture", None)


def test_a_picture_with_its_answer(folder: Path) -> None:
    found = read(folder, {"result": [GOLDEN], "took": 1})
    assert found is not None
    assert found.image == b"a picture"
    assert found.difference([Result(3, "cat", 0.9, BBox(1, 2.5, 3, 4))]) is None
    assert found.difference([]) == "cat (0.90) is missing"


def test_label_and_location_may_be_left_out(folder: Path) -> None:
    found = read(folder, {"result": [{"index": 3, "score": 0.9}]})
    assert found is not None
    assert found.difference([result(3, 0.9)]) is None
    assert found.difference([]) == "3 (0.90) is missing"


def test_an_answer_without_its_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"without sample\.jpg"):
        read(tmp_path, {"result": []})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[",
        "[]",
        "{}",
        '{"result": 1}',
        '{"result": [1]}',
        '{"result": [{"index": 1}]}',
        '{"result": [{"index": 1, "score": 1.5}]}',
        '{"result": [{"index": 1, "score": 1e999}]}',
        '{"result": [{"index": 1, "score": NaN}]}',
        '{"result": [{"index": 1, "score": 1, "location": {"left": 1}}]}',
        '{"x": ' + "[" * 100_000,
        '{"result": []' + " " * (2 << 20) + "}",
        '{"result": [{"index": 1, "score": ' + "9" * 10_000 + "}]}",
    ],
)
def test_a_broken_answer_is_refused(folder: Path, content: str) -> None:
    with pytest.raises(ModelFolderError, match=r"sample\.json"):
        read(folder, content)


def test_bytes_that_are_no_text_are_refused(folder: Path) -> None:
    (folder / "sample.json").write_bytes(b'{"result": [{"index": 1, "score": 1, "label": "\xff"}]}')
    with pytest.raises(ModelFolderError, match=r"sample\.json"):
        read_sample(folder)


def test_a_huge_picture_is_refused(folder: Path) -> None:
    with open(folder / "sample.jpg", "wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ModelFolderError, match=r"sample\.jpg is larger"):
        read_sample(folder)


def test_a_sample_does_not_lead_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "sample.jpg").symlink_to("../secret")
    with pytest.raises(ModelFolderError, match="leads out"):
        read_sample(folder)
