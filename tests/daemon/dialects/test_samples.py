"""The requests of the documents' sample programs, byte for byte.

What each of them leaves on the wire was taken from its HTTP library: PHP's and C++'s
from libcurl, old and new, Java's from HttpURLConnection, Python's from what runs here.
"""

from __future__ import annotations

import json
import urllib.request
from typing import Callable, Dict, List, NamedTuple
from urllib.parse import quote_plus, urlencode

import pytest
import requests

from edged.keys import NewKey
from tests.daemon.contract import Connection, Json, json_body, plain
from tests.daemon.dialects.cloud import OCR, TOKEN, Model, content_of, found, see, text_of, words
from tests.support import RunningDaemon

_EXPECT = "Expect: 100-continue\r\n"
_CURL = "POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n"
_OLD_CURL = "POST {path} HTTP/1.1\r\nUser-Agent: curl/7.19.7\r\nHost: {host}\r\nAccept: */*\r\n"
_JAVA = (
    "POST {path} HTTP/1.1\r\nContent-Type: {type}\r\nCache-Control: no-cache\r\n"
    "Pragma: no-cache\r\nUser-Agent: Java/17.0.15\r\nHost: {host}\r\n"
    "Accept: text/html, image/gif, image/jpeg, */*; q=0.2\r\nConnection: keep-alive\r\n"
)
_LENGTH = "Content-Length: {length}\r\n"
_FORM = "application/x-www-form-urlencoded"


class Sample(NamedTuple):
    """`head` as its library writes it, less the empty line, with {path}, {host} and {length}.

    `waits`: it sends no body before it reads "100 Continue".
    """

    head: str
    body: bytes
    waits: bool = False

    def ask(self, daemon: RunningDaemon, path: str) -> Json:
        host = f"127.0.0.1:{daemon.port}"
        head = self.head.format(path=path, host=host, length=len(self.body))
        with Connection(daemon) as connection:
            connection.send(f"{head}\r\n".encode())
            if self.waits:
                assert connection.answer().status == 100
            connection.send(self.body)
            return content_of(daemon, connection.answer())


def curl_form(boundary: str, text: str, waits: bool, head: str = _CURL) -> Sample:
    """A form of one part, as libcurl makes it of CURLOPT_HTTPPOST and PHP of an array."""
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"\r\n\r\n{text}\r\n'
        f"--{boundary}--\r\n"
    )
    head += f"{_LENGTH}Content-Type: multipart/form-data; boundary={boundary}\r\n"
    return Sample(head + (_EXPECT if waits else ""), body.encode(), waits)


def java(content_type: str, body: str) -> Sample:
    return Sample(_JAVA.replace("{type}", content_type) + _LENGTH, body.encode())


def php_json(body: bytes, waits: bool = False) -> Sample:
    """Text in CURLOPT_POSTFIELDS, of which libcurl thinks that it is a form."""
    head = f"{_CURL}{_LENGTH}Content-Type: {_FORM}\r\n{_EXPECT if waits else ''}"
    return Sample(head, body, waits)


def cpp_json(body: bytes, waits: bool = False) -> Sample:
    """The same with a header of the program's own."""
    head = f"{_CURL}Content-Type: application/json;charset=UTF-8\r\n{_LENGTH}"
    return Sample(head + (_EXPECT if waits else ""), body, waits)


OCR_SAMPLES: Dict[str, Callable[[str], Sample]] = {
    "PHP": lambda text: curl_form("-" * 24 + "d74496d66958873e", text, waits=False),
    "PHP that asks first": lambda text: curl_form("-" * 24 + "d74496d66958873e", text, waits=True),
    "PHP, curl 8": lambda text: curl_form("-" * 24 + "Zk5uH1qXw0Tn9bVc3RyLae", text, waits=False),
    "C++": lambda text: curl_form("-" * 24 + "5a2b0f3c9d1e7788", text, waits=True),
    "C++, curl 7.19": lambda text: curl_form("-" * 28 + "3bbfb1c1a0f4", text, True, _OLD_CURL),
    "Java": lambda text: java(_FORM, f"image={quote_plus(text)}"),
    "Java, with language_type": lambda text: java(
        _FORM, f"image={quote_plus(text)}&language_type=CHN_ENG"
    ),
    "Java, JSON": lambda text: java("application/json", json.dumps({"image": text})),
    "shell": lambda text: Sample(
        f"{_CURL}{_LENGTH}Content-Type: {_FORM}\r\n", f"image={quote_plus(text)}\n".encode()
    ),
}


@pytest.mark.parametrize("name", OCR_SAMPLES)
def test_text(reader: RunningDaemon, token: str, hello: bytes, name: str) -> None:
    path = f"{OCR}accurate_basic?access_token={token}"
    (line,) = words(OCR_SAMPLES[name](text_of(hello)).ask(reader, path))
    assert plain(line) == "hello12345world"


def test_a_long_form_in_pieces(reader: RunningDaemon, token: str, page: bytes) -> None:
    """libcurl waits for "100 Continue" where there is over a MiB; here is as much as may be."""
    path = f"{OCR}accurate_basic?access_token={token}"
    padded = page + bytes((3 << 20) - len(page))
    sample = curl_form("-" * 24 + "d74496d66958873e", text_of(padded), waits=True)
    assert len(words(sample.ask(reader, path))) > 10


def test_text_by_requests(reader: RunningDaemon, token: str, hello: bytes) -> None:
    answer = requests.post(
        f"{reader.url}{OCR}accurate_basic?access_token={token}",
        data={"image": text_of(hello).encode()},
        headers={"content-type": _FORM},
    )
    assert len(words(answer.json())) == 1


def test_text_by_urllib(reader: RunningDaemon, token: str, hello: bytes) -> None:
    request = urllib.request.Request(
        f"{reader.url}{OCR}accurate_basic?access_token={token}",
        urlencode({"image": text_of(hello)}).encode(),
    )
    request.add_header("Content-Type", _FORM)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert len(words(json.load(answer))) == 1


def test_a_token_for_a_form_with_a_newline_behind(
    daemon: RunningDaemon, token: str, key: NewKey
) -> None:
    """As `echo` and editors leave one in a file that curl sends."""
    form = {"grant_type": "client_credentials", "client_id": key.api_key}
    body = urlencode({**form, "client_secret": key.secret_key}).encode()
    for end in (b"", b"\n", b"\r\n"):
        answer = daemon.post(TOKEN, body + end, {"Content-Type": _FORM})
        assert answer.json["access_token"]


PICTURE_SAMPLES: Dict[str, Callable[[bytes], Sample]] = {
    "PHP": php_json,
    "PHP that asks first": lambda body: php_json(body, waits=True),
    "C++": cpp_json,
    "C++ that asks first": lambda body: cpp_json(body, waits=True),
    "Java": lambda body: java("application/json", body.decode()),
    "Java with a charset": lambda body: java("application/json;charset=UTF-8", body.decode()),
}


@pytest.fixture(scope="session")
def five(daemon: RunningDaemon, cameras: Model) -> List[Json]:
    return see(daemon, cameras, top_num=5)


@pytest.mark.parametrize("name", PICTURE_SAMPLES)
def test_pictures(
    daemon: RunningDaemon, token: str, cameras: Model, five: List[Json], name: str
) -> None:
    sample = PICTURE_SAMPLES[name](json_body(cameras.image, top_num="5"))
    for path in (cameras.local, cameras.cloud(token)):
        assert found(sample.ask(daemon, path)) == five


@pytest.mark.parametrize("how", ["data", "json"])
def test_pictures_by_requests(
    daemon: RunningDaemon, token: str, cameras: Model, five: List[Json], how: str
) -> None:
    fields = json.loads(json_body(cameras.image, top_num=5))
    sent: Dict[str, object] = {"json": fields} if how == "json" else {"data": json.dumps(fields)}
    for path in (cameras.local, cameras.cloud(token)):
        answer = requests.post(f"{daemon.url}{path}", **sent)  # type: ignore[arg-type]
        assert found(answer.json()) == five
