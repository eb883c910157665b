"""Bodies on their way in: the limit holds while they stream, and so does the deadline."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Iterator, List

import pytest

from tests.daemon.contract import (
    BASE64,
    BINARY,
    MULTIPART,
    V1_BASE64,
    V1_BINARY,
    V1_MULTIPART,
    Connection,
    Known,
    results,
)
from tests.daemon.processes import HELD
from tests.support import Answer, RunningDaemon, wait_for

LIMIT = 1 << 20
FORM = "Content-Type: multipart/form-data; boundary=edge\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
EXPECT = "Expect: 100-continue\r\n"
PATHS = [
    f"{BASE64}?mid=1",
    f"{BINARY}?mid=1",
    MULTIPART,
    f"{V1_BASE64}?mid=1",
    f"{V1_BINARY}?mid=1",
    V1_MULTIPART,
]


@pytest.fixture(scope="module")
def small(models: Path, state: Path) -> Iterator[RunningDaemon]:
    """A daemon of small limits, which needs no model to refuse a body."""
    with RunningDaemon(models=models, state=state, max_body_mib=LIMIT / (1 << 20)) as running:
        yield running
        assert_clean(running)


@pytest.fixture(scope="module")
def impatient(models: Path, state: Path) -> Iterator[RunningDaemon]:
    """A daemon with a deadline of a second."""
    with RunningDaemon(models=models, state=state, deadline=1) as running:
        yield running
        assert_clean(running)


def assert_clean(daemon: RunningDaemon) -> None:
    """Nothing but how it started, beside another; aiohttp logs broken HTTP by itself."""
    complaints = daemon.complaints()
    assert not any("BlockingError" in line for line in complaints), complaints
    ours = [line for line in complaints if "edged." in line]
    assert sum("edged.daemon.app: serving at" in line for line in ours) == 1, ours
    others = [line for line in ours if "edged.daemon.app: another daemon serves" not in line]
    assert len(others) == 1, ours


@pytest.fixture
def connection(small: RunningDaemon) -> Iterator[Connection]:
    with Connection(small) as connection:
        yield connection


def assert_too_large(answer: Answer) -> None:
    assert (answer.status, answer.json["code"]) == (413, 336004), answer.body
    assert str(LIMIT) in answer.json["msg"]


@pytest.mark.parametrize("path", PATHS)
def test_an_announced_length_over_the_limit_is_refused_unseen(
    connection: Connection, path: str
) -> None:
    connection.head(path, f"{FORM}Content-Length: {LIMIT + 1}\r\n")
    assert_too_large(connection.answer())


@pytest.mark.parametrize("path", PATHS)
def test_a_chunked_body_is_refused_while_it_streams(connection: Connection, path: str) -> None:
    """It never ends: an answer can only come before the end."""
    connection.head(path, FORM + CHUNKED)
    for _ in range(LIMIT >> 16):
        connection.chunk(bytes(1 << 16))
    connection.chunk(b"x")
    assert_too_large(connection.answer())


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(b"preamble\r\n", id="preamble"),
        pytest.param(b"--edge\r\nX: y\r\n\r\n\r\n", id="parts"),
        pytest.param(b"X-Header: y\r\n", id="headers"),
        pytest.param(b"-", id="one line"),
    ],
)
def test_whatever_a_form_is_made_of_counts(connection: Connection, flood: bytes) -> None:
    connection.head(MULTIPART, FORM + CHUNKED)
    connection.chunk(b"--edge\r\n")
    sent = 0
    while sent <= LIMIT:
        block = flood * ((1 << 16) // len(flood))
        connection.chunk(block)
        sent += len(block)
    assert_too_large(connection.answer())


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_just_the_limit_is_read(connection: Connection, chunked: bool) -> None:
    connection.head(PATHS[1], CHUNKED if chunked else f"Content-Length: {LIMIT}\r\n")
    if chunked:
        connection.chunk(bytes(LIMIT))
        connection.chunk(b"")
    else:
        connection.send(bytes(LIMIT))
    assert connection.answer().json["code"] == 336005


# -- Expect: 100-continue


@pytest.mark.parametrize("path", PATHS)
def test_a_client_that_asks_first_is_told_to_go_on(connection: Connection, path: str) -> None:
    connection.head(path, f"{FORM}{EXPECT}Content-Length: 6\r\n")
    assert connection.answer().status == 100
    connection.send(b"{ nor }"[:6])
    answer = connection.answer()
    assert answer.status == 400
    assert answer.json["code"] in (336001, 336002, 336005)


@pytest.mark.parametrize("path", PATHS)
def test_a_client_that_asks_first_need_not_send_too_much(connection: Connection, path: str) -> None:
    connection.head(path, f"{FORM}{EXPECT}Content-Length: {LIMIT + 1}\r\n")
    answer = connection.answer()
    assert_too_large(answer)
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [(f"{BINARY}?mid=x", "", 2001), (MULTIPART, "", 336001), ("/nowhere", "", 3)],
)
def test_a_client_that_asks_first_is_told_what_is_wrong_already(
    connection: Connection, path: str, headers: str, code: int
) -> None:
    connection.head(path, f"{headers}{EXPECT}Content-Length: 1000\r\n")
    answers = [connection.answer()]
    if answers[0].status == 100 and code == 3:  # aiohttp's own, where there is no route
        answers.append(connection.answer())
    assert answers[-1].json["code"] == code
    assert answers[-1].headers["connection"] == "close"


def test_a_client_that_does_not_wait_for_the_100(connection: Connection) -> None:
    answer = connection.post(PATHS[1], b"no picture", EXPECT)
    assert answer.status == 100
    assert connection.answer().json["code"] == 336005
    assert connection.post(PATHS[1], b"no picture").json["code"] == 336005


def test_other_expectations_and_http_1_0_get_no_100(small: RunningDaemon) -> None:
    for version, expect in (("1.1", "something"), ("1.0", "100-continue")):
        with Connection(small) as connection:
            connection.send(
                f"POST {PATHS[1]} HTTP/{version}\r\nHost: board\r\nExpect: {expect}\r\n"
                "Content-Length: 2\r\n\r\nxx".encode()
            )
            assert connection.answer().json["code"] == 336005


# -- slow bodies and clients that leave


def test_a_body_that_is_still_coming_at_the_deadline(impatient: RunningDaemon) -> None:
    waiting = [Connection(impatient) for _ in PATHS]
    for path, connection in zip(PATHS, waiting):
        connection.head(path, f"{FORM}Content-Length: 1000\r\n")
        connection.send(b"--edge")
    for connection in waiting:
        answer = connection.answer()
        assert (answer.status, answer.json["code"]) == (504, 336101)
        assert "deadline" in answer.json["msg"]
        connection.close()


def test_a_trickle_does_not_put_the_deadline_off(impatient: RunningDaemon) -> None:
    with Connection(impatient) as connection:
        connection.head(PATHS[1], f"Content-Length: {10 * LIMIT // 16}\r\n")
        while not connection.readable(0.05):
            connection.send(b"x")
        assert connection.answer().json["code"] == 336101


def test_a_chunk_that_breaks_midway_ends_by_the_deadline(impatient: RunningDaemon) -> None:
    """aiohttp does not wake who reads the body then."""
    with Connection(impatient) as connection:
        connection.head(PATHS[1], CHUNKED)
        connection.chunk(b"x" * 1000)
        connection.send(b"no length\r\n")
        assert connection.answer().status in (400, 504)


def test_a_client_that_leaves_midway(small: RunningDaemon) -> None:
    for path in PATHS:
        for headers in (CHUNKED, "Content-Length: 1000\r\n", EXPECT + "Content-Length: 1000\r\n"):
            with Connection(small) as connection:
                connection.head(path, FORM + headers)
                connection.chunk(b"x" * 100)
    assert small.request("GET", "/healthz").status == 200


def test_the_queued_picture_of_a_client_that_left_is_dropped(
    daemon: RunningDaemon, detector: Known
) -> None:
    """The workers are stopped, so that what they cannot take must wait in the queue. It is
    dropped long before the deadline would do that."""
    path = f"{BINARY}?mid={detector.mid}"
    assert results(daemon.post(path, detector.image))
    workers: List[int] = daemon.model(detector.mid)["workers"]
    waiting = [Connection(daemon) for _ in range(HELD * len(workers) + 1)]
    before = daemon.model(detector.mid)["counters"]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        for connection in waiting:
            connection.head(path, f"Content-Length: {len(detector.image)}\r\n")
            connection.send(detector.image)
        wait_for(lambda: daemon.model(detector.mid)["counters"]["queued"] == 1)
        for connection in waiting:
            connection.close()
        wait_for(lambda: daemon.model(detector.mid)["counters"]["queued"] == 0, seconds=5)
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    assert results(daemon.post(path, detector.image))
    after = daemon.model(detector.mid)
    assert after["workers"] == workers
    assert after["counters"]["answered"] == before["answered"] + 1
