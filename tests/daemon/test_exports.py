"""`GET /api/datasets/{id}/export`: a zip as a stream, for whoever the dataset belongs to."""

from __future__ import annotations

import http.client
import io
import os
import re
import signal
import zipfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Iterator, NamedTuple
from urllib.parse import quote

import pytest

from edged.datasets import FOLDER
from edged.datasets.reader import Reader
from edged.datasets.types import Box, Content, Label, NewEntity
from tests.daemon.access.keyring import bearer, code_of, make_key, token_of
from tests.datasets.filled import DETECTION, added, exported, files_of, filled
from tests.datasets.stores import entities_of
from tests.support import Answer, RunningDaemon, wait_for

# Far more than the sockets between a daemon and a client that does not read hold.
LARGE, EACH = 500, 100_000


class Board(NamedTuple):
    """`token` is of the key that has the datasets `small` and `large`; `other` of another key,
    whose dataset `foreign` is. `own` is the board's own."""

    daemon: RunningDaemon
    state: Path
    token: str
    other: str
    small: int
    large: int
    foreign: int
    own: int

    @property
    def store(self) -> Path:
        return self.state / FOLDER


def large() -> Iterator[NewEntity]:
    for number in range(LARGE):
        content = Content(b"%d" % number * (EACH // len(str(number))), ".jpg", 10, 10)
        yield NewEntity(0, f"{number}.jpg", content, [Label("x", Box(1, 1, 1, 1))])


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    state, models = tmp_path / "state", tmp_path / "models"
    models.mkdir()
    shop, other = make_key(state, "shop"), make_key(state, "other")
    store = state / FOLDER
    numbers = (
        filled(store, "OBJECT_DETECTION", DETECTION, "small ä", shop.api_key),
        filled(store, "OBJECT_DETECTION", large(), "large", shop.api_key),
        filled(store, "OBJECT_DETECTION", [], "foreign", other.api_key),
        filled(store, "OBJECT_DETECTION", [], "own"),
    )
    with RunningDaemon(models=models, state=state) as daemon:
        yield Board(daemon, state, token_of(daemon, shop), token_of(daemon, other), *numbers)
        assert "BlockingError" not in daemon.log()
        assert "Traceback" not in daemon.log()


def path_of(dataset: object, query: str = "format=coco") -> str:
    return f"/api/datasets/{dataset}/export?{query}"


def ask(board: Board, dataset: object, query: str = "format=coco") -> Answer:
    return board.daemon.request("GET", path_of(dataset, query), headers=bearer(board.token))


def begun(board: Board) -> http.client.HTTPConnection:
    """An export that was begun and is not read."""
    connection = http.client.HTTPConnection("127.0.0.1", board.daemon.port, timeout=60)
    connection.request("GET", path_of(board.large), headers=bearer(board.token))
    return connection


def threads(board: Board) -> int:
    """Of the daemon; an export has one of its own."""
    return len(os.listdir(f"/proc/{board.daemon.process.pid}/task"))


@pytest.mark.parametrize("format", ["coco", "voc", "paddleocr"])
def test_a_zip(board: Board, tmp_path: Path, format: str) -> None:
    answer = ask(board, board.small, f"format={format}")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/zip")
    name = quote(f"small ä-{format}.zip")
    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{name}"
    assert re.fullmatch(r"total;dur=\d+\.\d\d", answer.headers["server-timing"])
    request_id = answer.headers["x-request-id"]
    (line,) = wait_for(
        lambda: [line for line in board.daemon.log().splitlines() if request_id in line]
    )
    size = re.search(r" bytes_out=(\d+) ", line)
    assert size is not None
    assert len(answer.body) <= int(size[1]) < len(answer.body) + 1000
    out = exported(board.store, board.small, format, tmp_path / "out")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == files_of(out)
        for file in archive.namelist():
            assert archive.read(file) == (out / file).read_bytes()


def test_who_may(board: Board) -> None:
    assert board.daemon.request("GET", path_of(board.small)).status == 401
    for dataset in (board.foreign, board.own):
        answer = ask(board, dataset)
        assert (answer.status, code_of(answer)) == (403, 406006)
    theirs = board.daemon.request("GET", path_of(board.foreign), headers=bearer(board.other))
    assert theirs.status == 200


@pytest.mark.parametrize("dataset", [0, 99, 10**18, "x", "-1", "1.0", "%00", "9" * 400])
def test_no_such_dataset(board: Board, dataset: object) -> None:
    answer = ask(board, dataset)
    assert (answer.status, code_of(answer)) == (404, 406002)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "format is none of coco, voc"),
        ("format=", "format is none of coco, voc"),
        ("format=COCO", "format is none of"),
        ("format=imagenet", "imagenet does not suit OBJECT_DETECTION: it has no boxes"),
    ],
)
def test_formats_that_are_none(board: Board, query: str, said: str) -> None:
    answer = ask(board, board.small, query)
    assert (answer.status, code_of(answer)) == (400, 406001)
    assert said in answer.json["msg"]


def test_a_content_that_is_gone_cuts_the_connection(board: Board) -> None:
    with closing(Reader(board.store)) as reader:
        gone = reader.content(entities_of(reader, board.large)[-1].digest)
    gone.unlink()
    connection = begun(board)
    assert connection.sock is not None
    received = bytearray()
    with suppress(ConnectionResetError):
        while True:
            part = connection.sock.recv(1 << 20)
            received += part
            if not part:
                break
    connection.close()
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"HTTP/1.1 ") == 1  # no second answer in the middle of the first
    assert not received.endswith(b"0\r\n\r\n")  # which would be the end of a whole one
    wait_for(lambda: "the content of 499.jpg" in board.daemon.log())
    assert ask(board, board.small).status == 200


def test_what_cannot_be_read_at_all_is_an_answer(board: Board) -> None:
    """Before the first byte there is still a status."""
    with closing(Reader(board.store)) as reader:
        for one in entities_of(reader, board.small):
            reader.content(one.digest).unlink()
    answer = ask(board, board.small)
    assert (answer.status, code_of(answer)) == (500, 406000)
    wait_for(lambda: "the content of" in board.daemon.log())


def test_a_client_that_leaves_takes_its_work_along(board: Board) -> None:
    assert ask(board, board.foreign).status == 403  # so that the store is open
    before = threads(board)
    connection = begun(board)
    assert connection.getresponse().read(1000)
    assert threads(board) == before + 1
    connection.close()
    wait_for(lambda: threads(board) == before)


def test_two_at_once_and_nobody_waits_for_them(board: Board) -> None:
    held = [begun(board), begun(board)]
    assert [one.getresponse().status for one in held] == [200, 200]
    third = ask(board, board.small)
    assert (third.status, code_of(third)) == (429, 336100)
    assert int(third.headers["retry-after"]) > 0
    assert board.daemon.request("GET", "/healthz").status == 200
    added(board.store, board.large, DETECTION[0])  # no lock is held
    for one in held:
        one.close()
    wait_for(lambda: ask(board, board.small).status == 200)


def test_what_comes_meanwhile_is_not_in_it(board: Board) -> None:
    connection = begun(board)
    response = connection.getresponse()
    begin = response.read(1000)
    added(board.store, board.large, DETECTION[0])
    with zipfile.ZipFile(io.BytesIO(begin + response.read())) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == LARGE + 1
    connection.close()


def test_a_daemon_that_stops_does_not_wait_for_ever(board: Board) -> None:
    connection = begun(board)
    response = connection.getresponse()
    board.daemon.process.send_signal(signal.SIGTERM)
    assert board.daemon.process.wait(60) == 0
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        response.read()
    connection.close()
