"""The EdgeBoard contract, line by line: Baidu's "HTTP模型推理服务接口", and V1 before it."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple
from urllib.parse import quote

import msgpack  # type: ignore[import-untyped]
import numpy as np
import pytest
from PIL import Image

from tests.daemon.contract import (
    BASE64,
    BINARY,
    FORM,
    MSGPACK,
    MULTIPART,
    V1_BASE64,
    V1_BINARY,
    V1_MULTIPART,
    Connection,
    Json,
    Known,
    assert_same,
    form,
    json_body,
    picture,
    post_form,
    results,
)
from tests.pictures import decoded
from tests.support import Answer, RunningDaemon

JSON_TYPE = {"Content-Type": "application/json"}
JPEG_TYPE = {"Content-Type": "image/jpeg"}
NO_SUCH_MID = 999
PATH = "{url}" + BINARY + "?mid={mid}"


@pytest.fixture(scope="module")
def expected(daemon: RunningDaemon, detector: Known) -> List[Json]:
    """What the detector sees in its picture; every spelling must answer just this."""
    found = results(daemon.post(f"{BINARY}?mid={detector.mid}", detector.image, JPEG_TYPE))
    assert found
    return found


@pytest.fixture(autouse=True)
def _no_complaint_in_the_log(daemon: RunningDaemon) -> Iterator[None]:
    before = len(daemon.log())
    yield
    assert daemon.complaints(before) == []


def size_of(jpeg: bytes) -> Tuple[int, int]:
    """Width and height by an independent decoder, which reads the picture to its end."""
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.format == "JPEG"
        image.load()
        return image.size


# -- routes and their spellings


@pytest.mark.parametrize(
    "target",
    [
        f"{BASE64}?mid={{}}",
        f"{BASE64}/mid={{}}",
        f"{BASE64}?mid={{}}?show=0",
        f"{BASE64}?mid={{}}%3Fshow=0",
        f"{BASE64}?mid={{}}%3fshow=0",
        f"{BASE64}/mid={{}}?show=0",
        f"{BASE64}/mid={{}}%3Fshow=0",
        f"{BASE64}?show=0&mid={{}}",
        f"{BASE64}?mid={{}}&",
        f"{BASE64}?mid=0{{}}",
        f"{BASE64}?%6Did={{}}",
        f"{BASE64}?mid={{}}&unknown=1",
    ],
)
def test_base64_routes(
    daemon: RunningDaemon, detector: Known, expected: List[Json], target: str
) -> None:
    answer = daemon.post(target.format(detector.mid), json_body(detector.image), JSON_TYPE)
    assert results(answer) == expected
    assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (f"{BINARY}?mid={{}}", False),
        (f"{BINARY}/mid={{}}", False),
        (f"{BINARY}?mid={{}}&show=0", False),
        (f"{BINARY}?mid={{}}&show=", False),
        (f"{BINARY}?mid={{}}?show=0", False),
        (f"{BINARY}?mid={{}}&show=1", True),
        (f"{BINARY}?mid={{}}?show=1", True),
        (f"{BINARY}?mid={{}}%3Fshow=1", True),
        (f"{BINARY}?mid={{}}%3fshow=1", True),
        (f"{BINARY}?show=1&mid={{}}", True),
        (f"{BINARY}/mid={{}}?show=1", True),
        (f"{BINARY}/mid={{}}&show=1", True),
        (f"{V1_BINARY}?mid={{}}", False),
        (f"{V1_BINARY}?mid={{}}&image=0", False),
        (f"{V1_BINARY}?mid={{}}&image=1", True),
        (f"{V1_BINARY}?mid={{}}&show=1", False),
        (f"{BINARY}?mid={{}}&image=1", False),
    ],
)
def test_binary_routes_and_show(
    daemon: RunningDaemon, detector: Known, expected: List[Json], target: str, shown: bool
) -> None:
    answer = daemon.post(target.format(detector.mid), detector.image, JPEG_TYPE)
    assert results(answer) == expected
    assert ("image" in answer.json["data"]) is shown


@pytest.mark.parametrize("path", [f"{BASE64}/10", f"{BINARY}/x?mid=1", f"{BINARY}/mid=1/2", "/"])
def test_other_paths_are_no_routes(daemon: RunningDaemon, path: str) -> None:
    answer = daemon.post(path, b"x")
    assert (answer.status, answer.json["code"]) == (404, 3)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize(
    "path", [BASE64, f"{BASE64}/mid=1", BINARY, MULTIPART, V1_BASE64, V1_BINARY, V1_MULTIPART]
)
def test_only_post_is_taken(daemon: RunningDaemon, method: str, path: str) -> None:
    answer = daemon.request(method, path)
    assert (answer.status, answer.json["code"]) == (405, 3)
    assert answer.headers["allow"] == "POST"
    assert method in answer.json["msg"]


def test_head_is_refused_without_a_body(daemon: RunningDaemon) -> None:
    with Connection(daemon) as connection:
        connection.send(b"HEAD %b HTTP/1.1\r\nHost: board\r\n\r\n" % BINARY.encode())
        answer = connection.answer("HEAD")
        assert (answer.status, answer.headers["allow"], answer.body) == (405, "POST", b"")
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: board\r\n\r\n")
        assert connection.answer("GET").status == 200


# -- headers as clients send them


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "image/jpeg",
        "image/jpg",
        "image/png",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "application/json",
        "text/plain; charset=gbk",
        "not a content type",
        "multipart/form-data; boundary=x",
    ],
)
def test_any_content_type(
    daemon: RunningDaemon, detector: Known, expected: List[Json], content_type: Any
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    binary = daemon.post(f"{BINARY}?mid={detector.mid}", detector.image, headers)
    assert results(binary) == expected
    as_json = daemon.post(f"{BASE64}?mid={detector.mid}", json_body(detector.image), headers)
    assert results(as_json) == expected


@pytest.mark.parametrize(
    "headers",
    [{}, {"Accept": "*/*"}, {"Accept": "application/json"}, {"Accept": "image/jpeg"}],
)
def test_json_is_answered_unless_msgpack_is_asked_for(
    daemon: RunningDaemon, detector: Known, expected: List[Json], headers: Dict[str, str]
) -> None:
    answer = daemon.post(f"{BINARY}?mid={detector.mid}", detector.image, headers)
    assert answer.headers["content-type"].startswith("application/json")
    assert results(answer) == expected


@pytest.fixture(scope="module")
def curl() -> str:
    return shutil.which("curl") or pytest.skip("curl is not installed")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--data-binary", "@{image}", PATH],
        ["--data-binary", "@{image}", "{url}" + BINARY + "?mid={mid}?show=0"],
        ["-T", "{image}", "-X", "POST", PATH],
        ["--http1.0", "--data-binary", "@{image}", PATH],
        ["-H", "Expect: 100-continue", "--data-binary", "@{image}", PATH],
        ["-H", "Transfer-Encoding: chunked", "--data-binary", "@{image}", PATH],
        ["-d", "@{json}", "{url}" + BASE64 + "?mid={mid}"],
        ["-F", "file=@{image}", "-F", "mids=[{mid}]", "{url}" + MULTIPART + "?show=0"],
    ],
)
def test_curl(
    daemon: RunningDaemon,
    detector: Known,
    expected: List[Json],
    curl: str,
    tmp_path: Path,
    arguments: List[str],
) -> None:
    (tmp_path / "picture.jpg").write_bytes(detector.image)
    (tmp_path / "body.json").write_bytes(json_body(detector.image))
    values = {"url": daemon.url, "mid": detector.mid}
    files = {"image": tmp_path / "picture.jpg", "json": tmp_path / "body.json"}
    filled = [argument.format(**values, **files) for argument in arguments]
    done = subprocess.run([curl, "-sS", *filled], capture_output=True, check=True)
    data = json.loads(done.stdout)["data"]
    assert (data[0] if isinstance(data, list) else data)["result"] == expected


def test_http_1_0(daemon: RunningDaemon, detector: Known, expected: List[Json]) -> None:
    with Connection(daemon) as connection:
        connection.send(f"POST {BINARY}?mid={detector.mid} HTTP/1.0\r\n".encode())
        connection.send(b"Content-Length: %d\r\n\r\n" % len(detector.image) + detector.image)
        assert results(connection.answer()) == expected


# -- the JSON body


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("true", True),
        (" true ", True),
        ("false", False),
        ("null", False),
        ("1", False),
        ('"true"', False),
        ('"True"', False),
        ('"1"', False),
        ('""', False),
        ("[true]", False),
        ('{"true": true}', False),
        ("1e400", False),
    ],
)
def test_only_true_turns_the_picture_on(
    daemon: RunningDaemon, detector: Known, expected: List[Json], value: str, shown: bool
) -> None:
    body = json_body(detector.image)[:-1] + f', "show": {value}}}'.encode()
    answer = daemon.post(f"{BASE64}?mid={detector.mid}", body, JSON_TYPE)
    assert results(answer) == expected
    assert ("image" in answer.json["data"]) is shown


def test_base64_with_line_breaks(
    daemon: RunningDaemon, detector: Known, expected: List[Json]
) -> None:
    unix = base64.encodebytes(detector.image).decode()
    for text in (unix, unix.replace("\n", "\r\n"), unix + "\n\n"):
        body = json.dumps({"image": text}).encode()
        assert results(daemon.post(f"{BASE64}?mid={detector.mid}", body)) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_json_as_clients_write_it(
    daemon: RunningDaemon, detector: Known, expected: List[Json], encoding: str
) -> None:
    fields = {
        "设备": "摄像头",
        "deep": [[[{}]]],
        "image": base64.b64encode(detector.image).decode(),
    }
    body = json.dumps(fields, ensure_ascii=False, indent=4).encode(encoding)
    assert results(daemon.post(f"{BASE64}?mid={detector.mid}", body)) == expected
    escaped = body.replace(b"/", b"\\/")  # as PHP and some others write base64
    assert results(daemon.post(f"{BASE64}?mid={detector.mid}", escaped)) == expected


def test_of_a_repeated_key_the_last_counts(
    daemon: RunningDaemon, detector: Known, expected: List[Json]
) -> None:
    body = b'{"image": "no base64", "show": true, ' + json_body(detector.image, show=False)[1:]
    answer = daemon.post(f"{BASE64}?mid={detector.mid}", body)
    assert results(answer) == expected
    assert "image" not in answer.json["data"]


def test_v1_base64(daemon: RunningDaemon, detector: Known, expected: List[Json]) -> None:
    text = base64.b64encode(detector.image).decode()
    for image, shown in ((True, True), (False, False), ("true", False), (1, False), (None, False)):
        body = json.dumps({"base64_img": text, "image": image}).encode()
        answer = daemon.post(f"{V1_BASE64}?mid={detector.mid}", body, JSON_TYPE)
        assert results(answer) == expected
        assert ("image" in answer.json["data"]) is shown
    v2_names = daemon.post(f"{V1_BASE64}?mid={detector.mid}", json_body(detector.image))
    assert (v2_names.status, v2_names.json["code"]) == (400, 336006)
    assert "base64_img" in v2_names.json["msg"]


# -- the answer


def test_a_result_has_every_field(expected: List[Json]) -> None:
    for result in expected:
        assert set(result) - {"extended"} == {"index", "label", "location", "score"}
        assert set(result["location"]) == {"left", "top", "width", "height"}
        assert isinstance(result["index"], int)
        assert 0 <= result["score"] <= 1
    scores = [result["score"] for result in expected]
    assert scores == sorted(scores, reverse=True)


def test_boxes_are_inside_the_frame(detector: Known, expected: List[Json]) -> None:
    width, height = size_of(detector.image)
    for result in expected:
        box = result["location"]
        assert 0 <= box["left"] <= box["left"] + box["width"] <= width + 0.01
        assert 0 <= box["top"] <= box["top"] + box["height"] <= height + 0.01


def test_a_classifier_reports_the_whole_frame(daemon: RunningDaemon, classifier: Known) -> None:
    found = results(daemon.post(f"{BINARY}?mid={classifier.mid}", classifier.image))
    labels = daemon.model(classifier.mid)["labels"]
    assert len(found) == min(5, len(labels))
    width, height = size_of(classifier.image)
    for result in found:
        assert result["location"] == {"left": 0, "top": 0, "width": width, "height": height}
        assert result["label"] == labels[result["index"]]
    assert sum(result["score"] for result in found) <= 1.001


@pytest.mark.parametrize("task", ["detector", "classifier"])
def test_the_drawn_picture(
    daemon: RunningDaemon, task: str, request: pytest.FixtureRequest
) -> None:
    model: Known = request.getfixturevalue(task)
    plain = daemon.post(f"{BINARY}?mid={model.mid}", model.image)
    shown = daemon.post(f"{BINARY}?mid={model.mid}&show=1", model.image)
    assert results(shown) == results(plain)
    assert "image" not in plain.json["data"]
    drawn = picture(shown)
    assert size_of(drawn) == size_of(model.image)
    before, after = decoded(model.image).astype(int), decoded(drawn).astype(int)
    changed = (np.abs(before - after).max(axis=2) > 60).mean()
    assert 0 < changed < 0.5, "something is drawn, and the picture is still to be seen"


# -- EXIF orientation


def turned(pixels: Any, orientation: int) -> bytes:
    """A JPEG that a viewer shows as `pixels` (BGR), stored the way `orientation` says."""
    undo = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}  # 6 and 8 undo each other
    methods = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    image = Image.fromarray(pixels[:, :, ::-1])
    if orientation in undo:
        image = image.transpose(methods[undo[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=100, subsampling=0, exif=exif)
    return stream.getvalue()


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_photo_gives_the_boxes_of_the_upright_one(
    daemon: RunningDaemon, detector: Known, orientation: int
) -> None:
    pixels = decoded(detector.image)
    pixels = pixels[: pixels.shape[0] - pixels.shape[1] // 20]  # no square
    upright = daemon.post(f"{BINARY}?mid={detector.mid}", turned(pixels, 1))
    answer = daemon.post(f"{BINARY}?mid={detector.mid}&show=1", turned(pixels, orientation))
    assert_same(results(answer), results(upright), pixels=2.0, score=0.02)
    height, width = pixels.shape[:2]
    assert size_of(picture(answer)) == (width, height)


def test_a_jpeg_without_its_end_marker(
    daemon: RunningDaemon, detector: Known, expected: List[Json]
) -> None:
    assert detector.image[-2:] == b"\xff\xd9"
    answer = daemon.post(f"{BINARY}?mid={detector.mid}", detector.image[:-2])
    assert results(answer) == expected


# -- multipart


@pytest.mark.parametrize("path", [MULTIPART, f"{MULTIPART}?show=0", V1_MULTIPART])
@pytest.mark.parametrize(
    "mids", ["[{0},{1}]", "[ {0} , {1} ]\r\n", "{0},{1}", "{0}, {1}", "[0{0},{1}]"]
)
def test_each_model_has_its_entry_in_the_order_of_mids(
    daemon: RunningDaemon,
    detector: Known,
    classifier: Known,
    expected: List[Json],
    path: str,
    mids: str,
) -> None:
    for pair in ((detector.mid, classifier.mid), (classifier.mid, detector.mid)):
        answer = post_form(daemon, detector.image, mids.format(*pair), path)
        assert (answer.status, answer.json["code"], answer.json["msg"]) == (200, 0, "success")
        entries = answer.json["data"]
        assert [entry["model_id"] for entry in entries] == list(pair)
        assert all(set(entry) == {"model_id", "result"} for entry in entries)
        assert entries[pair.index(detector.mid)]["result"] == expected
        assert len(entries[pair.index(classifier.mid)]["result"]) > 0


@pytest.mark.parametrize("show", [f"{MULTIPART}?show=1", f"{V1_MULTIPART}?image=1"])
def test_each_model_draws_its_picture(
    daemon: RunningDaemon, detector: Known, classifier: Known, show: str
) -> None:
    mids = f"[{detector.mid},{classifier.mid}]"
    entries = post_form(daemon, detector.image, mids, show).json["data"]
    drawn = [base64.b64decode(entry["image"], validate=True) for entry in entries]
    assert {size_of(jpeg) for jpeg in drawn} == {size_of(detector.image)}
    assert drawn[0] != drawn[1]


def test_a_model_named_twice_answers_twice(
    daemon: RunningDaemon, detector: Known, expected: List[Json]
) -> None:
    entries = post_form(daemon, detector.image, f"[{detector.mid},{detector.mid}]").json["data"]
    assert [entry["result"] for entry in entries] == [expected, expected]


def test_the_failure_of_one_model_is_the_code_and_the_others_answer(
    daemon: RunningDaemon, detector: Known, expected: List[Json]
) -> None:
    answer = post_form(daemon, detector.image, f"[{NO_SUCH_MID},{detector.mid},{NO_SUCH_MID + 1}]")
    content = answer.json
    assert answer.status == 200
    assert content["code"] == 2002
    assert str(NO_SUCH_MID) in content["msg"]
    first, good, last = content["data"]
    assert good == {"model_id": detector.mid, "result": expected}
    assert (first["model_id"], first["result"], first["code"]) == (NO_SUCH_MID, [], 2002)
    assert first["msg"] == content["msg"] != last["msg"]


def test_when_no_model_answers_the_status_is_the_failures(daemon: RunningDaemon) -> None:
    image = Image.new("RGB", (8, 8))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    answer = post_form(daemon, stream.getvalue(), f"[{NO_SUCH_MID}]")
    assert (answer.status, answer.json["code"]) == (404, 2002)
    assert [entry["result"] for entry in answer.json["data"]] == [[]]


def test_a_broken_picture_fails_every_entry(
    daemon: RunningDaemon, detector: Known, classifier: Known
) -> None:
    cut = detector.image[: len(detector.image) // 2]
    answer = post_form(daemon, cut, f"[{detector.mid},{classifier.mid}]")
    assert (answer.status, answer.json["code"]) == (400, 336005)
    assert [entry["code"] for entry in answer.json["data"]] == [336005, 336005]


def test_the_form_as_other_clients_write_it(
    daemon: RunningDaemon, detector: Known, expected: List[Json]
) -> None:
    """Without quotes, with other headers, a preamble, padding, and words after the end."""
    boundary = 'Content-Type: Multipart/Form-Data; charset=UTF-8; Boundary="a b"\r\n'
    body = (
        b"to be ignored\r\n--a b  \r\ncontent-disposition: FORM-DATA; name=mids\r\n"
        b"Content-Transfer-Encoding: 8bit\r\nContent-Length: 2\r\n\r\n%d\r\n--a b\r\n"
        b'Content-Type: image/jpg\r\nContent-Disposition: form-data; filename="a; name=b.jpg";'
        b' name="file"\r\n\r\n%b\r\n--a b\r\nContent-Disposition: form-data; name="x"\r\n\r\n'
        b"\r\n--a b--\r\nto be ignored too" % (detector.mid, detector.image)
    )
    with Connection(daemon) as connection:
        answer = connection.post(MULTIPART, body, boundary)
    assert answer.json["data"] == [{"model_id": detector.mid, "result": expected}]


def test_a_picture_may_hold_what_looks_like_a_boundary(
    daemon: RunningDaemon, detector: Known, expected: List[Json]
) -> None:
    image = detector.image + b"\r\n--edg\r\n--\r\n\r\n--"  # what comes after the end is no pixel
    answer = post_form(daemon, image, f"[{detector.mid}]")
    assert answer.json["data"][0]["result"] == expected


# -- msgpack


def unpacked(answer: Answer) -> Any:
    assert answer.headers["content-type"] == "application/msgpack"
    return msgpack.unpackb(answer.body)


@pytest.mark.parametrize("accept", ["application/msgpack", "Application/MsgPack, */*;q=0.1"])
def test_msgpack_carries_the_picture_as_bytes(
    daemon: RunningDaemon, detector: Known, expected: List[Json], accept: str
) -> None:
    path = f"{BINARY}?mid={detector.mid}"
    plain = unpacked(daemon.post(path, detector.image, {"Accept": accept}))
    assert plain == {"code": 0, "data": {"result": expected}, "msg": "success"}
    shown = unpacked(daemon.post(f"{path}&show=1", detector.image, {"Accept": accept}))
    assert isinstance(shown["data"]["image"], bytes)
    assert size_of(shown["data"]["image"]) == size_of(detector.image)


def test_msgpack_from_the_other_endpoints(
    daemon: RunningDaemon, detector: Known, expected: List[Json]
) -> None:
    body = json_body(detector.image, show=True)
    data = unpacked(daemon.post(f"{BASE64}?mid={detector.mid}", body, MSGPACK))["data"]
    assert data["result"] == expected
    assert data["image"][:2] == b"\xff\xd8"
    body = form(("file", detector.image), ("mids", b"[%d,%d]" % (detector.mid, NO_SUCH_MID)))
    answer = daemon.post(f"{MULTIPART}?show=1", body, {**FORM, **MSGPACK})
    content = unpacked(answer)
    assert (answer.status, content["code"]) == (200, 2002)
    assert content["data"][0]["image"][:2] == b"\xff\xd8"
    assert content["data"][1]["code"] == 2002


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [(f"{BINARY}?mid=x", 400, 2001), (f"{BINARY}?mid=1&show=2", 400, 336001), ("/no", 404, 3)],
)
def test_errors_in_msgpack(daemon: RunningDaemon, path: str, status: int, code: int) -> None:
    answer = daemon.post(path, b"x", MSGPACK)
    content = unpacked(answer)
    assert (answer.status, content["code"]) == (status, code)
    assert set(content) == {"code", "msg"}


# -- a connection that stays


def test_after_an_error_the_connection_serves_the_next_request(
    daemon: RunningDaemon, detector: Known, expected: List[Json]
) -> None:
    good = f"{BINARY}?mid={detector.mid}"
    with Connection(daemon) as connection:
        assert connection.post(good, b"no picture").json["code"] == 336005
        assert connection.post(f"{BINARY}?mid=x", b"picture").json["code"] == 2001
        assert connection.post(f"{BASE64}?mid={detector.mid}", b"{").json["code"] == 336002
        assert connection.post(MULTIPART, b"x", "Content-Type: text/plain\r\n").status == 400
        assert connection.post("/nowhere", detector.image).json["code"] == 3
        assert connection.post(good, detector.image[:5000]).json["code"] == 336005
        assert results(connection.post(good, detector.image)) == expected
        assert results(connection.post(good, detector.image)) == expected


def test_requests_sent_at_once_are_answered_in_order(
    daemon: RunningDaemon, detector: Known, expected: List[Json]
) -> None:
    path = f"{BINARY}?mid={detector.mid}"
    length = f"Content-Length: {len(detector.image)}\r\n"
    with Connection(daemon) as connection:
        for target in (path, f"{BINARY}?mid={quote('１')}", path):
            connection.head(target, length)
            connection.send(detector.image)
        codes = [connection.answer().json["code"] for _ in range(3)]
    assert codes == [0, 2001, 0]
