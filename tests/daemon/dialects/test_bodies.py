"""Baidu's rules for a picture and for the JSON that it comes in, held at their limits."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Callable, Dict, Iterator, Tuple

import numpy as np
import pytest
from PIL import Image

from tests.daemon.contract import Json, json_body
from tests.daemon.dialects.cloud import (
    Model,
    ask,
    content_of,
    found,
    refused,
    see,
    text_of,
)
from tests.pictures import encoded, landscape, turned
from tests.support import DEMO_MODELS, RunningDaemon

MIB = 1 << 20
MOST_BYTES = 3 * MIB  # 4 MiB of base64


@pytest.fixture(scope="session")
def expected(daemon: RunningDaemon, cameras: Model) -> object:
    return see(daemon, cameras)


def of_size(width: int, height: int, kind: str = "JPEG") -> bytes:
    return encoded(landscape(width, height), kind)


def padded(picture: bytes, size: int) -> bytes:
    """The same picture in so many bytes: what is behind its end is not looked at."""
    return picture + bytes(size - len(picture))


def refusal(daemon: RunningDaemon, model: Model, image: bytes) -> Tuple[int, str]:
    content = ask(daemon, model.local, json_body(image))
    return refused(content), content["error_msg"]


# -- pictures


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("size", [(15, 15), (15, 4096), (4096, 15), (640, 480)])
def test_pictures_that_are_taken(
    daemon: RunningDaemon, cameras: Model, size: Tuple[int, int], kind: str
) -> None:
    assert len(found(ask(daemon, cameras.local, json_body(of_size(*size, kind))))) == 6


@pytest.mark.parametrize("size", [(14, 15), (15, 14), (1, 1), (14, 4096), (4097, 15), (15, 4097)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_sides_beyond_the_limits(
    daemon: RunningDaemon, cameras: Model, size: Tuple[int, int], kind: str
) -> None:
    code, message = refusal(daemon, cameras, of_size(*size, kind))
    assert code == 336004
    assert message.startswith("Invalid input size")
    assert f"{size[0]} x {size[1]}" in message


def test_a_picture_that_a_camera_turned(daemon: RunningDaemon, cameras: Model) -> None:
    image = turned(landscape(15, 4096), 6)
    assert len(found(ask(daemon, cameras.local, json_body(image)))) == 6


def test_four_mib_of_base64_and_no_more(
    daemon: RunningDaemon, cameras: Model, expected: object
) -> None:
    most = padded(cameras.image, MOST_BYTES)
    assert len(text_of(most)) == 4 * MIB
    assert found(ask(daemon, cameras.local, json_body(most))) == expected
    code, message = refusal(daemon, cameras, padded(cameras.image, MOST_BYTES + 1))
    assert code == 336004
    assert str(4 * MIB) in message


def test_line_breaks_do_not_count(daemon: RunningDaemon, cameras: Model, expected: object) -> None:
    text = base64.encodebytes(padded(cameras.image, MOST_BYTES)).decode()
    assert len(text) > 4 * MIB
    assert found(ask(daemon, cameras.local, {"image": text})) == expected


def test_a_body_beyond_any_limit(daemon: RunningDaemon, cameras: Model) -> None:
    answer = daemon.post(cameras.local, b"", {"Content-Length": str(17 * MIB)})
    assert refused(content_of(daemon, answer)) == 336004


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "TIFF"])
def test_other_formats(daemon: RunningDaemon, cameras: Model, kind: str) -> None:
    assert refusal(daemon, cameras, of_size(64, 64, kind))[0] == 336005


BROKEN: Dict[str, Callable[[bytes], bytes]] = {
    "text": lambda image: b"a picture",
    "cut": lambda image: image[:300],
    "no pixels": lambda image: image[: len(image) // 8],
    "zeros": lambda image: bytes(300),
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN)
def test_what_is_no_picture(
    daemon: RunningDaemon, cameras: Model, damage: Callable[[bytes], bytes]
) -> None:
    code, message = refusal(daemon, cameras, damage(cameras.image))
    assert code == 336005
    assert message.startswith("Decode input failed")


def test_grey_and_colours_with_alpha(daemon: RunningDaemon, cameras: Model) -> None:
    pixels = np.full((40, 40), 128, np.uint8)
    for mode in ("L", "1", "P", "RGBA", "LA"):
        image = encoded(Image.fromarray(pixels).convert(mode), "PNG")
        assert len(found(ask(daemon, cameras.local, json_body(image)))) == 6


# -- the text in `image`

SPELLINGS: Dict[str, Callable[[str], str]] = {
    "as it is": str,
    "lines of 76, as MIME has them": lambda text: base64.encodebytes(
        base64.b64decode(text)
    ).decode(),
    "lines ended by CR and LF": lambda text: "\r\n".join([text[:1000], text[1000:], ""]),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_base64_that_is_taken(
    daemon: RunningDaemon, cameras: Model, expected: object, spell: Callable[[str], str]
) -> None:
    assert found(ask(daemon, cameras.local, {"image": spell(text_of(cameras.image))})) == expected


# Its signs are all in it, whatever the picture: `+` and `/`, and padding.
SIGNS = base64.b64encode(b"\xfb\xef\xbe\xff\xff\xff\x00").decode()
NOT_BASE64: Dict[str, Callable[[str], str]] = {
    "a data: header": lambda text: "data:image/jpeg;base64," + text,
    "the URL-safe alphabet": lambda text: SIGNS.replace("+", "-").replace("/", "_"),
    "no padding": lambda text: SIGNS.rstrip("="),
    "escaped": lambda text: SIGNS.replace("+", "%2B"),
    "a blank": lambda text: text[:100] + " " + text[100:],
    "a tab": lambda text: text + "\t",
    "letters of others": lambda text: "图片" + text,
    "a NUL": lambda text: text + "\0",
    "one sign": lambda text: "A",
    "a file's name": lambda text: "file:///photo.jpg",
    "only a blank": lambda text: " ",
}


@pytest.mark.parametrize("spell", NOT_BASE64.values(), ids=NOT_BASE64)
def test_what_is_not_base64(
    daemon: RunningDaemon, cameras: Model, spell: Callable[[str], str]
) -> None:
    assert "+" in SIGNS
    assert "/" in SIGNS
    content = ask(daemon, cameras.local, {"image": spell(text_of(cameras.image))})
    assert refused(content) == 336003
    assert content["error_msg"].startswith("Invalid BASE64")


@pytest.mark.parametrize("fields", [{}, {"image": None}, {"image": ""}, {"image": "\r\n"}])
def test_no_image(daemon: RunningDaemon, cameras: Model, fields: Json) -> None:
    content = ask(daemon, cameras.local, {"top_num": 1, **fields})
    assert refused(content) == 336006
    assert content["error_msg"].startswith("Missing required parameter")


@pytest.mark.parametrize("image", [0, 1.5, True, [], ["AAAA"], {}, {"a": "AAAA"}])
def test_an_image_that_is_not_text(daemon: RunningDaemon, cameras: Model, image: object) -> None:
    assert refused(ask(daemon, cameras.local, {"image": image})) == 336001


# -- the JSON around it

BODIES: Dict[str, Callable[[bytes], bytes]] = {
    "a byte order mark": lambda body: b"\xef\xbb\xbf" + body,
    "a newline behind it": lambda body: body + b"\n",
    "blanks around it": lambda body: b" \r\n\t" + body + b" \r\n\t",
    "escapes": lambda body: body.replace(b"/", b"\\/"),
    "escapes by number": lambda body: body.replace(b"/", b"\\u002F").replace(b"+", b"\\u002b"),
    "a name twice": lambda body: b'{"image": "junk", "top_num": "junk", ' + body[1:],
    "fields of nobody": lambda body: b'{"url": "x", "nested": [{"a": [1e999]}], ' + body[1:],
}


@pytest.mark.parametrize("spell", BODIES.values(), ids=BODIES)
def test_json_that_is_taken(
    daemon: RunningDaemon,
    cameras: Model,
    expected: object,
    spell: Callable[[bytes], bytes],
) -> None:
    body = spell(json_body(cameras.image, top_num=6))
    assert found(ask(daemon, cameras.local, body)) == expected


def test_of_a_name_that_is_there_twice_the_last_holds(
    daemon: RunningDaemon, cameras: Model
) -> None:
    good = json.dumps(text_of(cameras.image)).encode()
    body = b'{"image": %b, "top_num": 2, "top_num": 3}' % good
    assert len(found(ask(daemon, cameras.local, body))) == 3
    content = ask(daemon, cameras.local, b'{"image": %b, "image": null}' % good)
    assert refused(content) == 336006


NOT_JSON: Dict[str, bytes] = {
    "text": b"image",
    "a form": b"image=AAAA",
    "cut": b'{"image": "AAAA',
    "two of them": b'{"image": "AAAA"}{}',
    "single quotes": b"{'image': 'AAAA'}",
    "a comma behind": b'{"image": "AAAA",}',
    "UTF-16": '{"image": "AAAA"}'.encode("utf-16"),
    "not UTF-8": b'{"image": "\xff\xfe"}',
    "half a character": b'{"image": "\\ud800"}',
    "a bare newline": b'{"image": "AA\nAA"}',
    "no number": b'{"image": "AAAA", "top_num": NaN}',
    "a byte order mark alone": b"\xef\xbb\xbf",
    "very deep": b'{"a": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json(daemon: RunningDaemon, cameras: Model, body: bytes) -> None:
    content = ask(daemon, cameras.local, body)
    assert refused(content) == 336002
    assert content["error_msg"].startswith("Invalid JSON")


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null", b"true"])
def test_json_that_is_no_object(daemon: RunningDaemon, cameras: Model, body: bytes) -> None:
    assert refused(ask(daemon, cameras.local, body)) == 336001


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n"])
def test_no_body(daemon: RunningDaemon, cameras: Model, body: bytes) -> None:
    assert refused(ask(daemon, cameras.local, body)) == 336006


def test_a_body_that_is_packed(daemon: RunningDaemon, cameras: Model) -> None:
    content = ask(daemon, cameras.local, b"junk", {"Content-Encoding": "gzip"})
    assert refused(content) == 336001


# -- names and states of models


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, state: Path) -> Iterator[RunningDaemon]:
    """A model of a Chinese name, and one that cannot be served."""
    if not DEMO_MODELS.is_dir():
        pytest.skip("there are no demo models")
    models = tmp_path_factory.mktemp("odd") / "models"
    shutil.copytree(DEMO_MODELS / "camera-check", models / "camera-check")
    manifest = models / "camera-check" / "model.yaml"
    manifest.write_text(manifest.read_text().replace("camera-check", "相机-1.0"), "utf-8")
    shutil.copytree(DEMO_MODELS / "digits", models / "digits")
    (models / "digits" / "model.pdiparams").unlink()
    with RunningDaemon(models=models, state=state) as daemon:
        yield daemon


def test_a_chinese_name(odd: RunningDaemon, cameras: Model) -> None:
    name = "%E7%9B%B8%E6%9C%BA-1.0"
    assert len(see(odd, cameras._replace(name=name))) == 6
    other = cameras._replace(name=name, task="detection")
    content = ask(odd, other.local, json_body(cameras.image))
    assert refused(content) == 3
    assert "相机-1.0" in content["error_msg"]


def test_a_model_that_failed(odd: RunningDaemon, digits: Model) -> None:
    content = ask(odd, digits.local, json_body(digits.image))
    assert refused(content) == 336100
    assert content["error_msg"].startswith("Model temporarily unavailable")
