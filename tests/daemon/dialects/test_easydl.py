"""EasyDL's local server and the cloud's routes of EasyDL and BML: what is answered."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_masks

from edged.daemon.dialects.baidu import location_of
from edged.results import Result, clip_bbox
from tests.daemon.contract import BINARY, Json, json_body, results
from tests.daemon.dialects.cloud import (
    CLOUD,
    FORM_TYPE,
    JSON_TYPE,
    LOCAL_NAMES,
    Model,
    ask,
    content_of,
    found,
    refused,
    see,
)
from tests.support import RunningDaemon

INSIDE = {"left", "top", "width", "height"}


@pytest.fixture(scope="session", params=["cameras", "digits", "things", "coco", "people"])
def model(request: pytest.FixtureRequest) -> Model:
    found: Model = request.getfixturevalue(request.param)
    return found


def size_of(picture: bytes) -> Any:
    with Image.open(io.BytesIO(picture)) as image:
        return image.size


def by_edgeboard(daemon: RunningDaemon, model: Model) -> List[Json]:
    return results(daemon.post(f"{BINARY}?mid={model.mid}", model.image))


# -- what is answered


def test_the_same_as_by_the_other_api(daemon: RunningDaemon, model: Model) -> None:
    seen, expected = see(daemon, model), by_edgeboard(daemon, model)
    assert seen
    pairs = list(zip(seen, expected))  # of classes the other API answers five
    assert len(pairs) == len(expected)
    assert len(seen) == (6 if model.task == "classification" else len(expected))
    for result, other in pairs:
        assert (result["name"], result["score"]) == (other["label"], other["score"])


def test_the_fields_of_each_task(daemon: RunningDaemon, model: Model) -> None:
    fields = {
        "classification": {"name", "score"},
        "detection": {"name", "score", "location"},
        "segmentation": {"name", "score", "location", "mask"},
    }
    for result in see(daemon, model):
        assert set(result) == fields[model.task]
        assert isinstance(result["name"], str)
        assert 0 <= result["score"] <= 1


@pytest.mark.parametrize("model", ["digits", "coco", "people"], indirect=True)
def test_places_are_whole_pixels_of_the_picture(daemon: RunningDaemon, model: Model) -> None:
    width, height = size_of(model.image)
    for result, other in zip(see(daemon, model), by_edgeboard(daemon, model)):
        box = result["location"]
        assert set(box) == INSIDE
        assert all(type(value) is int for value in box.values())
        assert 0 <= box["left"] <= box["left"] + box["width"] <= width
        assert 0 <= box["top"] <= box["top"] + box["height"] <= height
        assert all(abs(box[side] - other["location"][side]) <= 1 for side in INSIDE)


corners = st.floats(-5, 105)


@given(corners, corners, corners, corners)
def test_rounding_leaves_no_box_outside(x1: float, y1: float, x2: float, y2: float) -> None:
    box = location_of(Result(0, "", 1.0, clip_bbox(x1, y1, x2, y2, 100, 99)))
    assert 0 <= box.left <= box.left + box.width <= 100
    assert 0 <= box.top <= box.top + box.height <= 99


def test_rounding_of_two_halves() -> None:
    box = location_of(Result(0, "", 1.0, clip_bbox(1.5, 1.5, 99, 99, 99, 99)))
    assert (box.left + box.width, box.top + box.height) == (99, 99)


def test_a_mask_is_of_the_pictures_size(daemon: RunningDaemon, people: Model) -> None:
    (person,) = see(daemon, people)
    width, height = size_of(people.image)
    mask = coco_masks.decode({"size": [height, width], "counts": person["mask"].encode()})
    assert mask.shape == (height, width)
    assert 0 < mask.sum() < mask.size
    rows, columns = np.nonzero(mask)
    box = person["location"]
    assert (columns.min(), rows.min()) == (box["left"], box["top"])
    right, bottom = box["left"] + box["width"], box["top"] + box["height"]
    assert (columns.max() + 1, rows.max() + 1) == (right, bottom)


def test_classes_as_the_reference_has_them(
    daemon: RunningDaemon, things: Model, fixtures: Path
) -> None:
    golden = json.loads((fixtures / "golden.json").read_text())["squeezenet_v1_1/tabby_cat.jpg"]
    for result, (index, label, score) in zip(see(daemon, things), golden):
        assert f"{index} {result['name']}" == label
        assert result["score"] == pytest.approx(score, abs=0.005)


# -- top_num and threshold


@pytest.mark.parametrize(
    "top", [1, 3, 7, 8, "1", "3", " 4 ", "007", "0000000003", 2**31, 10**30, "9" * 400]
)
def test_top_num(daemon: RunningDaemon, cameras: Model, top: object) -> None:
    seen = see(daemon, cameras, top_num=top)
    wanted = int(str(top)[:20])
    assert len(seen) == min(wanted, 7)
    scores = [result["score"] for result in seen]
    assert scores == sorted(scores, reverse=True)
    assert len({result["name"] for result in seen}) == len(seen)


def test_without_top_num_there_are_six(daemon: RunningDaemon, cameras: Model) -> None:
    assert len(see(daemon, cameras)) == 6
    assert len(see(daemon, cameras, top_num=None)) == 6


@pytest.mark.parametrize(
    "top",
    [0, -1, "0", "-1", "many", "", "1.5", "5.0", 1.5, 5.0, True, [1], {"a": 1}, "一", "1e1", "²"],
)
def test_no_top_num(daemon: RunningDaemon, cameras: Model, top: object) -> None:
    content = ask(daemon, cameras.local, json_body(cameras.image, top_num=top))
    assert refused(content) == 336001
    assert content["error_msg"].startswith("Invalid Argument")
    assert "top_num" in content["error_msg"]


@pytest.mark.parametrize("threshold", [0, 0.3, 0.9, 1, "0.3", "0.9"])
def test_threshold(daemon: RunningDaemon, digits: Model, threshold: Any) -> None:
    least = float(threshold)
    seen = see(daemon, digits, threshold=threshold)
    assert all(result["score"] >= least for result in seen)
    of_all = see(daemon, digits, threshold=0)
    assert len(seen) == sum(result["score"] >= least for result in of_all)


def test_without_threshold_it_is_the_models(daemon: RunningDaemon, digits: Model) -> None:
    assert see(daemon, digits) == see(daemon, digits, threshold=0.5)
    assert len(see(daemon, digits)) < len(see(daemon, digits, threshold=0))
    assert see(daemon, digits, threshold=None) == see(daemon, digits)


@pytest.mark.parametrize(
    "threshold", [-0.1, 1.1, "high", "", "nan", "inf", "0_1", "１", True, [0.5]]
)
def test_no_threshold(daemon: RunningDaemon, digits: Model, threshold: object) -> None:
    content = ask(daemon, digits.local, json_body(digits.image, threshold=threshold))
    assert refused(content) == 336001
    assert "threshold" in content["error_msg"]


# -- routes


@pytest.mark.parametrize("prefix", CLOUD)
def test_the_cloud_answers_the_same(
    daemon: RunningDaemon, token: str, model: Model, prefix: str
) -> None:
    body = json_body(model.image)
    assert found(ask(daemon, model.cloud(token, prefix), body)) == see(daemon, model)


@pytest.mark.parametrize("prefix", CLOUD)
def test_the_cloud_wants_a_token(daemon: RunningDaemon, cameras: Model, prefix: str) -> None:
    path = cameras.cloud("", prefix)
    for spelling in (path, path.partition("?")[0]):
        assert refused(ask(daemon, spelling, json_body(cameras.image))) == 100


CONTENT_TYPES = [
    {},
    JSON_TYPE,
    FORM_TYPE,
    {"Content-Type": "application/json;charset=UTF-8"},
    {"Content-Type": "application/json; charset=GBK"},
    {"Content-Type": "text/plain"},
    {"Content-Type": "multipart/form-data; boundary=edge"},
    {"Content-Type": "nonsense"},
]


@pytest.mark.parametrize("headers", CONTENT_TYPES)
def test_it_is_json_whatever_its_type_says(
    daemon: RunningDaemon, token: str, cameras: Model, headers: Dict[str, str]
) -> None:
    body = json_body(cameras.image)
    for path in (cameras.local, cameras.cloud(token)):
        assert len(found(ask(daemon, path, body, headers))) == 6


def test_a_name_that_is_not_there(daemon: RunningDaemon, token: str, cameras: Model) -> None:
    body = json_body(cameras.image)
    for name in ("absent", "CAMERA-CHECK", "2", "%E7%8C%AB", "%0Alog", "a%2Fb", "a" * 3000):
        other = cameras._replace(name=name)
        for path in (other.local, other.cloud(token)):
            content = ask(daemon, path, body)
            assert refused(content) == 3
            assert content["error_msg"].startswith("Unsupported openapi method")
    assert not any(line.startswith("log") for line in daemon.log().splitlines())


def test_a_model_of_another_task(daemon: RunningDaemon, token: str, model: Model) -> None:
    for task in set(LOCAL_NAMES) - {model.task}:
        other = model._replace(task=task)
        for path in (other.local, other.cloud(token)):
            content = ask(daemon, path, json_body(model.image))
            assert refused(content) == 3
            assert model.name in content["error_msg"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_post(daemon: RunningDaemon, cameras: Model, method: str) -> None:
    content = content_of(daemon, daemon.request(method, cameras.local))
    assert refused(content) == 3


@pytest.mark.parametrize(
    "path", ["/rpc/2.0/nothing", "/rest/2.0/ocr/v1/idcard", "/rest/", "/a/b/ImageClassification"]
)
def test_a_route_that_is_not_there(daemon: RunningDaemon, cameras: Model, path: str) -> None:
    answer = daemon.post(path, json_body(cameras.image))
    if path.startswith("/a/"):  # nobody's route: in the form of the board's own API
        assert (answer.status, answer.json["code"]) == (404, 3)
    else:
        assert refused(content_of(daemon, answer)) == 3


# -- log_id


def test_no_token_in_the_log(daemon: RunningDaemon) -> None:
    """Where `&` stands for the `?` before the query, a token is part of the path."""
    for path in ("/rpc/2.0/x&access_token=SECRET.SECRET", "/rest/y%3Faccess_token=SECRET.SECRET"):
        assert refused(daemon.post(path, b"").json) == 3
    assert "SECRET" not in daemon.log()


@pytest.mark.parametrize("path", ["/rpc", "/rest", "//rpc/2.0/x", "//digits/ObjectDetection"])
def test_a_wrong_path_has_an_error_of_these_dialects(daemon: RunningDaemon, path: str) -> None:
    answer = daemon.post(path, b"{}")
    assert (answer.status, refused(answer.json)) == (200, 3)


def test_every_answer_has_a_number_of_its_own(daemon: RunningDaemon, cameras: Model) -> None:
    bodies = [json_body(cameras.image), b"{}", b"junk", json_body(b"junk")] * 16
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda body: ask(daemon, cameras.local, body), bodies))
    assert len({content["log_id"] for content in answers}) == len(bodies)
    assert sum("results" in content for content in answers) == 16
