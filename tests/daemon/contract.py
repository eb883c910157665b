"""What the tests of the HTTP contract share: bodies as clients make them, answers compared."""

from __future__ import annotations

import base64
import json
import select
import socket
from http.client import parse_headers
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import yaml

from tests.support import Answer, RunningDaemon

BASE64 = "/api/model/service/base64"
BINARY = "/api/model/service/binary"
MULTIPART = "/api/model/service/multipart"
V1_BASE64, V1_BINARY, V1_MULTIPART = "/api/http", "/api/image", "/api/multipart"

MSGPACK = {"Accept": "application/msgpack"}
FORM = {"Content-Type": "multipart/form-data; boundary=edge"}

Json = Dict[str, Any]


class Known(NamedTuple):
    """A model that is served, and a picture in which it sees something."""

    mid: int
    image: bytes


def known(daemon: RunningDaemon, models: Path, task: str, fallback: Path) -> Optional[Known]:
    """The first ready model of a task that brings its sample.jpg, else one on `fallback`."""
    listed = daemon.request("GET", "/api/models").json["data"]
    mids = [model["mid"] for model in listed if model["task"] == task and model["state"] == "ready"]
    samples = dict(_samples(models))
    for mid in sorted(mids):
        if mid in samples:
            return Known(mid, samples[mid].read_bytes())
    return Known(mids[0], fallback.read_bytes()) if mids and fallback.is_file() else None


def _samples(models: Path) -> Iterator[Tuple[int, Path]]:
    for sample in sorted(models.glob("*/sample.jpg")):
        description = yaml.safe_load((sample.parent / "model.yaml").read_text(encoding="utf-8"))
        yield description["mid"], sample


def json_body(image: bytes, **more: object) -> bytes:
    return json.dumps({"image": base64.b64encode(image).decode(), **more}).encode()


def form(*fields: Tuple[str, bytes]) -> bytes:
    """A form's body, to be sent with FORM; `file` as clients send a file."""
    parts = []
    for name, content in fields:
        of_a_file = '; filename="picture.jpg"\r\nContent-Type: image/jpeg' if name == "file" else ""
        head = f'--edge\r\nContent-Disposition: form-data; name="{name}"{of_a_file}\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + b"--edge--\r\n"


def post_form(daemon: RunningDaemon, image: bytes, mids: str, path: str = MULTIPART) -> Answer:
    return daemon.post(path, form(("file", image), ("mids", mids.encode())), FORM)


def results(answer: Answer) -> List[Json]:
    """The results of one model. AssertionError unless the answer is a success."""
    content = answer.json
    assert (answer.status, content["code"], content["msg"]) == (200, 0, "success"), content
    found: List[Json] = content["data"]["result"]
    return found


def picture(answer: Answer) -> bytes:
    """The drawn picture in a JSON answer of one model."""
    return base64.b64decode(answer.json["data"]["image"], validate=True)


class GoldenLine(NamedTuple):
    """A line of text as the reference implementation read it."""

    text: str
    score: float
    box_score: float
    quad: List[List[float]]


def golden_lines(fixtures: Path) -> List[GoldenLine]:
    """Those of ocr_fd.jpg, in reading order."""
    answers: Json = json.loads((fixtures / "golden.json").read_text())
    return [GoldenLine(*line) for line in answers["ocr/ocr_fd.jpg"]]


def plain(text: str) -> str:
    """Upper and lower case and blanks do not count."""
    return "".join(text.lower().split())


def assert_texts(found: Sequence[str], golden: Sequence[GoldenLine]) -> None:
    """As many lines, and those that the reference was sure of letter by letter, but for one."""
    texts = [plain(text) for text in found]
    sure = [plain(line.text) for line in golden if line.score > 0.93]
    likely = [plain(line.text) for line in golden if line.score > 0.8]
    assert sum(text in texts for text in sure) >= len(sure) - 1
    assert sum(text in texts for text in likely) > len(likely) / 2
    assert len(found) == len(golden)


def corners(result: Json) -> Tuple[float, float, float, float]:
    box = result["location"]
    right, bottom = box["left"] + box["width"], box["top"] + box["height"]
    return box["left"], box["top"], right, bottom


def assert_same(
    found: Sequence[Json], expected: Sequence[Json], pixels: float, score: float
) -> None:
    """The same things in whatever order, within the tolerances."""
    left = list(found)
    for thing in expected:
        same = [
            other
            for other in left
            if other["label"] == thing["label"]
            and abs(other["score"] - thing["score"]) <= score
            and all(abs(a - b) <= pixels for a, b in zip(corners(other), corners(thing)))
        ]
        assert same, f"{thing} is not among {left}"
        left.remove(same[0])
    assert not left


class Connection:
    """A socket to the daemon, on which a test writes what it likes."""

    def __init__(self, daemon: RunningDaemon) -> None:
        self._socket = socket.create_connection(("127.0.0.1", daemon.port), timeout=60)
        self._file = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def post(self, path: str, body: bytes, headers: str = "") -> Answer:
        """A request as HTTP/1.1 has it, and its answer; the connection stays."""
        self.head(path, f"Content-Length: {len(body)}\r\n{headers}")
        self.send(body)
        return self.answer()

    def head(self, path: str, headers: str) -> None:
        """The request's line and headers; each of `headers` ends in CRLF."""
        self.send(f"POST {path} HTTP/1.1\r\nHost: board\r\n{headers}\r\n".encode())

    def chunk(self, data: bytes) -> None:
        """A chunk of a body with Transfer-Encoding: chunked; an empty one ends it."""
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def answer(self, method: str = "POST") -> Answer:
        """The next answer; a "100 Continue" is one as well."""
        status = int(self._file.readline().split()[1])
        headers = {name.lower(): value for name, value in parse_headers(self._file).items()}
        length = 0 if method == "HEAD" else int(headers.get("content-length", 0))
        return Answer(status, headers, self._file.read(length))

    def readable(self, seconds: float) -> bool:
        """Whether something has come, after at most that long."""
        return bool(select.select([self._socket], [], [], seconds)[0])

    def ended(self) -> bool:
        """Whether the daemon closes the connection without a further word."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
