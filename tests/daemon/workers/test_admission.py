"""What no picture would change is refused before the picture is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.contract import BASE64, BINARY, V1_BASE64, V1_BINARY, Connection
from tests.daemon.processes import HELD, stopped
from tests.daemon.workers.conftest import (
    MID,
    Serve,
    ask,
    colour_of,
    counters_of,
    picture,
    worker_of,
)
from tests.support import Answer, RunningDaemon, wait_for

ROUTES = [
    *(f"{path}?mid={MID}" for path in (BINARY, BASE64, V1_BINARY, V1_BASE64)),
    "/colour/ImageClassification",
]


def without_body(daemon: RunningDaemon, path: str) -> Answer:
    """The answer to a request of which no more than the head ever comes."""
    with Connection(daemon) as connection:
        connection.head(path, "Content-Length: 2000000\r\n")
        return connection.answer()


def test_a_full_queue(serve: Serve, colours: Path) -> None:
    daemon = serve(colours, queue=2)
    with stopped(worker_of(daemon)):
        asked = [ask(daemon, picture("blue", number)) for number in range(HELD + 2)]
        for path in ROUTES:
            answer = without_body(daemon, path)
            assert b"the queue of model colour is full" in answer.body, path
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["connection"] == "close"
    assert [colour_of(one.answer()) for one in asked] == ["blue"] * (HELD + 2)
    assert counters_of(daemon)["refused"] == len(ROUTES)


def test_who_has_begun_may_end(serve: Serve, colours: Path) -> None:
    """Of four places three are taken: whoever has yet to send a picture is refused."""
    daemon = serve(colours, queue=4)
    image = picture("red")
    with Connection(daemon) as begun:
        with stopped(worker_of(daemon)):
            begun.head(f"{BINARY}?mid={MID}", f"Content-Length: {len(image)}\r\n")
            begun.send(image[:100])
            asked = [ask(daemon, picture("blue", number)) for number in range(HELD + 3)]
            assert counters_of(daemon)["queued"] == 3
            assert without_body(daemon, ROUTES[0]).status == 429
            begun.send(image[100:])
            wait_for(lambda: counters_of(daemon)["queued"] == 4)
        assert colour_of(begun.answer()) == "red"
    assert [colour_of(one.answer()) for one in asked] == ["blue"] * (HELD + 3)


@pytest.mark.parametrize("path", ["/api/model/service/binary?mid=8", "/nobody/ImageClassification"])
def test_a_model_that_is_not_there(serve: Serve, colours: Path, path: str) -> None:
    assert b"there is no model" in without_body(serve(colours), path).body
