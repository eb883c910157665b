"""Which pictures a model collects, and what its labels are called in a dataset."""

from __future__ import annotations

import re
from typing import Dict, List, Tuple

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edged.datasets.collect import Selection, labels_of, seen
from edged.datasets.label_names import label_name
from edged.datasets.rules import check_labels
from edged.registry.spec import Classes, Collect, LabelRule, ModelFiles, ModelSpec, Task
from edged.results import BBox, Prediction, Result, Stages

RULE = re.compile("[0-9A-Za-z_-]+")  # and 20 bytes at most: the API's words
HELMET = "头盔"


def spec_of(task: Task = "detection", **more: object) -> ModelSpec:
    files = ModelFiles("nb", "x.nb")
    spec = ModelSpec(
        task=task, files=files, mid=1, name="m", exporter="native", folder="/m", input_size=(8, 8)
    )
    return msgspec.structs.replace(spec, **more)


def result(label: str, score: float, box: Tuple[float, ...] = (0, 0, 1, 1)) -> Result:
    return Result(0, label, score, BBox(*box))


def prediction(*results: Result, size: Tuple[int, int] = (64, 48)) -> Prediction:
    return Prediction(list(results), *size, Stages(0, 0, 0, 0, 0))


def taken(collect: Collect, pictures: List[List[Result]], seconds: float = 100.0) -> List[int]:
    """The numbers of those that are; they come so many `seconds` apart."""
    selection = Selection(collect)
    return [n for n, one in enumerate(pictures) if selection.takes(one, n * seconds)]


SURE, UNSURE, NOTHING = [result("a", 0.9)], [result("a", 0.9), result("b", 0.3)], []  # type: ignore[var-annotated]


def test_below_a_score() -> None:
    """Of anything that is seen. Where nothing is seen there is no score."""
    assert taken(Collect("d", below=0.5), [SURE, UNSURE, NOTHING, [result("a", 0.5)]]) == [1]
    assert taken(Collect("d"), [SURE, UNSURE, NOTHING]) == [0, 1, 2]


def test_one_in_so_many_of_those_that_are_wanted() -> None:
    pictures = [UNSURE, SURE, SURE, UNSURE, UNSURE, SURE, UNSURE]
    assert taken(Collect("d", below=0.5, every=3), pictures) == [0, 6]
    assert taken(Collect("d", every=3), pictures) == [0, 3, 6]


def test_labels_each_by_a_rule_of_its_own() -> None:
    labels = {"a": LabelRule(), "b": LabelRule(below=0.8), "c": LabelRule(every=2)}
    collect = Collect("d", below=0.5, labels=labels)
    assert taken(collect, [[result("x", 0.1)], NOTHING]) == []
    assert taken(collect, [[result("a", 0.6)], [result("a", 0.4)]]) == [1]
    assert taken(collect, [[result("b", 0.9)], [result("b", 0.6)]]) == [1]
    assert taken(collect, [[result("c", 0.4)]] * 4) == [0, 2]
    # A score of another label is none of its business.
    assert taken(collect, [[result("a", 0.6), result("x", 0.1)]]) == []


def test_a_picture_counts_for_each_of_its_labels() -> None:
    labels = {"a": LabelRule(), "c": LabelRule(every=2)}
    both, c = [result("a", 0.4), result("c", 0.4)], [result("c", 0.4)]
    assert taken(Collect("d", labels=labels), [both, c, c]) == [0, 2]


def test_so_many_a_minute_evenly() -> None:
    """Not the first of it, which are the frames of one second."""
    collect = Collect("d", per_minute=2)
    assert taken(collect, [SURE] * 8, seconds=10) == [0, 3, 6]
    assert taken(collect, [SURE] * 4, seconds=59) == [0, 1, 2, 3]
    # What is not wanted takes nobody's place.
    low = Collect("d", below=0.5, per_minute=2)
    assert taken(low, [SURE, UNSURE, SURE, UNSURE, UNSURE], seconds=10) == [1, 4]


def test_what_is_seen() -> None:
    """Of classes that exclude each other the best alone: the others are never sure."""
    classes = [result("a", 0.9), result("b", 0.1)]
    assert seen(spec_of("classification"), prediction(*classes)) == classes[:1]
    several = spec_of("classification", classes=Classes("each"))
    assert seen(several, prediction(*classes)) == classes
    assert seen(spec_of("classification"), prediction()) == []
    # A client may have asked for boxes of any score.
    assert seen(spec_of("detection", threshold=0.5), prediction(*classes)) == classes[:1]


def test_boxes_lie_in_the_picture() -> None:
    boxes = [
        (-3.0, -2.5, 10.0, 10.0),
        (60.6, 40.2, 30.0, 30.0),
        (1.4, 1.6, 2.2, 2.2),
        (70.0, 0.0, 5.0, 5.0),  # outside
        (5.1, 5.1, 0.2, 0.2),  # not a pixel
    ]
    found = prediction(*(result("a", 0.9, box) for box in boxes))
    labels = labels_of(spec_of(), found)
    assert [label.box for label in labels] == [(0, 0, 7, 8), (61, 40, 3, 8), (1, 2, 3, 2)]


@given(st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 4), max_size=5))
def test_the_api_takes_what_is_collected(boxes: List[Tuple[float, ...]]) -> None:
    found = prediction(*(result(HELMET, 0.9, box) for box in boxes), size=(641, 479))
    check_labels(labels_of(spec_of(), found), "OBJECT_DETECTION", 641, 479)


def test_labels_without_boxes_stand_once() -> None:
    found = prediction(result("a", 0.9), result(HELMET, 0.8), result("a", 0.7))
    labels = labels_of(spec_of("segmentation"), found)
    assert [(label.box, label.origin) for label in labels] == [(None, ""), (None, HELMET)]


NAMES: Dict[str, str] = {
    "dog": "dog",
    "a-b_c": "a-b_c",
    "x" * 20: "x" * 20,
    "traffic light": "traffic-l-",
    "x" * 21: "xxxxxxxxx-",
    HELMET: "",
    "": "",
    "dog ": "dog-",
}


@pytest.mark.parametrize("label", NAMES, ids=ascii)
def test_names(label: str) -> None:
    """What is allowed stays; else as much of it as can, and ten signs of its digest."""
    name, shown = label_name(label), NAMES[label]
    if label == shown and label:
        assert name == label
    else:
        assert re.fullmatch(f"{shown}[a-z2-7]{{10}}", name)


def test_a_name_is_the_same_for_ever() -> None:
    """A dataset that has been collected for a year must not get each label twice."""
    assert label_name("traffic light") == "traffic-l-gtlttfrvo4"


@given(st.lists(st.text(), unique=True))
@example(["a b", "a  b", "a-b", "a_b", "A b"])
@example(["x" * 21, "x" * 22])
def test_names_do_not_collide(labels: List[str]) -> None:
    names = [label_name(label) for label in labels]
    assert len(set(names)) == len(labels)
    assert all(RULE.fullmatch(name) and len(name.encode()) <= 20 for name in names)
