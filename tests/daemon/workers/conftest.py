"""A tiny model that answers in a millisecond, so that the tests are about its processes.

It names the colour of a picture, and answers NaN for a dark one: a request that fails
while the worker lives.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, ClassVar, Dict, Iterator, List

import cv2
import numpy as np
import pytest

from tests.daemon.processes import ready_workers
from tests.support import LITE, Answer, RunningDaemon, alive, wait_for
from tests.worker.engines.conftest import Op, Tensor, write_program

needs_lite = pytest.mark.skipif(not LITE, reason="it crashes Paddle Lite, which is not installed")
needs_lites_memory = pytest.mark.skipif(
    not LITE, reason="its memory is Paddle Lite's, which is not installed"
)

MID = 7
_LABELS = ["red", "green", "blue"]
_COLOURS = {"red": (90, 90, 250), "green": (90, 250, 90), "blue": (250, 90, 90)}
_COLOURS["dark"] = (5, 5, 5)
_YAML = """
mid: {mid}
name: {name}
task: classification
model: model
params: params
labels: [red, green, blue]
instances: {instances}
preprocess:
  - {{op: resize, width: 1, height: 1}}
  - {{op: normalize, color: RGB, mean: [64, 64, 64]}}
"""
_PIXEL = (1, 3, 1, 1)


def add_model(
    models: Path, mid: int = MID, name: str = "colour", instances: int = 1, sample: str = ""
) -> Path:
    """The tiny model as a new folder in the folder `models`.

    `sample` is the colour that its sample.json claims for a sample that is red.
    """
    folder = models / name
    folder.mkdir(parents=True)
    write_program(
        folder / "model",
        [Op("sqrt", "image", "out")],
        [Tensor("image", _PIXEL)],
        [Tensor("out", _PIXEL)],
    )
    (folder / "model.yaml").write_text(_YAML.format(mid=mid, name=name, instances=instances))
    if sample:
        expected = {"index": _LABELS.index(sample), "score": 1.0}
        (folder / "sample.jpg").write_bytes(picture("red"))
        (folder / "sample.json").write_text(json.dumps({"result": [expected]}))
    return folder


def picture(colour: str, number: int = 0, width: int = 8, height: int = 8) -> bytes:
    """A JPEG, other bytes for every `number`."""
    pixels = np.full((height, width, 3), _COLOURS[colour], np.uint8)
    encoded = cv2.imencode(".jpg", pixels)[1].tobytes()
    comment = b"\xff\xfe\x00\x06" + number.to_bytes(4, "big")
    return encoded[:2] + comment + encoded[2:]


def colour_of(answer: Answer) -> str:
    assert answer.status == 200, (answer, answer.body)
    label: str = answer.json["data"]["result"][0]["label"]
    return label


def code_of(answer: Answer) -> int:
    code: int = answer.json["code"]
    return code


class Asked:
    """A request on its way: sent, its answer not read. `pause`: seconds between its halves.

    `serve` closes all of them after the test.
    """

    everyone: ClassVar[List[Asked]] = []

    def __init__(
        self, daemon: RunningDaemon, image: bytes, mid: int = MID, pause: float = 0.0
    ) -> None:
        self.everyone.append(self)
        self._connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
        self._connection.putrequest("POST", f"/api/model/service/binary?mid={mid}")
        self._connection.putheader("Content-Length", str(len(image)))
        self._connection.endheaders(image[:100])
        time.sleep(pause)
        self._connection.send(image[100:])

    def answer(self) -> Answer:
        response = self._connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())

    def ask_again(self, image: bytes, mid: int = MID) -> None:
        """On the same connection, after the answer."""
        self._connection.request("POST", f"/api/model/service/binary?mid={mid}", image)

    def go_away(self) -> None:
        self._connection.close()


def ask(daemon: RunningDaemon, image: bytes, mid: int = MID) -> Asked:
    """Returns when the request is with the model's workers, or in their queue.

    All of it is in the daemon's receive buffer once it has been sent, and a loop that has
    answered ten more requests has come by there.
    """
    asked = Asked(daemon, image, mid)
    for _ in range(10):
        daemon.model(mid)
    return asked


def ask_at_once(daemon: RunningDaemon, image: bytes, mid: int = MID) -> Answer:
    asked = Asked(daemon, image, mid)
    try:
        return asked.answer()
    finally:
        asked.go_away()


def counters_of(daemon: RunningDaemon, mid: int = MID) -> Dict[str, int]:
    counters: Dict[str, int] = daemon.model(mid)["counters"]
    return counters


def workers_of(daemon: RunningDaemon, count: int, mid: int = MID) -> List[int]:
    return ready_workers(daemon, mid, count)


def worker_of(daemon: RunningDaemon, mid: int = MID) -> int:
    return workers_of(daemon, 1, mid)[0]


def zygote_of(daemon: RunningDaemon) -> int:
    """The fork server: the one child of the daemon itself."""
    children = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children")
    (pid,) = map(int, children.read_text().split())
    return pid


def served_from(folder: Path) -> Path:
    """The version of the model in `folder` that a daemon of `serve` has taken up."""
    described = (folder / "model.yaml").read_bytes()
    versions = (folder.parent.parent / "state" / "versions").glob("*/model.yaml")
    (found,) = (path.parent for path in versions if path.read_bytes() == described)
    return found


@contextmanager
def no_new_worker(daemon: RunningDaemon, folder: Path) -> Iterator[None]:
    """No worker finishes loading the model of `folder` for as long as the block lasts."""
    served = served_from(folder)
    model, aside = served / "model", served / "aside"
    before = daemon.model(MID)["workers"]
    model.rename(aside)
    os.mkfifo(model)  # whoever opens it to read waits for a writer
    try:
        yield
    finally:
        aside.replace(model)
        loading = [] if daemon.process.poll() is not None else daemon.model(MID)["workers"]
        for pid in loading:
            if pid not in before:
                os.kill(pid, signal.SIGKILL)


def next_worker(daemon: RunningDaemon, before: int) -> int:
    """The pid of the one worker, when it is not `before` any more."""

    def found() -> int:
        return sum(pid for pid in daemon.model(MID)["workers"] if pid != before)

    return int(wait_for(found))


def poison_of(tmp_path: Path) -> List[bytes]:
    """The poison pictures that are kept."""
    found = sorted((tmp_path / "state" / "poison").glob("*/*/*"))
    return [path.read_bytes() for path in found if not path.suffix]  # not those being written


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


Serve = Callable[..., RunningDaemon]


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """A folder of models with the tiny one, which has one worker."""
    add_model(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def two_workers(tmp_path: Path) -> Path:
    """A folder of models with the tiny one, which has two workers."""
    add_model(tmp_path / "models", instances=2)
    return tmp_path / "models"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts daemons, each with the models of the folder it is given."""
    running: List[RunningDaemon] = []

    def start(models: Path, **settings: object) -> RunningDaemon:
        defaults: Dict[str, Any] = {"state": tmp_path / "state", "log_level": "debug"}
        daemon = RunningDaemon(models=models, **{**defaults, **settings})
        running.append(daemon)
        return daemon

    yield start
    for asked in Asked.everyone:
        asked.go_away()
    Asked.everyone.clear()
    logs = []
    for daemon in running:
        try:
            end(daemon)
            # What Paddle Inference says of a signal that ends its process.
            logs.append(daemon.log().replace("C++ Traceback", ""))
        finally:
            daemon.close()
    for log in logs:
        for word in ("Traceback", "BlockingError", "never retrieved", "Warning", "internal error"):
            assert word not in log, log


def end(daemon: RunningDaemon) -> None:
    """Ends the daemon if it has not ended: in time, with status 0, and no process is left."""
    if daemon.process.poll() is None:
        family = daemon.children()
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0, daemon.log()
        wait_for(lambda: not any(map(alive, family)), 3)
