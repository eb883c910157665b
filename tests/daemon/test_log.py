"""The log of a daemon: a line for each request, bounded, which nobody can forge or hold up."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List
from urllib.parse import quote

import pytest

from edged.daemon import journal, logs
from edged.daemon.logs import BASE_FIELDS, FIELDS
from tests.daemon.contract import BINARY, Connection, Known, json_body, post_form, results
from tests.support import RunningDaemon, wait_for

Line = Dict[str, Any]
_GET_PIPE_SIZE = 1032  # F_GETPIPE_SZ, which fcntl has since Python 3.10
STAGES = ["queue_ms", "decode_ms", "preprocess_ms", "run_ms", "postprocess_ms"]


@pytest.fixture(scope="module")
def logger(models: Path, state: Path) -> Iterator[RunningDaemon]:
    """A daemon that logs JSON."""
    with RunningDaemon(models=models, state=state, log_format="json") as running:
        yield running
        assert "BlockingError" not in running.log()


def lines_of(daemon: RunningDaemon) -> List[Line]:
    """Every line that is an object; what is printed at the start is none."""
    return [json.loads(line) for line in daemon.log().splitlines() if line.startswith("{")]


def line_of(daemon: RunningDaemon, request_id: str) -> Line:
    """The one line of a request."""

    def found() -> List[Line]:
        return [line for line in lines_of(daemon) if line.get("request_id") == request_id]

    line: Line
    (line,) = wait_for(found)
    assert set(line) <= {field.name for field in (*BASE_FIELDS, *FIELDS)}
    assert (line["level"], line["logger"], line["message"]) == ("info", "edged.requests", "request")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    return line


def test_a_request_that_is_answered(logger: RunningDaemon, detector: Known) -> None:
    path, headers = f"{BINARY}?mid={detector.mid}&show=1", {"X-Request-Id": "answered"}
    answer = logger.post(path, detector.image, headers)
    assert results(answer)
    line = line_of(logger, "answered")
    assert (line["method"], line["route"], line["status"]) == ("POST", BINARY, 200)
    assert (line["dialect"], line["mid"], line["code"]) == ("edgeboard", [detector.mid], 0)
    assert (line["bytes_in"], line["bytes_out"]) == (len(detector.image), len(answer.body))
    stages = [*STAGES, "draw_ms"]
    assert sum(line[stage] for stage in stages) <= line["total_ms"] + 0.05
    assert f"run;dur={line['run_ms']:.2f}" in answer.headers["server-timing"]
    assert not {"error", "key", "log_id"} & set(line)


def test_one_for_several_models(logger: RunningDaemon, detector: Known, classifier: Known) -> None:
    answer = post_form(logger, detector.image, f"[{detector.mid},{classifier.mid},987654]")
    line = line_of(logger, answer.headers["x-request-id"])
    assert line["mid"] == [detector.mid, classifier.mid]
    assert (line["status"], line["code"]) == (200, 2002)
    assert "987654" in line["error"]


def test_the_log_id_of_an_answer(logger: RunningDaemon, detector: Known) -> None:
    name = logger.model(detector.mid)["name"]
    for body, code in ((json_body(detector.image), 0), (b"{}", 336006)):
        answer = logger.post(f"/{name}/ObjectDetection", body)
        line = line_of(logger, answer.headers["x-request-id"])
        assert line["route"] == "/{name}/ObjectDetection"
        assert (line["dialect"], line["mid"], line["code"]) == ("easydl", [detector.mid], code)
        assert line["log_id"] == answer.json["log_id"]
        assert ("error" in line) is (code != 0)


def test_what_fails_says_why(logger: RunningDaemon, detector: Known) -> None:
    answer = logger.post(f"{BINARY}?mid={detector.mid}", b"no picture")
    line = line_of(logger, answer.headers["x-request-id"])
    assert (line["status"], line["code"], line["error"]) == (400, 336005, answer.json["msg"])
    assert line["mid"] == [detector.mid]
    assert not set(STAGES) & set(line)


def test_whoever_leaves_has_a_line(logger: RunningDaemon, detector: Known) -> None:
    with Connection(logger) as connection:
        path, headers = f"{BINARY}?mid={detector.mid}", "X-Request-Id: left\r\n"
        connection.head(path, f"Content-Length: 1000\r\n{headers}")
        connection.send(b"x")
        assert logger.request("GET", "/healthz").status == 200  # so the upload has begun
    line = line_of(logger, "left")
    assert (line["code"], line["bytes_in"], line["bytes_out"]) == ("gone", 1, 0)
    assert "status" not in line


def test_no_path_and_no_word_of_a_client_is_a_route(logger: RunningDaemon) -> None:
    answer = logger.request("PROPFIND", "/no/such/path%0A%1B[2J" + "x" * 3000)
    line = line_of(logger, answer.headers["x-request-id"])
    assert "route" not in line
    assert line["method"] == "PROPFIND"
    assert len(line["error"]) == 300


FORGED = "2026-01-01 00:00:00,000 ERROR edged: forged"


@pytest.mark.parametrize(
    "sign", ["\n", "\r", "\r\n", "\x1b[2J", "\x00", "\x85", "\u2028", "\u202e", "\x9b", "\x7f"]
)
def test_a_client_writes_no_line_of_its_own(daemon: RunningDaemon, sign: str) -> None:
    for base in ("/rest/", "/api/", "/"):
        path = base + quote(f"x{sign}{FORGED}")
        answer = daemon.post(path, b"{}")
        known = answer.headers["x-request-id"]
        wait_for(partial(_says, daemon, known))
        (line,) = (line for line in daemon.log().split("\n") if known in line)
        assert "forged" in line
        assert line.isprintable()
    assert not any(line.startswith(FORGED) for line in daemon.log().splitlines())


def _says(daemon: RunningDaemon, text: str) -> bool:
    return text in daemon.log()


def test_json_has_no_sign_but_ascii(logger: RunningDaemon) -> None:
    answer = logger.post("/rest/%E7%8C%AB%E2%80%AE%0A", b"{}")
    line = line_of(logger, answer.headers["x-request-id"])
    assert line["error"].endswith("/rest/猫\u202e\n")
    assert "/rest/\\u732b\\u202e\\n" in logger.log()


def test_so_many_lines_in_a_second_and_no_more(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    """Those of requests that fail are counted apart from those that are answered."""
    (tmp_path / "models").mkdir()
    daemon = start_daemon(models=tmp_path / "models", state=tmp_path, log_format="json", log_rate=2)
    asked = 40
    with Connection(daemon) as connection:
        for _ in range(asked):
            assert connection.post("/nothing", b"").status == 404
    assert daemon.request("GET", "/healthz").status == 200

    def accounted() -> int:
        lines = [line for line in lines_of(daemon) if line["logger"] == "edged.requests"]
        failed = [line for line in lines if line.get("status") == 404]
        left_out = [line for line in lines if line.get("outcome") == "failed"]
        return len(failed) + sum(int(line["left_out"]) for line in left_out)

    wait_for(lambda: accounted() == asked)
    lines = lines_of(daemon)
    left_out = [line["left_out"] for line in lines if "left_out" in line]
    assert left_out
    assert sum(line.get("status") == 404 for line in lines) <= 2 * len(left_out) + 2
    assert any(line.get("route") == "/healthz" for line in lines)


def test_what_was_left_out_is_said_at_the_end(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    daemon = start_daemon(models=tmp_path / "models", state=tmp_path, log_rate=0)
    with Connection(daemon) as connection:
        for _ in range(3):
            assert connection.post("/nothing", b"").status == 404
        daemon.process.terminate()
    assert daemon.process.wait(30) == 0
    counts = [int(count) for count in re.findall(r"left_out=(\d+) outcome=failed", daemon.log())]
    assert sum(counts) == 3
    assert "status=" not in daemon.log()


def test_at_warning_there_are_none(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    daemon = start_daemon(
        models=tmp_path / "models", state=tmp_path, log_level="warning", log_rate=1
    )
    for _ in range(3):
        assert daemon.request("GET", "/healthz").status == 200
    daemon.process.terminate()
    assert daemon.process.wait(30) == 0
    assert "edged." not in daemon.log()


def test_a_reader_that_stops_holds_up_nobody(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    """The pipe is full and stays so: requests are answered, and the daemon ends all the same."""
    (tmp_path / "models").mkdir()
    reader, writer = os.pipe()
    room = fcntl.fcntl(writer, _GET_PIPE_SIZE)
    daemon = start_daemon(models=tmp_path / "models", state=tmp_path, stderr=writer)
    os.close(writer)
    with Connection(daemon) as connection:
        for _ in range(2 * room // 200):
            assert connection.post("/nothing", b"").status == 404
    daemon.process.terminate()
    assert daemon.process.wait(30) == 0
    written = b""
    with open(reader, "rb") as pipe:
        written = pipe.read()
    assert room / 2 < len(written) <= room
    assert b"Fatal" not in written


def test_in_the_end_everything_is_written(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    """A reader that is slow gets all of it."""
    (tmp_path / "models").mkdir()
    reader, writer = os.pipe()
    daemon = start_daemon(models=tmp_path / "models", state=tmp_path, stderr=writer)
    os.close(writer)
    with Connection(daemon) as connection:
        for _ in range(1000):
            assert connection.post("/nothing", b"").status == 404
    daemon.process.terminate()
    with open(reader) as pipe:
        lines = pipe.read().splitlines()
    assert daemon.process.wait(30) == 0
    assert sum("status=404" in line for line in lines) == 1000


@pytest.mark.skipif(Path(journal.SOCKET).exists(), reason="there is a journal here")
def test_where_no_journal_takes_it_stderr_does(
    start_daemon: Callable[..., RunningDaemon],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "models").mkdir()
    with (tmp_path / "log").open("wb") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        daemon = start_daemon(models=tmp_path / "models", state=tmp_path, stderr=stream.fileno())
    assert daemon.request("GET", "/healthz").status == 200
    daemon.close()
    lines = (tmp_path / "log").read_text().splitlines()
    # Without time and level: these are fields of their own there.
    assert any(line.startswith("request method=GET route=/healthz ") for line in lines)


def test_a_line_that_cannot_be_made_does_not_end_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    with logs.written("info", "text"):
        written = logging.getLogger().handlers[-1]  # pytest's own raise what cannot be made
        for args in (("no number",), (7,)):
            written.handle(logging.LogRecord("edged", logging.INFO, "", 0, "%d is", args, None))
    assert " INFO edged: 7 is\n" in capfd.readouterr().err


def test_a_traceback_is_one_event(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ValueError(f"first\n{FORGED}\x1b[2J")

    for form in ("text", "json"):
        with logs.written("info", form):
            try:
                fail()
            except ValueError:
                logging.getLogger("edged.test").exception("it failed")
    *text, as_json = capfd.readouterr().err.splitlines()
    assert text[0].endswith(" ERROR edged.test: it failed")
    assert all(line.startswith("    ") and line.isprintable() for line in text[1:])
    content = json.loads(as_json)
    assert (content["message"], content["level"]) == ("it failed", "error")
    assert FORGED in content["exception"]


def test_lines_that_nobody_takes_are_counted() -> None:
    """More than are held: some are written, and of the others it is said how many they were."""
    asked = 3 * logs._MOST_WAITING
    reader, writer = os.pipe()
    kept = os.dup(2)
    os.dup2(writer, 2)
    os.close(writer)
    try:
        with logs.written("info", "text"), ThreadPoolExecutor(1) as late, open(reader) as pipe:
            written = logging.getLogger().handlers[-1]
            for number in range(asked):
                text = f"line {number}"
                written.handle(logging.LogRecord("edged", logging.INFO, "", 0, text, (), None))
            lines = late.submit(lambda: list(iter(pipe.readline, "")))
            wait_for(lambda: not written.queue.qsize())  # type: ignore[attr-defined]
            logging.getLogger().removeHandler(written)
            written.close()
            os.dup2(kept, 2)  # the last end of the pipe that is written to
            said = lines.result(60)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
    told = re.findall(r"WARNING edged.daemon.logs: (\d+) lines were lost", "".join(said))
    lost = sum(map(int, told))
    assert lost > 0
    assert sum(" edged: line " in line for line in said) + lost == asked
