"""What operators ask: /healthz, /readyz, /api/models, in each state a model can be in."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from functools import partial
from pathlib import Path
from typing import Callable, Iterator, List

import msgpack  # type: ignore[import-untyped]
import pytest

from tests.daemon.contract import BINARY, MSGPACK, Connection, Known, post_form, results
from tests.daemon.processes import HELD
from tests.support import RunningDaemon, descendants, wait_for

BROKEN = """
mid: 77
name: broken
task: detection
model: model.nb
labels: [a]
preprocess:
  - {op: resize, width: 32, height: 32}
"""


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder of one model, which cannot be served."""
    folder = tmp_path / "models" / "broken"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(BROKEN)
    (folder / "model.nb").write_bytes(b"no model at all")
    return folder.parent


def test_healthz(daemon: RunningDaemon) -> None:
    answer = daemon.request("GET", "/healthz")
    assert (answer.status, answer.json) == (200, {"alive": True})
    assert daemon.request("HEAD", "/healthz").status == 200


def test_readyz(daemon: RunningDaemon) -> None:
    answer = daemon.request("GET", "/readyz")
    assert (answer.status, answer.json) == (200, {"ready": True, "loading": [], "failed": []})


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_only_get_is_taken(daemon: RunningDaemon, path: str) -> None:
    answer = daemon.post(path, b"x")
    assert (answer.status, answer.json["code"]) == (405, 3)
    assert answer.headers["allow"] == "GET, HEAD"


def test_models(daemon: RunningDaemon, detector: Known, classifier: Known) -> None:
    content = daemon.request("GET", "/api/models").json
    assert (content["code"], content["msg"]) == (0, "success")
    by_mid = {model["mid"]: model for model in content["data"]}
    assert len(by_mid) == len(content["data"])
    for known, task in ((detector, "detection"), (classifier, "classification")):
        model = by_mid[known.mid]
        assert (model["task"], model["state"], model["reason"]) == (task, "ready", "")
        assert model["name"]
        assert len(model["input_size"]) == 2
        assert model["labels"]
        assert model["workers"]
        counted = {"answered", "failed", "refused", "restarts", "queued", "poison"}
        assert set(model["counters"]) == counted


def test_models_in_msgpack(daemon: RunningDaemon) -> None:
    answer = daemon.request("GET", "/api/models", headers=MSGPACK)
    models = msgpack.unpackb(answer.body)["data"]
    assert [model["mid"] for model in models] == [
        model["mid"] for model in daemon.request("GET", "/api/models").json["data"]
    ]


def test_counters_count(daemon: RunningDaemon, detector: Known) -> None:
    before = daemon.model(detector.mid)["counters"]
    path = f"{BINARY}?mid={detector.mid}"
    assert results(daemon.post(path, detector.image))
    assert daemon.post(path, detector.image[:-1000]).status == 400
    assert daemon.post(path, b"no picture").status == 400  # no worker has seen it
    after = daemon.model(detector.mid)["counters"]
    assert after["answered"] == before["answered"] + 1
    assert after["failed"] == before["failed"] + 1
    assert after["restarts"] == before["restarts"]
    assert after["queued"] == 0


def test_a_model_that_cannot_be_served(
    start_daemon: Callable[..., RunningDaemon], detector: Known, models: Path, broken: Path
) -> None:
    """It is listed with the reason and refused with 503; the others are served."""
    shutil.copytree(models, broken, dirs_exist_ok=True)
    daemon = start_daemon(models=broken)
    model = daemon.model(77)
    assert (model["state"], model["workers"]) == ("failed", [])
    assert model["reason"]
    ready = daemon.request("GET", "/readyz")
    assert (ready.status, ready.json["failed"]) == (200, ["broken"])
    refused = daemon.post(f"{BINARY}?mid=77", detector.image)
    assert (refused.status, refused.json["code"]) == (503, 336100)
    assert model["reason"] in refused.json["msg"]
    assert int(refused.headers["retry-after"]) >= 1
    both = post_form(daemon, detector.image, f"[{detector.mid},77]")
    assert (both.status, both.json["code"]) == (200, 336100)
    assert int(both.headers["retry-after"]) >= 1
    good, failed = both.json["data"]
    assert good["result"]
    assert (failed["code"], failed["result"]) == (336100, [])


def test_when_no_model_can_be_served_the_daemon_is_not_ready(
    start_daemon: Callable[..., RunningDaemon], broken: Path, tmp_path: Path
) -> None:
    daemon = start_daemon(models=broken, state=tmp_path / "state")
    answer = daemon.request("GET", "/readyz")
    assert (answer.status, answer.json["ready"]) == (503, False)
    assert daemon.request("GET", "/healthz").status == 200


@pytest.fixture
def loading(models: Path, tmp_path: Path) -> Iterator[RunningDaemon]:
    """A daemon whose fork server is stopped before it can serve: its models stay loading.

    Its state is new, so that afterwards each model takes the time of its own conversion.
    """
    for number in range(9):
        port = free_port()
        state = tmp_path / f"state-{number}"
        listen = f"127.0.0.1:{port}"
        daemon = RunningDaemon(wait=False, models=models, state=state, listen=listen)
        daemon.port = port
        (fork_server,) = wait_for(partial(started_programs, daemon))
        os.kill(fork_server, signal.SIGSTOP)
        if not descendants(fork_server):
            break
        os.kill(fork_server, signal.SIGCONT)  # it was too quick: once more
        daemon.close()
    try:
        wait_for(lambda: listens(daemon.port))
        yield daemon
        os.kill(fork_server, signal.SIGCONT)
        wait_for(lambda: is_ready(daemon))
        daemon.wait_loaded()
    finally:
        os.kill(fork_server, signal.SIGCONT)
        daemon.close()


def started_programs(daemon: RunningDaemon) -> List[int]:
    """The children that run a program of their own; the daemon waits until they do."""

    def program(pid: int) -> bytes:
        return Path(f"/proc/{pid}/cmdline").read_bytes()

    return [pid for pid in daemon.children() if program(pid) != program(daemon.process.pid)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_ready(daemon: RunningDaemon) -> bool:
    """As /readyz says it, which must not say so while one model still loads."""
    answer = daemon.request("GET", "/readyz")
    assert (answer.status == 200) is answer.json["ready"]
    assert not (answer.json["ready"] and answer.json["loading"])
    return answer.status == 200


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_while_models_load(loading: RunningDaemon, detector: Known) -> None:
    assert loading.request("GET", "/healthz").status == 200
    ready = loading.request("GET", "/readyz")
    assert (ready.status, ready.json["ready"]) == (503, False)
    model = loading.model(detector.mid)
    assert model["state"] == "loading"
    assert model["name"] in ready.json["loading"]
    refused = loading.post(f"{BINARY}?mid={detector.mid}", detector.image)
    assert (refused.status, refused.json["code"]) == (503, 336100)
    assert "loading" in refused.json["msg"]
    assert int(refused.headers["retry-after"]) >= 1


def test_a_full_queue(start_daemon: Callable[..., RunningDaemon], detector: Known) -> None:
    """The workers are stopped, so that just `queue` more than they hold can wait."""
    daemon = start_daemon(queue=1)
    path = f"{BINARY}?mid={detector.mid}"
    assert results(daemon.post(path, detector.image))
    workers: List[int] = daemon.model(detector.mid)["workers"]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    waiting = [Connection(daemon) for _ in range(HELD * len(workers) + 1)]
    try:
        for connection in waiting:
            connection.head(path, f"Content-Length: {len(detector.image)}\r\n")
            connection.send(detector.image)
        wait_for(lambda: daemon.model(detector.mid)["counters"]["queued"] == 1)
        refused = daemon.post(path, detector.image)
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    assert (refused.status, refused.json["code"]) == (429, 336100)
    assert "queue" in refused.json["msg"]
    assert int(refused.headers["retry-after"]) >= 1
    for connection in waiting:
        assert results(connection.answer())
        connection.close()
    assert daemon.model(detector.mid)["counters"]["refused"] == 1
