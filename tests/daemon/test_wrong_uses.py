"""Wrong and hostile uses: each has its code, its status and words that help; none does harm."""

from __future__ import annotations

import base64
import gzip
import io
import json
import struct
import zlib
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

import pytest
from PIL import Image

from tests.daemon.contract import (
    BASE64,
    BINARY,
    FORM,
    MULTIPART,
    V1_BASE64,
    V1_BINARY,
    V1_MULTIPART,
    Connection,
    Known,
    form,
    json_body,
    post_form,
    results,
)
from tests.support import Answer, RunningDaemon

# A mid that no model has; the limits that the answers must name are the defaults.
NO_SUCH_MID = 987654


@pytest.fixture(autouse=True)
def _unharmed(daemon: RunningDaemon, detector: Known) -> Iterator[None]:
    """No process was lost and nothing went wrong inside. What aiohttp itself logs of broken
    HTTP is not ours."""
    before, logged = daemon.model(detector.mid), len(daemon.log())
    yield
    after = daemon.model(detector.mid)
    assert after["workers"] == before["workers"]
    assert after["counters"]["restarts"] == before["counters"]["restarts"]
    complaints = daemon.complaints(logged)
    assert not any("edged." in line for line in complaints), complaints


@pytest.fixture(autouse=True, scope="module")
def _still_served(daemon: RunningDaemon, detector: Known) -> Iterator[None]:
    yield
    for _ in range(2 * len(daemon.model(detector.mid)["workers"])):
        assert results(daemon.post(f"{BINARY}?mid={detector.mid}", detector.image))


def encoded(kind: str, width: int = 8, height: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 200)).save(stream, kind)
    return stream.getvalue()


def png_header(width: int, height: int) -> bytes:
    """The first 100 bytes of a PNG of that size, with all checksums right."""
    chunks = b""
    for name, data in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" * 64)),
    ):
        checksum = zlib.crc32(name + data)
        chunks += struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)
    return (b"\x89PNG\r\n\x1a\n" + chunks).ljust(100, b"\0")


def png_with_a_huge_chunk() -> bytes:
    """Its decoder would take the memory first: more than a worker may have."""
    whole = encoded("PNG")
    return whole[:33] + struct.pack(">I", (1 << 31) - 1) + b"tEXt" + whole[33:]


def code_of(answer: Answer) -> int:
    code: int = answer.json["code"]
    assert (code == 0) is (answer.json["msg"] == "success")
    return code


class Wrong(NamedTuple):
    """`body` is made from the picture; `{mid}` in the path is the detector's."""

    name: str
    path: str
    body: Callable[[bytes], bytes]
    status: int
    code: int
    message: str
    headers: Optional[Dict[str, str]] = None


def fixed(body: bytes) -> Callable[[bytes], bytes]:
    return lambda _: body


def in_json(text: str) -> Callable[[bytes], bytes]:
    return lambda _: json.dumps({"image": text}).encode()


def cut(image: bytes) -> bytes:
    return image[: len(image) * 2 // 3]


B, I, M = f"{BASE64}?mid={{mid}}", f"{BINARY}?mid={{mid}}", MULTIPART  # noqa: E741

WRONG = [
    Wrong("empty body, JSON", B, fixed(b""), 400, 336006, "empty"),
    Wrong("blank body, JSON", B, fixed(b" \r\n"), 400, 336006, "empty"),
    Wrong("empty body, binary", I, fixed(b""), 400, 336006, "empty"),
    Wrong("no image field", B, fixed(b'{"show": true}'), 400, 336006, "`image`"),
    Wrong("null image", B, fixed(b'{"image": null}'), 400, 336006, "`image`"),
    Wrong("empty image", B, in_json(""), 400, 336006, "`image`"),
    Wrong("line breaks for an image", B, in_json("\r\n\n"), 400, 336006, "`image`"),
    Wrong("image a number", B, fixed(b'{"image": 12}'), 400, 336001, "image"),
    Wrong("image a list", B, fixed(b'{"image": ["x"]}'), 400, 336001, "image"),
    Wrong("bad base64", B, in_json("%%%%"), 400, 336003, "base64"),
    Wrong("base64 cut", B, in_json("QUJDR"), 400, 336003, "base64"),
    Wrong("base64 without padding", B, in_json("QUI"), 400, 336003, "base64"),
    Wrong("base64 with blanks", B, in_json("QUJD QUJD"), 400, 336003, "base64"),
    Wrong("base64 for URLs", B, in_json("_-__"), 400, 336003, "base64"),
    Wrong("base64 in Chinese", B, in_json("图片"), 400, 336003, "base64"),
    Wrong("a data: header", B, in_json("data:image/jpeg;base64,QUJD"), 400, 336003, "data:"),
    Wrong("base64 of a text", B, in_json("aGVsbG8gd29ybGQ="), 400, 336005, "JPEG"),
    Wrong("no JSON", B, fixed(b"image=abc"), 400, 336002, "JSON"),
    Wrong("JSON cut short", B, lambda image: cut(json_body(image)), 400, 336002, "JSON"),
    Wrong("JSON and more", B, fixed(b'{"image": "QUJD"} {}'), 400, 336002, "JSON"),
    Wrong("picture where JSON belongs", B, lambda image: image, 400, 336002, "JSON"),
    Wrong("JSON in UTF-16", B, fixed('{"image": ""}'.encode("utf-16")), 400, 336002, "JSON"),
    Wrong("JSON not in UTF-8", B, fixed(b'{"image": "\xff\xfe"}'), 400, 336002, "JSON"),
    Wrong("half a pair", B, fixed(b'{"image": "\\ud800"}'), 400, 336002, "JSON"),
    Wrong("NaN", B, fixed(b'{"image": NaN}'), 400, 336002, "JSON"),
    Wrong("infinity", B, fixed(b'{"x": -Infinity}'), 400, 336002, "JSON"),
    Wrong("JSON nested deep", B, fixed(b'{"x": ' + b"[" * 200_000), 400, 336002, "JSON"),
    Wrong("image nested deep", B, fixed(b'{"image": ' + b'{"a":' * 200_000), 400, 336001, "image"),
    Wrong("a list", B, fixed(b"[1, 2]"), 400, 336001, "object"),
    Wrong("a string", B, fixed(b'"QUJD"'), 400, 336001, "object"),
    Wrong("image a huge number", B, fixed(b'{"image": 1e999999}'), 400, 336001, "image"),
    Wrong("a huge number", B, fixed(b'{"x": ' + b"9" * 5000 + b"}"), 400, 336006, "`image`"),
    Wrong("V1: no image", V1_BASE64 + "?mid={mid}", fixed(b"{}"), 400, 336006, "base64_img"),
    Wrong("a text file", I, fixed(b"hello, world\n" * 50), 400, 336005, "JPEG"),
    Wrong("a GIF", I, lambda _: encoded("GIF"), 400, 336005, "JPEG"),
    Wrong("a form sent as binary", I, lambda image: form(("file", image)), 400, 336005, "JPEG"),
    Wrong("JPEG cut in its scan", I, cut, 400, 336005, "JPEG"),
    Wrong("JPEG cut in its header", I, lambda image: image[:40], 400, 336005, "cut short"),
    Wrong("JPEG, two bytes", I, lambda image: image[:2], 400, 336005, "cut short"),
    Wrong("PNG cut", I, lambda _: cut(encoded("PNG", 64, 64)), 400, 336005, "PNG"),
    Wrong("PNG that says it is 2 GB", I, fixed(png_with_a_huge_chunk()), 400, 336005, "PNG"),
    Wrong("BMP cut", I, lambda _: cut(encoded("BMP", 64, 64)), 400, 336005, "BMP"),
    Wrong("60,000 a side", I, fixed(png_header(60_000, 60_000)), 400, 336004, "16384"),
    Wrong("16,385 wide", I, fixed(png_header(16_385, 1)), 400, 336004, "16385 x 1"),
    Wrong("2^31 high", I, fixed(png_header(1, 1 << 31)), 400, 336004, "2147483648"),
    Wrong("40 MP and a bit", I, fixed(png_header(8_000, 5_001)), 400, 336004, "40 million"),
    Wrong("no pixel", I, fixed(png_header(0, 0)), 400, 336005, "0 x 0"),
    Wrong("no mid", BINARY, lambda image: image, 400, 2001, "mid"),
    Wrong("empty mid", f"{BINARY}?mid=", lambda image: image, 400, 2001, "mid"),
    Wrong("empty mid in the path", f"{BASE64}/mid=", json_body, 400, 2001, "mid"),
    Wrong("mid a word", f"{BINARY}?mid=abc", lambda image: image, 400, 2001, "'abc'"),
    Wrong("mid negative", f"{BINARY}?mid=-1", lambda image: image, 400, 2001, "'-1'"),
    Wrong("mid a float", f"{BINARY}?mid=1.0", lambda image: image, 400, 2001, "'1.0'"),
    Wrong("mid in hexadecimal", f"{BINARY}?mid=0x1", lambda image: image, 400, 2001, "'0x1'"),
    Wrong("mid with an underscore", f"{BINARY}?mid=1_0", lambda image: image, 400, 2001, "'1_0'"),
    Wrong("mid a wide digit", f"{BINARY}?mid=%EF%BC%91", lambda image: image, 400, 2001, "number"),
    Wrong("mid a list", f"{BASE64}?mid=[1]", json_body, 400, 2001, "'[1]'"),
    Wrong("mid not in UTF-8", f"{BINARY}?mid=%FF%FE%00", lambda image: image, 400, 2001, "number"),
    Wrong(
        "mid with a line break", f"{BINARY}?mid=1%0D%0AX:", lambda image: image, 400, 2001, r"\r"
    ),
    Wrong("no such mid", f"{BASE64}?mid={NO_SUCH_MID}", json_body, 404, 2002, str(NO_SUCH_MID)),
    Wrong("a huge mid", f"{BINARY}?mid={'9' * 19}", lambda image: image, 404, 2002, "9" * 19),
    Wrong("4,000 digits", f"{BINARY}?mid={'9' * 4000}", lambda image: image, 404, 2002, "999"),
    Wrong("show a word", I + "&show=yes", lambda image: image, 400, 336001, "show"),
    Wrong("show true", I + "?show=true", lambda image: image, 400, 336001, "show"),
    Wrong("V1: image a word", V1_BINARY + "?mid={mid}&image=2", fixed(b"x"), 400, 336001, "image"),
    Wrong("form: show a word", f"{M}?show=on", fixed(form()), 400, 336001, "show", FORM),
    Wrong("no route", "/api/model/services/base64?mid=1", json_body, 404, 3, "/api/model/services"),
    Wrong("no text for a route", "/%FF%00%0A", fixed(b""), 404, 3, "no route"),
    Wrong(
        "an encoded body",
        I,
        fixed(b"x" * 50),
        400,
        336001,
        "Content-Encoding",
        {"Content-Encoding": "gzip"},
    ),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_a_wrong_use_has_its_code_and_message(
    daemon: RunningDaemon, detector: Known, wrong: Wrong
) -> None:
    path = wrong.path.replace("{mid}", str(detector.mid))
    answer = daemon.post(path, wrong.body(detector.image), wrong.headers)
    assert (answer.status, code_of(answer)) == (wrong.status, wrong.code), answer.body
    assert wrong.message in answer.json["msg"]
    assert len(answer.json["msg"]) < 300
    assert set(answer.json) == {"code", "msg"}


# -- mids


@pytest.mark.parametrize(
    "mids",
    [
        b"",
        b" ",
        b"[]",
        b"[",
        b"[1",
        b"1]",
        b"x",
        b"[x]",
        b"1;2",
        b"1 2",
        b"[[1]]",
        b"[1,[2]]",
        b"[1.0]",
        b"[1e0]",
        b"[-1]",
        b"[+1]",
        b"[1,]",
        b"[,1]",
        b"[true]",
        b"[null]",
        b'{"mid": 1}',
        b"[0x1]",
        "[１]".encode(),
        b"\xff\xfe",
        b"[1\0]",
        b"[" + b"9" * 19 + b"]",
        b"[" + b"1," * 16 + b"1]",
        b"[" + b"1," * 100_000 + b"1]",
        b"[" * 100_000,
    ],
    ids=lambda mids: repr(mids[:12]),
)
@pytest.mark.parametrize("path", [MULTIPART, V1_MULTIPART])
def test_mids_that_are_no_list_of_numbers(
    daemon: RunningDaemon, detector: Known, path: str, mids: bytes
) -> None:
    answer = daemon.post(path, form(("file", detector.image), ("mids", mids)), FORM)
    assert (answer.status, code_of(answer)) == (400, 336001), answer.body
    assert "mids" in answer.json["msg"]
    assert len(answer.json["msg"]) < 300


def test_16_mids_are_answered_and_17_are_not(daemon: RunningDaemon, detector: Known) -> None:
    mids = [detector.mid, *range(NO_SUCH_MID, NO_SUCH_MID + 15)]
    sixteen = post_form(daemon, detector.image, json.dumps(mids))
    assert (sixteen.status, len(sixteen.json["data"])) == (200, 16)
    seventeen = post_form(daemon, detector.image, json.dumps([*mids, 1]))
    assert (seventeen.status, code_of(seventeen)) == (400, 336001)
    assert "17" in seventeen.json["msg"]
    assert "16" in seventeen.json["msg"]


# -- forms


def post_raw_form(daemon: RunningDaemon, body: bytes, content_type: str) -> Answer:
    return daemon.post(MULTIPART, body, {"Content-Type": content_type})


def test_a_form_without_a_file_or_without_mids(daemon: RunningDaemon, detector: Known) -> None:
    mids, file = ("mids", b"[%d]" % detector.mid), ("file", detector.image)
    for fields, code, message in (
        ([mids], 336006, "`file`"),
        ([mids, ("file", b"")], 336006, "`file`"),
        ([mids, ("image", detector.image)], 336006, "`file`"),
        ([file], 336001, "`mids`"),
        ([], 336001, "`mids`"),
        ([("", detector.image), mids], 336006, "`file`"),
        ([mids, mids, file], 336001, "more than one field `mids`"),
        ([mids, file, file], 336001, "more than one field `file`"),
    ):
        answer = daemon.post(MULTIPART, form(*fields), FORM)
        assert (answer.status, code_of(answer)) == (400, code), answer.body
        assert message in answer.json["msg"]


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "image/jpeg",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=other",
        "multipart/form-data; boundary=" + "x" * 5000,
        "multipart/form-data; boundary*=utf-8''edge; boundary*0=a; boundary*1*=b",
        "multipart",
    ],
)
def test_a_form_that_its_header_does_not_describe(
    daemon: RunningDaemon, detector: Known, content_type: str
) -> None:
    body = form(("file", detector.image), ("mids", b"[%d]" % detector.mid))
    answer = post_raw_form(daemon, body, content_type)
    assert (answer.status, code_of(answer)) == (400, 336001), answer.body
    assert "multipart/form-data" in answer.json["msg"]


HEAD = b'--edge\r\nContent-Disposition: form-data; name="mids"\r\n\r\n[1]'


@pytest.mark.parametrize(
    "body",
    [
        b"edge",
        b"--edge",
        b"--edge\r\n",
        b"--edge\r\n\r\n",
        HEAD,
        HEAD + b"\r\n--edge",
        HEAD + b"\r\n--edge-",
        HEAD.replace(b"\r\n\r\n", b"\r\n") + b"\r\n--edge--\r\n",
        HEAD.replace(b"\r\n", b"\n") + b"\n--edge--\n",
        b"--edge\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n1\r\n--edge--\r\n",
        b"--edge\r\n" + b"X: y\r\n" * 200_000 + b"\r\n1\r\n--edge--\r\n",
        b"preamble\r\n" * 200_000,
        b"--edge\r\n\r\n\r\n" * 10_000 + b"--edge--\r\n",
        form(*((f"field{number}", b"") for number in range(10_000))),
        b"--edge" * 200_000,
        b"\r\n--edge" * 200_000,
        b"\xff\xfe\0" * 1000,
    ],
    ids=lambda body: repr(body[:10]),
)
def test_a_form_that_is_none(daemon: RunningDaemon, body: bytes) -> None:
    answer = daemon.post(MULTIPART, body, FORM)
    assert (answer.status, code_of(answer)) == (400, 336001), answer.body
    assert "form" in answer.json["msg"]


def test_what_a_form_may_hold_at_most(daemon: RunningDaemon, detector: Known) -> None:
    mids, file = ("mids", b"[%d]" % detector.mid), ("file", detector.image)
    others = [(f"field{number}", b"") for number in range(63)]
    assert daemon.post(MULTIPART, form(*others[:62], mids, file), FORM).json["code"] == 0
    answer = daemon.post(MULTIPART, form(*others, mids, file), FORM)
    assert (answer.status, code_of(answer)) == (400, 336001)
    assert "64" in answer.json["msg"]
    header = b"--edge\r\nX: %b\r\n\r\n\r\n"
    long = daemon.post(MULTIPART, header % (b"x" * 8100) + form(mids, file), FORM)
    assert long.json["code"] == 0
    too_long = daemon.post(MULTIPART, header % (b"x" * 8200) + form(mids, file), FORM)
    assert (too_long.status, code_of(too_long)) == (400, 336001)
    assert "8192" in too_long.json["msg"]


@pytest.mark.parametrize(
    "disposition",
    [
        b"Content-Disposition: form-data",
        b"Content-Disposition:",
        b"Content-Disposition: form-data; name",
        b"Content-Disposition: form-data; name=",
        b'Content-Disposition: form-data; name=="mids',
        b"Content-Disposition: form-data; name*=utf-8''mids",
        b"Content-Disposition: form-data; name*=nothing''%FF",
        b'Content-Disposition: form-data; name="\xff\xfe"',
        b"Content-Disposition: " + b";" * 5000,
        b"no header at all",
        b": nameless",
        b"\0\0\0",
    ],
    ids=lambda line: repr(line[20:44]),
)
def test_a_part_without_a_name_is_passed_over(
    daemon: RunningDaemon, detector: Known, disposition: bytes
) -> None:
    odd = b"--edge\r\n" + disposition + b"\r\n\r\n[1]\r\n"
    good = form(("file", detector.image), ("mids", b"[%d]" % detector.mid))
    assert daemon.post(MULTIPART, odd + good, FORM).json["code"] == 0


def test_a_compressed_part_is_not_blown_up(daemon: RunningDaemon, detector: Known) -> None:
    bomb = gzip.compress(bytes(64 << 20), 1)
    body = form(("mids", b"[%d]" % detector.mid), ("file", bomb))
    body = body.replace(b"Content-Type: image/jpeg", b"Content-Encoding: gzip")
    answer = daemon.post(MULTIPART, body, FORM)
    assert (answer.status, code_of(answer)) == (400, 336005)


def test_a_form_in_a_form(daemon: RunningDaemon, detector: Known) -> None:
    inner = form(("file", detector.image), ("mids", b"[1]")).replace(b"edge", b"inner")
    body = form(("file", inner), ("mids", b"[%d]" % detector.mid)).replace(
        b"Content-Type: image/jpeg", b"Content-Type: multipart/mixed; boundary=inner"
    )
    answer = daemon.post(MULTIPART, body, FORM)
    assert (answer.status, code_of(answer)) == (400, 336005)


# -- pictures that a decoder should not even see


def test_a_bomb_is_refused_before_any_worker_sees_it(
    daemon: RunningDaemon, detector: Known
) -> None:
    """In every way a picture can come, and by JPEG and WebP headers as well."""
    before = daemon.model(detector.mid)["counters"]
    frame = struct.pack(">BHHB", 8, 60_000, 60_000, 3) + bytes(9)
    jpeg = b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame
    webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (59_999).to_bytes(3, "little") * 2
    bmp = b"BM" + bytes(12) + struct.pack("<Iii", 40, 60_000, -60_000) + bytes(60)
    for bomb in (png_header(60_000, 60_000), jpeg, webp, bmp):
        for answer in (
            daemon.post(f"{BINARY}?mid={detector.mid}", bomb),
            daemon.post(f"{BASE64}?mid={detector.mid}", json_body(bomb)),
            post_form(daemon, bomb, f"[{detector.mid},{NO_SUCH_MID}]"),
        ):
            assert (answer.status, code_of(answer)) == (400, 336004)
            assert "60000 x 60000" in answer.json["msg"]
    assert daemon.model(detector.mid)["counters"] == before


@pytest.mark.parametrize("size", [(16_384, 1), (1, 16_384)])
def test_a_strip_of_pixels(
    daemon: RunningDaemon, detector: Known, classifier: Known, size: Any
) -> None:
    """Scaled to a classifier's short side it would be gigabytes: an answer or a refusal."""
    strip = encoded("PNG", *size)
    assert results(daemon.post(f"{BINARY}?mid={detector.mid}&show=1", strip)) == []
    answer = daemon.post(f"{BINARY}?mid={classifier.mid}&show=1", strip)
    assert code_of(answer) in (0, 336004)
    assert answer.status == (400 if code_of(answer) else 200)


def test_a_picture_of_one_pixel(daemon: RunningDaemon, detector: Known, classifier: Known) -> None:
    for kind in ("PNG", "JPEG", "BMP", "WEBP"):
        mids = f"[{detector.mid},{classifier.mid}]"
        answer = post_form(daemon, encoded(kind, 1, 1), mids, f"{MULTIPART}?show=1")
        assert code_of(answer) == 0


def test_a_header_of_nothing_but_markers(daemon: RunningDaemon, detector: Known) -> None:
    """The loop walks them: it must not walk millions."""
    for filling in (b"\xff\xe0\0\2", b"\xff\xd0", b"\xff\0", b"\xff", b"\0"):
        image = b"\xff\xd8" + filling * ((4 << 20) // len(filling))
        answer = daemon.post(f"{BINARY}?mid={detector.mid}", image)
        assert (answer.status, code_of(answer)) == (400, 336005)


# -- what is wrong with the HTTP itself: aiohttp's words, and no harm


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(200),  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /\xff HTTP/1.1\r\nHost: board\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: board\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: board\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: board\r\nX: y\rZ: evil\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: board\r\nX y: z\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: board\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"POST /?mid=" + b"9" * 100_000 + b" HTTP/1.1\r\nHost: board\r\n\r\n",
        b"POST %b?mid=1 HTTP/1.1\r\nHost: board\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nx"
        % BINARY.encode(),
    ],
    ids=lambda request: repr(request[:16]),
)
def test_broken_http(daemon: RunningDaemon, request_bytes: bytes) -> None:
    with Connection(daemon) as connection:
        connection.send(request_bytes)
        assert connection.answer().status == 400


def test_a_json_of_millions_of_lists_is_not_built(daemon: RunningDaemon, detector: Known) -> None:
    """16 MiB of it would be 500 MB of Python objects."""
    before = peak_memory(daemon)
    lists = b",".join([b"[]"] * 4_000_000)
    body = b'{"x": [' + lists + b"], " + json_body(detector.image)[1:]
    assert results(daemon.post(f"{BASE64}?mid={detector.mid}", body))
    assert peak_memory(daemon) - before < 100 << 20


def peak_memory(daemon: RunningDaemon) -> int:
    """The most that the daemon's own process has had in memory so far, in bytes."""
    with open(f"/proc/{daemon.process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


def test_many_wrong_uses_on_one_connection(daemon: RunningDaemon, detector: Known) -> None:
    codes: List[int] = []
    text = base64.b64encode(b"no picture")
    with Connection(daemon) as connection:
        for _ in range(50):
            codes.append(
                code_of(connection.post(f"{BASE64}?mid={detector.mid}", b'{"image":"%b"}' % text))
            )
            codes.append(code_of(connection.post(f"{BINARY}?mid={NO_SUCH_MID}", detector.image)))
    assert codes == [336005, 2002] * 50
