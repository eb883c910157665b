"""What every answer tells of itself: Server-Timing and X-Request-Id."""

from __future__ import annotations

import re
from typing import Dict, List, Tuple

import pytest

from tests.daemon.contract import BINARY, Known, json_body, post_form, results
from tests.support import Answer, RunningDaemon

STAGES = ["queue", "decode", "preprocess", "run", "postprocess", "total"]


def timing(answer: Answer) -> Dict[str, float]:
    """Milliseconds by name, of a header in the form of the Server-Timing specification."""
    entries: List[Tuple[str, str]] = []
    for entry in answer.headers["server-timing"].split(", "):
        found = re.fullmatch(r"([a-z]+);dur=(\d+\.\d+)", entry)
        assert found, entry
        entries.append((found[1], found[2]))
    return {name: float(ms) for name, ms in entries}


def test_the_times_of_an_answer(daemon: RunningDaemon, detector: Known) -> None:
    path = f"{BINARY}?mid={detector.mid}"
    answer = daemon.post(path, detector.image)
    assert results(answer)
    times = timing(answer)
    assert list(times) == STAGES
    assert times["run"] > 0
    # Rounded to hundredths each.
    assert sum(times.values()) - times["total"] <= times["total"] + 0.05
    drawn = timing(daemon.post(f"{path}&show=1", detector.image))
    assert list(drawn) == [*STAGES[:-1], "draw", "total"]
    assert drawn["draw"] > 0


def test_of_several_models_one_is_timed(
    daemon: RunningDaemon, detector: Known, classifier: Known
) -> None:
    answer = post_form(daemon, detector.image, f"[{detector.mid},{classifier.mid}]")
    assert answer.json["code"] == 0
    times = timing(answer)
    assert list(times) == STAGES
    assert sum(times.values()) - times["total"] <= times["total"] + 0.05


def test_the_other_dialects(daemon: RunningDaemon, detector: Known) -> None:
    name = daemon.model(detector.mid)["name"]
    answer = daemon.post(f"/{name}/ObjectDetection", json_body(detector.image))
    assert "results" in answer.json
    assert list(timing(answer)) == STAGES


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("HEAD", "/healthz", 200),
        ("GET", "/api/models", 200),
        ("GET", "/metrics", 200),
        ("GET", BINARY, 405),
        ("POST", "/nothing", 404),
        ("POST", f"{BINARY}?mid=x", 400),
        ("POST", f"{BINARY}?mid=987654", 404),
        ("POST", "/absent/ObjectDetection", 200),
        ("POST", "/rpc/2.0/ai_custom/v1/detection/x", 200),
        ("POST", "/oauth/2.0/token", 400),
        ("OPTIONS", BINARY, 405),
    ],
)
def test_every_answer_has_its_total(
    daemon: RunningDaemon, method: str, path: str, status: int
) -> None:
    answer = daemon.request(method, path)
    assert answer.status == status
    assert list(timing(answer)) == ["total"]
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])


@pytest.mark.parametrize("known", ["a", "7f3c-4.2_x:y/z+w=@", "a" * 128])
def test_the_id_of_a_request_comes_back(daemon: RunningDaemon, known: str) -> None:
    for path, status in (("/healthz", 200), ("/nothing", 404)):
        answer = daemon.request("GET", path, headers={"X-Request-Id": known})
        assert (answer.status, answer.headers["x-request-id"]) == (status, known)


@pytest.mark.parametrize("known", ["", "a" * 129, "a b", 'a"b', "a\tb", "é", "a,b", "a;b"])
def test_one_that_is_not_fit_is_replaced(daemon: RunningDaemon, known: str) -> None:
    answers = [daemon.request("GET", "/healthz", headers={"X-Request-Id": known}) for _ in range(2)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 2
    assert known not in ids
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in ids)
