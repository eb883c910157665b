"""GET /metrics of a daemon that serves: what is counted, what is timed, what is read."""

from __future__ import annotations

from typing import Callable

import pytest

from edged.daemon.metrics import METRICS, PROCESS_METRICS
from tests.daemon.contract import BINARY, Connection, Known, json_body, post_form, results
from tests.daemon.scraped import Scraped, grown
from tests.support import RunningDaemon, wait_for

STAGES = ("queue", "decode", "run", "draw")


@pytest.fixture
def before(daemon: RunningDaemon) -> Scraped:
    return Scraped(daemon)


def path_of(known: Known) -> str:
    return f"{BINARY}?mid={known.mid}"


def test_what_is_declared_is_what_there_is(daemon: RunningDaemon, before: Scraped) -> None:
    """prometheus_client's parser names a counter without its `_total`."""
    declared = {
        metric.name[: -len("_total")] if "counter" in metric.kind else metric.name: metric.kind
        for metric in METRICS
    }
    kinds = {name: kind.replace("sampled ", "") for name, kind in declared.items()}
    own = {name: kind for name, kind in before.kinds.items() if name.startswith("edged_")}
    assert own == kinds
    assert set(PROCESS_METRICS) == {
        one.name for one in before.samples if one.name.startswith("process_")
    }
    assert before.value("process_start_time_seconds") > 0


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text; version=x", "text/plain; version=1.x", "a" * 4000]
)
def test_whatever_a_client_accepts(daemon: RunningDaemon, accept: str) -> None:
    answer = daemon.request("GET", "/metrics", headers={"Accept": accept})
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"edged_requests" in answer.body


def test_requests_are_counted_by_their_code(
    daemon: RunningDaemon, detector: Known, before: Scraped
) -> None:
    mid = detector.mid
    assert results(daemon.post(path_of(detector), detector.image))
    assert daemon.post(path_of(detector), b"no picture").json["code"] == 336005
    assert daemon.post(path_of(detector), b"").json["code"] == 336006
    assert daemon.post(f"{BINARY}?mid=x", detector.image).json["code"] == 2001
    name = daemon.model(mid)["name"]
    local = f"/{name}/ObjectDetection"
    assert "results" in daemon.post(local, json_body(detector.image)).json
    assert daemon.post(local, b"{}").json["error_code"] == 336006
    # Of the cloud's own numbers: 3 is the EdgeBoard contract's 2002.
    assert daemon.post("/absent/ObjectDetection", b"{}").json["error_code"] == 3
    assert daemon.post("/rest/2.0/nothing", b"").json["error_code"] == 3
    assert daemon.request("GET", "/oauth/2.0/token").status == 400
    assert grown(before, Scraped(daemon)) == {
        f"{mid} edgeboard 0": 1,
        f"{mid} edgeboard 336005": 1,
        f"{mid} edgeboard 336006": 1,
        "edgeboard 2001": 1,
        f"{mid} easydl 0": 1,
        f"{mid} easydl 336006": 1,
        "easydl 3": 1,
        "ocr 3": 1,
        "token 336001": 1,
    }


def test_a_request_for_several_models_counts_at_each(
    daemon: RunningDaemon, detector: Known, classifier: Known, before: Scraped
) -> None:
    answer = post_form(daemon, detector.image, f"[{detector.mid},{classifier.mid},987654]")
    assert answer.json["code"] == 2002
    assert grown(before, Scraped(daemon)) == {
        f"{detector.mid} edgeboard 0": 1,
        f"{classifier.mid} edgeboard 0": 1,
    }


def test_no_client_makes_a_label(daemon: RunningDaemon, detector: Known, before: Scraped) -> None:
    hostile = [f"{BINARY}?mid={mid}" for mid in range(1000, 1020)]
    hostile += ['/x"}\n/ObjectDetection'.replace("\n", "%0A"), "/a/b/c", "/rpc/x", "//oauth/y"]
    for path in hostile:
        assert daemon.post(path, detector.image).json.get("code", 3) in (2002, 3)
    daemon.request("BREW", path_of(detector))
    after = Scraped(daemon)
    for label in ("mid", "dialect", "name"):
        assert after.labels(label) - before.labels(label) <= {"", "edgeboard", "easydl", "ocr"}
    known = {str(model["mid"]) for model in daemon.request("GET", "/api/models").json["data"]}
    assert after.labels("mid") <= {"", *known}
    assert after.labels("dialect") <= {"edgeboard", "easydl", "ocr", "token", "ops"}


def test_stages_are_timed(daemon: RunningDaemon, detector: Known, before: Scraped) -> None:
    for show in (0, 0, 1):
        assert results(daemon.post(f"{path_of(detector)}&show={show}", detector.image))
    assert daemon.post(path_of(detector), b"no picture").status == 400
    after = Scraped(daemon)

    def new(name: str, **more: object) -> float:
        mid = detector.mid
        return after.value(name, mid=mid, **more) - before.value(name, mid=mid, **more)

    counts = [new(f"edged_{stage}_seconds_count") for stage in ("request", *STAGES)]
    assert counts == [4, 3, 3, 3, 1]
    sums = [new(f"edged_{stage}_seconds_sum") for stage in STAGES]
    assert all(seconds > 0 for seconds in sums)
    assert sum(sums) < new("edged_request_seconds_sum")
    bounds = [float(bound) for bound in sorted(after.labels("le"), key=float)]
    assert (bounds[0], bounds[-2], bounds[-1]) == (0.001, 10, float("inf"))
    assert new("edged_run_seconds_bucket", le="+Inf") == 3


def test_what_a_model_has_and_uses(daemon: RunningDaemon, detector: Known) -> None:
    assert results(daemon.post(path_of(detector), detector.image))
    model, mid = daemon.model(detector.mid), detector.mid
    scraped = Scraped(daemon)
    assert scraped.value("edged_model_ready", mid=mid, name=model["name"]) == 1
    assert scraped.value("edged_model_workers", mid=mid) == len(model["workers"])
    assert scraped.value("edged_model_refused_total", mid=mid) == model["counters"]["refused"]
    assert scraped.value("edged_model_restarts_total", mid=mid) == model["counters"]["restarts"]
    assert scraped.value("edged_model_queued", mid=mid) == 0
    assert scraped.value("edged_model_poison_pictures", mid=mid) == 0
    assert scraped.value("edged_model_pss_bytes", mid=mid) > 1 << 20
    assert scraped.value("edged_model_cpu_seconds_total", mid=mid) > 0


def test_whoever_leaves_is_counted(
    start_daemon: Callable[..., RunningDaemon], detector: Known
) -> None:
    daemon = start_daemon()
    with Connection(daemon) as connection:
        connection.head(path_of(detector), "Content-Length: 1000\r\n")
        connection.send(b"x")
        assert daemon.request("GET", "/healthz").status == 200  # so the upload has begun

    def gone() -> float:
        return Scraped(daemon).value("edged_requests_total", mid=detector.mid, code="gone")

    wait_for(lambda: gone() == 1)
