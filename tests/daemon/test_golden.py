"""Real models of other makers, held to what a reference implementation answered."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from edged.worker.rle import decode
from tests.daemon.contract import (
    BASE64,
    BINARY,
    MULTIPART,
    V1_BASE64,
    V1_BINARY,
    V1_MULTIPART,
    Json,
    assert_same,
    json_body,
    post_form,
    results,
)
from tests.support import Answer, RunningDaemon

DETECTOR, CLASSIFIER, SEGMENTER = 10, 11, 12
DETECTION_PHOTOS = ["dog_bike_car.jpg", "bus.jpg", "coco_000000014439.jpg"]
CLASSIFICATION_PHOTOS = ["tabby_cat.jpg", "dog_bike_car.jpg"]
SEGMENTATION_PHOTOS = ["human_lite_demo.jpg", "bus.jpg"]

Post = Callable[[RunningDaemon, int, bytes], Answer]


def _only_entry(answer: Answer) -> Answer:
    """A multipart answer for one model in the form of the others."""
    content = answer.json
    (entry,) = content["data"]
    return answer._replace(body=json.dumps({**content, "data": entry}).encode())


POSTS: Dict[str, Post] = {
    "base64": lambda daemon, mid, image: daemon.post(f"{BASE64}?mid={mid}", json_body(image)),
    "binary": lambda daemon, mid, image: daemon.post(f"{BINARY}?mid={mid}", image),
    "multipart": lambda daemon, mid, image: _only_entry(post_form(daemon, image, f"[{mid}]")),
}


@pytest.fixture(scope="module")
def golden(fixtures: Path) -> Dict[str, Any]:
    content: Dict[str, Any] = json.loads((fixtures / "golden.json").read_text())
    return content


def expected_boxes(golden: Dict[str, Any], photo: str) -> List[Json]:
    return [
        {
            "label": label,
            "score": score,
            "location": {"left": x1, "top": y1, "width": x2 - x1, "height": y2 - y1},
        }
        for label, score, x1, y1, x2, y2 in golden[f"picodet_xs_320_coco/{photo}"]
    ]


def assert_classes(found: List[Json], golden: Dict[str, Any], photo: str) -> None:
    """In the same order, with what stands behind the index for a label."""
    expected = golden[f"squeezenet_v1_1/{photo}"]
    assert [result["index"] for result in found] == [index for index, _, _ in expected]
    for result, (index, label, score) in zip(found, expected):
        assert f"{index} {result['label']}" == label
        assert result["score"] == pytest.approx(score, abs=0.005)


@pytest.mark.parametrize("photo", DETECTION_PHOTOS)
@pytest.mark.parametrize("post", POSTS.values(), ids=POSTS)
def test_picodet(
    daemon: RunningDaemon, fixtures: Path, golden: Dict[str, Any], post: Post, photo: str
) -> None:
    image = (fixtures / "photos" / photo).read_bytes()
    found = results(post(daemon, DETECTOR, image))
    expected = expected_boxes(golden, photo)
    assert len(expected) >= 3
    assert_same(found, expected, pixels=1.0, score=0.005)


@pytest.mark.parametrize("photo", CLASSIFICATION_PHOTOS)
@pytest.mark.parametrize("post", POSTS.values(), ids=POSTS)
def test_squeezenet(
    daemon: RunningDaemon, fixtures: Path, golden: Dict[str, Any], post: Post, photo: str
) -> None:
    image = (fixtures / "photos" / photo).read_bytes()
    assert_classes(results(post(daemon, CLASSIFIER, image)), golden, photo)


@pytest.mark.parametrize("photo", SEGMENTATION_PHOTOS)
@pytest.mark.parametrize("post", POSTS.values(), ids=POSTS)
def test_pphumanseg(
    daemon: RunningDaemon, fixtures: Path, golden: Dict[str, Any], post: Post, photo: str
) -> None:
    image = (fixtures / "photos" / photo).read_bytes()
    (person,) = results(post(daemon, SEGMENTER, image))
    assert person["index"] == 1
    mask = person["extended"]["mask"]
    decoded = decode(mask["counts"], *mask["size"])
    assert decoded.sum() == person["extended"]["area"]
    expected = golden[f"pphumanseg_lite_192/{photo}"]["person_fraction"]
    assert decoded.mean() == pytest.approx(expected, abs=0.003)


@pytest.mark.parametrize("path", [MULTIPART, V1_MULTIPART])
def test_two_models_on_one_picture_in_one_call(
    daemon: RunningDaemon, fixtures: Path, golden: Dict[str, Any], path: str
) -> None:
    photo = "dog_bike_car.jpg"
    image = (fixtures / "photos" / photo).read_bytes()
    answer = post_form(daemon, image, f"[{CLASSIFIER},{DETECTOR}]", path)
    assert (answer.status, answer.json["code"]) == (200, 0)
    classes, boxes = answer.json["data"]
    assert (classes["model_id"], boxes["model_id"]) == (CLASSIFIER, DETECTOR)
    assert_classes(classes["result"], golden, photo)
    assert_same(boxes["result"], expected_boxes(golden, photo), pixels=1.0, score=0.005)


def test_pictures_sent_at_once_get_each_its_own_answer(
    daemon: RunningDaemon, fixtures: Path, golden: Dict[str, Any]
) -> None:
    """Different pictures, models and endpoints side by side, within the queue."""
    images = {path.name: path.read_bytes() for path in (fixtures / "photos").glob("*.jpg")}

    def detect(photo: str, path: str) -> None:
        answer = (
            daemon.post(f"{path}?mid={DETECTOR}", images[photo])
            if path in (BINARY, V1_BINARY)
            else daemon.post(f"{path}?mid={DETECTOR}", json_body(images[photo]))
        )
        assert_same(results(answer), expected_boxes(golden, photo), pixels=1.0, score=0.005)

    def classify(photo: str) -> None:
        answer = daemon.post(f"{BINARY}?mid={CLASSIFIER}&show=1", images[photo])
        assert_classes(results(answer), golden, photo)

    with ThreadPoolExecutor(8) as clients:
        asked = [
            clients.submit(detect, photo, path)
            for path in (BINARY, BASE64, V1_BINARY)
            for photo in DETECTION_PHOTOS
        ]
        asked += [clients.submit(classify, photo) for photo in CLASSIFICATION_PHOTOS * 3]
        for done in asked:
            done.result()


def test_v1_base64_answers_the_same(daemon: RunningDaemon, fixtures: Path) -> None:
    image = (fixtures / "photos" / "bus.jpg").read_bytes()
    v1_body = json_body(image).replace(b'"image"', b'"base64_img"')
    v1 = daemon.post(f"{V1_BASE64}?mid={DETECTOR}", v1_body)
    assert v1.json == POSTS["base64"](daemon, DETECTOR, image).json
