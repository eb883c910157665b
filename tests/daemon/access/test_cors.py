"""Pages in a browser: those of the origins that are named may call, others may not."""

from __future__ import annotations

from typing import Dict, Tuple

import pytest

from edged.config import load_settings
from edged.errors import ConfigError
from tests.daemon.access.conftest import BOARD, SHOP, Guarded, Serve
from tests.daemon.access.keyring import MODELS, TOKEN, bearer, code_of, credentials
from tests.daemon.contract import BINARY, MULTIPART, V1_BASE64, results
from tests.support import DEMO_MODELS, Answer, RunningDaemon

ALLOWED = "access-control-allow-origin"
IMAGE = (DEMO_MODELS / "digits" / "sample.jpg").read_bytes()
CLOUD = "/rpc/2.0/ai_custom/v1/detection/digits"
OCR = "/rest/2.0/ocr/v1/general"


def cors_of(answer: Answer) -> Dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-con")}


def preflight(daemon: RunningDaemon, path: str, origin: str, method: str = "POST") -> Answer:
    """What a browser asks before a page may send a token in a header."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return daemon.request("OPTIONS", path, headers=headers)


@pytest.mark.parametrize("origin", [SHOP, BOARD])
@pytest.mark.parametrize(
    "path", [f"{BINARY}?mid=1", MULTIPART, V1_BASE64, CLOUD, OCR, TOKEN, "/digits/ObjectDetection"]
)
def test_a_named_origin_may(guarded: Guarded, path: str, origin: str) -> None:
    """Without a token: a browser sends none with this question."""
    answer = preflight(guarded.daemon, path, origin)
    assert answer.status == 200
    assert answer.headers[ALLOWED] == origin
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert set(allowed.replace(" ", "").split(",")) == {"authorization", "content-type"}


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        (MODELS, ("GET", "POST")),
        (f"{MODELS}/1", ("GET", "PUT", "DELETE")),
        (TOKEN, ("GET", "POST")),
        ("/healthz", ("GET",)),
    ],
)
def test_by_every_method_of_a_path(guarded: Guarded, path: str, methods: Tuple[str, ...]) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        allowed = preflight(guarded.daemon, path, SHOP, method).headers.get(ALLOWED)
        assert allowed == (SHOP if method in methods else None), method


def test_answers_and_errors_can_be_read_by_the_page(guarded: Guarded) -> None:
    daemon, origin = guarded.daemon, {"Origin": SHOP}
    good = daemon.post(f"{BINARY}?mid=1", IMAGE, {**origin, **bearer(guarded.token)})
    assert results(good)
    wrong_picture = daemon.post(f"{BINARY}?mid=1", b"x", {**origin, **bearer(guarded.token)})
    no_token = daemon.post(f"{BINARY}?mid=1", IMAGE, origin)
    in_the_cloud = daemon.post(CLOUD, b"", origin)
    tokens = daemon.request("GET", f"{TOKEN}?{credentials(guarded.key)}", headers=origin)
    no_key = daemon.request("GET", TOKEN, headers=origin)
    answers = [good, wrong_picture, no_token, in_the_cloud, tokens, no_key]
    assert [answer.status for answer in answers] == [200, 400, 401, 200, 200, 400]
    assert [answer.headers.get(ALLOWED) for answer in answers] == [SHOP] * 6
    # No page gets the cookies or the passwords that the browser has of this host.
    assert all("access-control-allow-credentials" not in answer.headers for answer in answers)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example.evil.example",
        "https://SHOP.example/",
        "null",
        "*",
    ],
)
def test_another_origin_may_not(guarded: Guarded, origin: str) -> None:
    asked = preflight(guarded.daemon, BINARY, origin)
    assert (asked.status, cors_of(asked)) == (403, {})
    answer = guarded.daemon.request("GET", MODELS, headers={"Origin": origin})
    assert (answer.status, cors_of(answer)) == (401, {})


def test_a_question_that_is_none_of_a_browsers(guarded: Guarded) -> None:
    for headers in ({}, {"Origin": SHOP}, {"Access-Control-Request-Method": "POST"}):
        answer = guarded.daemon.request("OPTIONS", BINARY, headers=headers)
        assert (answer.status, cors_of(answer)) == (403, {})


def test_without_the_setting_no_page_may(serve: Serve) -> None:
    daemon = serve()
    asked = preflight(daemon, BINARY, SHOP)
    assert (asked.status, code_of(asked), cors_of(asked)) == (405, 3, {})
    assert cors_of(daemon.request("GET", MODELS, headers={"Origin": SHOP})) == {}


def test_any_origin(serve: Serve) -> None:
    daemon = serve(cors_origins="*")
    for origin in (SHOP, "null"):
        assert preflight(daemon, BINARY, origin).headers[ALLOWED] in (origin, "*")
        answer = daemon.request("GET", MODELS, headers={"Origin": origin})
        assert answer.status == 200
        assert answer.headers[ALLOWED] in (origin, "*")


@pytest.mark.parametrize(
    "origins",
    [
        *("shop.example", "https://shop.example/", "https://a,https://b", "ftp://a", "**"),
        *("https://*.shop.example", "https://SHOP.example", "https://u@a", "https://a?x"),
        *("https://a.example:443", "http://a.example:80", "https://a https://b:443"),
    ],
)
def test_what_is_no_origin_is_refused_by_name(origins: str) -> None:
    with pytest.raises(ConfigError, match="cors_origins"):
        load_settings(None, {}, {"cors_origins": origins})
