"""Text recognition as in Baidu's cloud: what is answered, in which language, from which body."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from pathlib import Path
from typing import Callable, Dict, List, Tuple
from urllib.parse import quote, urlencode

import pytest

from edged.keys import KeyStore, NewKey, Rules
from tests.daemon.contract import GoldenLine, Json, assert_texts, golden_lines, plain
from tests.daemon.dialects.cloud import (
    FORM_TYPE,
    JSON_TYPE,
    OCR,
    ask,
    content_of,
    refused,
    text_of,
    token_of,
    words,
)
from tests.pictures import encoded, landscape
from tests.support import RunningDaemon

BASIC = ["accurate_basic", "general_basic"]
LOCATED = ["accurate", "general"]
TEXT, GERMAN = 5, 6
EDGE = {"Content-Type": "multipart/form-data; boundary=edge"}


@pytest.fixture(scope="session")
def golden(fixtures: Path) -> List[GoldenLine]:
    return golden_lines(fixtures)


def route(name: str, token: str) -> str:
    return f"{OCR}{name}?access_token={token}"


def urlencoded(image: bytes, **more: str) -> bytes:
    return urlencode({"image": base64.b64encode(image), **more}).encode()


def read(
    daemon: RunningDaemon, token: str, body: bytes, headers: Dict[str, str] = FORM_TYPE
) -> Json:
    return ask(daemon, route("accurate_basic", token), body, headers)


def answered(daemon: RunningDaemon) -> Tuple[int, int]:
    """How many pictures each of the models has read."""
    text, german = (daemon.model(mid)["counters"]["answered"] for mid in (TEXT, GERMAN))
    return text, german


# -- what is answered


@pytest.mark.parametrize("name", BASIC)
def test_it_reads_as_the_reference_does(
    reader: RunningDaemon, token: str, page: bytes, golden: List[GoldenLine], name: str
) -> None:
    content = ask(reader, route(name, token), urlencoded(page), FORM_TYPE)
    assert_texts(words(content), golden)
    for line in content["words_result"]:
        assert set(line) == {"words", "score"}
        assert 0 < line["score"] <= 1


@pytest.mark.parametrize("name", LOCATED)
def test_every_line_has_its_place(
    reader: RunningDaemon, token: str, page: bytes, golden: List[GoldenLine], name: str
) -> None:
    content = ask(reader, route(name, token), urlencoded(page), FORM_TYPE)
    assert_texts(words(content), golden)
    for line, expected in zip(content["words_result"], golden):  # in reading order
        assert set(line) == {"words", "score", "location"}
        box = line["location"]
        assert set(box) == {"left", "top", "width", "height"}
        assert all(type(value) is int for value in box.values())
        xs, ys = zip(*expected.quad)
        place = [box["left"], box["top"], box["left"] + box["width"], box["top"] + box["height"]]
        assert place == pytest.approx([min(xs), min(ys), max(xs), max(ys)], abs=6)
        assert 0 <= place[0] < place[2] <= 2356
        assert 0 <= place[1] < place[3] <= 1322


def test_where_nothing_is_written(reader: RunningDaemon, token: str) -> None:
    content = read(reader, token, urlencoded(encoded(landscape(320, 240))))
    assert (words(content), content["words_result_num"]) == ([], 0)


# -- bodies


def form_of(*fields: Tuple[str, str], headers: str = "") -> bytes:
    parts = "".join(
        f'--edge\r\nContent-Disposition: form-data; name="{name}"{headers}\r\n\r\n{value}\r\n'
        for name, value in fields
    )
    return f"{parts}--edge--\r\n".encode()


MIME = 'filename="a.txt"\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit'


def bodies_of(image: bytes) -> Dict[str, Tuple[bytes, Dict[str, str]]]:
    """One picture in every body that a client sends it in. There is a `+` in its base64."""
    text = text_of(image)
    assert "+" in text
    as_json = json.dumps({"image": text, "detect_direction": True}).encode()
    form = f"image={quote(text, safe='')}".encode()
    bare = f"image={text}".encode()
    lines = base64.encodebytes(image).decode()
    return {
        "form": (form, FORM_TYPE),
        "form without a type": (form, {}),
        "form with a charset": (
            form,
            {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"},
        ),
        "form with a newline behind": (form + b"\r\n", FORM_TYPE),
        "form with a bare +": (bare, FORM_TYPE),
        "form with other fields": (b"probability=true&" + form + b"&paragraph=false", FORM_TYPE),
        "form with lines": (f"image={quote(lines, safe='')}".encode(), FORM_TYPE),
        "form, lower case": (form.replace(b"%2B", b"%2b").replace(b"%2F", b"%2f"), FORM_TYPE),
        "multipart": (form_of(("image", text)), EDGE),
        "multipart as a file": (form_of(("image", text), headers=f"; {MIME}"), EDGE),
        "multipart with other fields": (form_of(("a", "b"), ("image", text), ("c", "")), EDGE),
        "multipart with lines": (form_of(("image", lines)), EDGE),
        "multipart with a newline behind": (form_of(("image", text)) + b"\n", EDGE),
        "JSON": (as_json, JSON_TYPE),
        "JSON as UTF-8": (as_json, {"Content-Type": "application/json;charset=UTF-8"}),
        "JSON under a form's type": (as_json, FORM_TYPE),
        "JSON under multipart's type": (as_json, EDGE),
        "JSON without a type": (b"\xef\xbb\xbf" + as_json + b"\n", {}),
    }


@pytest.mark.parametrize("kind", bodies_of(b"\xfb\xef\xbe"))
def test_bodies(reader: RunningDaemon, token: str, hello: bytes, kind: str) -> None:
    body, headers = bodies_of(hello)[kind]
    (line,) = words(read(reader, token, body, headers))
    assert plain(line) == "hello12345world"


def bad_bodies() -> Dict[str, Tuple[bytes, Dict[str, str], int]]:
    binary = b"\x89PNG\r\n\x1a\n\0\xff\xd8"
    part = b'--edge\r\nContent-Disposition: form-data; name="image"\r\n\r\n'
    return {
        "nothing": (b"", FORM_TYPE, 336006),
        "only a newline": (b"\n", FORM_TYPE, 336006),
        "no image": (b"url=http%3A%2F%2Fexample.com%2Fa.jpg", FORM_TYPE, 336006),
        "an empty image": (b"image=", FORM_TYPE, 336006),
        "no image in a part": (form_of(("url", "x")), EDGE, 336006),
        "an empty part": (form_of(("image", "")), EDGE, 336006),
        "no image in JSON": (b'{"url": "x"}', JSON_TYPE, 336006),
        "null": (b'{"image": null}', JSON_TYPE, 336006),
        "a number": (b'{"image": 1}', JSON_TYPE, 336001),
        "a list in JSON": (b'["image"]', JSON_TYPE, 336001),
        "a text in JSON": (b'"image"', JSON_TYPE, 336001),
        "no JSON, said to be": (b"image", JSON_TYPE, 336002),
        "a cut escape": (b"image=AAA%", FORM_TYPE, 336001),
        "broken JSON": (b'{"image": "AAAA"', JSON_TYPE, 336002),
        "a broken form": (part + b"AAAA", EDGE, 336001),
        "a form of many": (b"a=1&" * 5000, FORM_TYPE, 336001),
        "a data: header": (b"image=data%3Aimage%2Fpng%3Bbase64%2CAAAA", FORM_TYPE, 336003),
        "URL-safe": (b"image=--__", FORM_TYPE, 336003),
        "escaped twice": (b"image=AA%252B", FORM_TYPE, 336003),
        "bytes as they are": (part + binary + b"\r\n--edge--\r\n", EDGE, 336003),
        "escapes of bytes": (b"image=%FF%D8%FF", FORM_TYPE, 336003),
        "escapes of everything": (b"image=" + b"%41" * (4 << 20), FORM_TYPE, 336005),
        "text": (b"image=AAAA", FORM_TYPE, 336005),
    }


@pytest.mark.parametrize("kind", bad_bodies())
def test_bad_bodies(reader: RunningDaemon, token: str, kind: str) -> None:
    body, headers, code = bad_bodies()[kind]
    assert refused(read(reader, token, body, headers)) == code


@pytest.mark.parametrize(("width", "height"), [(14, 40), (40, 14), (4097, 20)])
def test_sides(reader: RunningDaemon, token: str, width: int, height: int) -> None:
    image = encoded(landscape(width, height), "PNG")
    assert refused(read(reader, token, urlencoded(image))) == 336004


def test_four_mib_of_base64_and_no_more(reader: RunningDaemon, token: str, hello: bytes) -> None:
    """Each sign counts once, escaped or not."""
    most = hello + bytes((3 << 20) - len(hello))
    assert len(words(read(reader, token, urlencoded(most)))) == 1
    everything_escaped = b"image=" + quote("/" * (4 << 20), safe="").encode()
    assert refused(read(reader, token, everything_escaped)) == 336005
    assert refused(read(reader, token, urlencoded(most + b"\0"))) == 336004


# -- languages


@pytest.mark.parametrize(
    ("language", "reader_of_it"),
    [
        ({}, TEXT),
        ({"language_type": ""}, TEXT),
        ({"language_type": "CHN_ENG"}, TEXT),
        ({"language_type": "auto_detect"}, TEXT),
        ({"language_type": "ENG"}, TEXT),  # the lowest mid of those that are ready
        ({"language_type": "GER"}, GERMAN),
    ],
)
@pytest.mark.parametrize("kind", ["form", "json"])
def test_which_model_reads(
    reader: RunningDaemon,
    token: str,
    hello: bytes,
    language: Dict[str, str],
    reader_of_it: int,
    kind: str,
) -> None:
    before = answered(reader)
    fields = {"image": text_of(hello), **language}
    body = urlencode(fields).encode() if kind == "form" else json.dumps(fields).encode()
    assert len(words(read(reader, token, body))) == 1
    more = [after - earlier for after, earlier in zip(answered(reader), before)]
    assert more == [reader_of_it == TEXT, reader_of_it == GERMAN]


@pytest.mark.parametrize("language", ["JAP", "chn_eng", "eng", "Klingon", "ENG,GER", "\n"])
def test_a_language_that_nobody_reads(
    reader: RunningDaemon, token: str, hello: bytes, language: str
) -> None:
    body = json.dumps({"image": text_of(hello), "language_type": language}).encode()
    content = read(reader, token, body)
    assert refused(content) == 336001
    assert content["error_msg"].endswith("there are: CHN_ENG, ENG, FRE, GER, auto_detect")


def test_a_language_that_only_a_failed_model_reads(
    reader: RunningDaemon, token: str, hello: bytes
) -> None:
    assert reader.model(4)["state"] == "failed"
    assert refused(read(reader, token, urlencoded(hello, language_type="FRE"))) == 336100


@pytest.mark.parametrize("language", [1, ["ENG"], True])
def test_a_language_that_is_not_text(reader: RunningDaemon, token: str, language: object) -> None:
    body = json.dumps({"image": "AAAA", "language_type": language}).encode()
    assert refused(read(reader, token, body)) == 336001


def test_a_key_of_one_model(reader: RunningDaemon, state: Path, hello: bytes) -> None:
    """It is read by the model that the key may use, or by none."""
    with closing(KeyStore(state)) as store:
        key = store.create("german-only", Rules(models=("german",)))
    token, before = token_of(reader, key), answered(reader)
    assert words(read(reader, token, urlencoded(hello, language_type="ENG")))
    assert answered(reader) == (before[0], before[1] + 1)
    assert refused(read(reader, token, urlencoded(hello))) == 6


def test_without_an_ocr_model(
    start_daemon: Callable[..., RunningDaemon], key: NewKey, hello: bytes, tmp_path: Path
) -> None:
    daemon = start_daemon(models=tmp_path)
    content = read(daemon, token_of(daemon, key), urlencoded(hello))
    assert refused(content) == 336001
    assert "there is no OCR model" in content["error_msg"]


# -- the route


def test_it_wants_a_token(reader: RunningDaemon, hello: bytes) -> None:
    for name in BASIC + LOCATED:
        assert refused(ask(reader, OCR + name, urlencoded(hello), FORM_TYPE)) == 100


def test_only_post(reader: RunningDaemon, token: str) -> None:
    answer = reader.request("GET", route("general", token))
    assert refused(content_of(reader, answer)) == 3
