"""Who may call what: with tokens and without, on the routes of every dialect."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Set, Tuple

import pytest

from edged.config import Settings
from edged.daemon.auth import Gate
from edged.daemon.dialects.update import PATH as UPDATE
from edged.daemon.live import Live
from edged.daemon.pictures import Pictures
from edged.daemon.routing import make_app
from edged.daemon.service import Service
from edged.daemon.traffic import Traffic
from edged.daemon.zygote import Zygote
from edged.datasets.writer import Datasets
from tests.daemon.access.conftest import Guarded, Serve
from tests.daemon.access.keyring import (
    MODELS,
    TOKEN,
    ask,
    bearer,
    code_of,
    make_key,
    ran,
    token_of,
)
from tests.daemon.contract import (
    BASE64,
    BINARY,
    FORM,
    MULTIPART,
    V1_BASE64,
    V1_BINARY,
    V1_MULTIPART,
    Connection,
    form,
    json_body,
    results,
)
from tests.support import DEMO_MODELS, ROOT, Answer, RunningDaemon, wait_for

DIGITS, CAMERA_CHECK = 1, 2
IMAGE = (DEMO_MODELS / "digits" / "sample.jpg").read_bytes()

METRICS = "/metrics"
EXPORT = "/api/datasets/1/export"
OPEN = ["/healthz", "/readyz"]
EDGEBOARD = [BASE64, f"{BASE64}/mid=1", BINARY, f"{BINARY}/mid=1", MULTIPART]
EDGEBOARD += [V1_BASE64, V1_BINARY, V1_MULTIPART]
LOCAL = ["/digits/ImageClassification", "/digits/ObjectDetection", "/digits/ImageSegmentation"]
CLOUD = [
    f"/rpc/2.0/{server}/v1/{task}/digits"
    for server in ("ai_custom", "ai_custom_bml")
    for task in ("classification", "detection", "segmentation")
]
CLOUD += [
    f"/rest/2.0/ocr/v1/{name}"
    for name in ("accurate_basic", "general_basic", "accurate", "general")
]
CLOUD += [
    f"/rpc/2.0/easydl/{name}"
    for name in (
        "dataset/create",
        "dataset/list",
        "dataset/addentity",
        "dataset/delete",
        "label/list",
        "label/delete",
    )
]


CHANGES = [f"{MODELS}/1", f"{MODELS}/reload", UPDATE]
CHANGES += [f"{MODELS}/1/{what}" for what in ("enable", "disable", "reload", "rollback")]


def test_these_are_all_the_routes_that_there_are() -> None:
    """A new route belongs into one of the lists above."""
    filled = {
        path.format(name="digits", tail="mid=1", mid=1, id=1) for path in asyncio.run(declared())
    }
    assert filled == {*OPEN, *EDGEBOARD, *LOCAL, *CLOUD, *CHANGES, MODELS, METRICS, EXPORT, TOKEN}


def test_whoever_changes_models_wants_a_token_with_auth_off_too(serve: Serve) -> None:
    daemon = serve(auth="off")
    assert refusals(daemon, [MODELS, *CHANGES[1:]]) == dict.fromkeys(
        [MODELS, *CHANGES[1:]], (401, 100)
    )
    for method in ("PUT", "DELETE"):
        answer = daemon.request(method, CHANGES[0])
        assert (answer.status, code_of(answer)) == (401, 100)


async def declared() -> Set[str]:
    """The paths of an app without models, which serves nobody."""
    settings = Settings()
    nowhere, zygote = Path("nowhere"), Zygote()
    live = Live(settings, zygote, offer=lambda *_: None)
    live.service = Service([], settings, offer=lambda *_: None)
    app = make_app(
        live,
        Datasets(nowhere, settings.datasets_quota),
        Pictures(settings, zygote),
        settings,
        Traffic(0),
        Gate(nowhere, wants_token=True),
    )
    return {resource.canonical for resource in app.router.resources()}


def refusals(daemon: RunningDaemon, paths: List[str]) -> Dict[str, Tuple[int, int]]:
    """(HTTP status, code) of each, asked without a token and without a body."""
    answers = {path: daemon.post(path, b"") for path in paths}
    return {path: (answer.status, code_of(answer)) for path, answer in answers.items()}


def test_where_tokens_are_required_health_alone_is_open(guarded: Guarded) -> None:
    daemon = guarded.daemon
    assert [daemon.request("GET", path).status for path in OPEN] == [200, 200]
    assert refusals(daemon, EDGEBOARD) == dict.fromkeys(EDGEBOARD, (401, 100))
    # These dialects' clients throw the body away unless the status is 200.
    assert refusals(daemon, LOCAL + CLOUD) == dict.fromkeys(LOCAL + CLOUD, (200, 100))
    models = daemon.request("GET", MODELS)
    assert (models.status, code_of(models)) == (401, 100)
    assert "data" not in models.json
    assert daemon.request("HEAD", MODELS).status == 401
    metrics = daemon.request("GET", METRICS)  # they tell the models' names
    assert (metrics.status, code_of(metrics)) == (401, 100)
    assert b"digits" not in metrics.body
    assert daemon.request("GET", METRICS, headers=bearer(guarded.token)).status == 200
    assert daemon.request("GET", TOKEN).status == 400  # whoever has no token yet asks here


def test_where_they_are_not_the_cloud_wants_them_still(serve: Serve) -> None:
    daemon = serve()
    assert [daemon.request("GET", path).status for path in OPEN] == [200, 503]  # without models
    assert daemon.request("GET", MODELS).json["data"] == []
    codes = {code for _, code in refusals(daemon, EDGEBOARD + LOCAL).values()}
    assert not codes & {0, 100, 110}
    assert refusals(daemon, CLOUD) == dict.fromkeys(CLOUD, (200, 100))
    export = daemon.request("GET", EXPORT)
    assert (export.status, code_of(export)) == (401, 100)
    # A client that has been set up for another daemon sends a token where none is wanted.
    assert code_of(ask(daemon, "of another daemon")) == 0


@pytest.mark.parametrize("path", [f"{BINARY}?mid=1", f"{V1_BINARY}?mid=1&image=0"])
def test_a_token_in_the_query_or_in_the_header(guarded: Guarded, path: str) -> None:
    by_query = guarded.daemon.post(f"{path}&access_token={guarded.token}", IMAGE)
    by_header = guarded.daemon.post(path, IMAGE, bearer(guarded.token))
    assert results(by_query) == results(by_header) != []


@pytest.mark.parametrize(
    "path",
    [
        f"{BASE64}?mid=1?access_token={{token}}",
        f"{BASE64}?mid=1%3Faccess_token={{token}}",
        f"{BASE64}?access_token={{token}}?mid=1",
        f"{BASE64}/mid=1?access_token={{token}}",
        f"{BASE64}?mid=1&access_token={{escaped}}&aipSdk=python",
        f"{V1_BASE64}?access_token={{token}}&mid=1",
    ],
)
def test_the_queries_that_edgeboards_clients_write(guarded: Guarded, path: str) -> None:
    escaped = guarded.token.replace(".", "%2E")
    filled = path.format(token=guarded.token, escaped=escaped)
    field = "base64_img" if path.startswith(V1_BASE64) else "image"
    body = json_body(IMAGE).replace(b'"image"', f'"{field}"'.encode())
    assert results(guarded.daemon.post(filled, body))


def test_a_name_that_ends_like_it_is_no_token(guarded: Guarded) -> None:
    for query in (f"my_access_token={guarded.token}", f"x=access_token={guarded.token}"):
        assert guarded.daemon.request("GET", f"{MODELS}?{query}").status == 401


@pytest.fixture(scope="module")
def limited(guarded: Guarded) -> str:
    """The token of a key for digits alone."""
    return token_of(guarded.daemon, make_key(guarded.state, "limited", models=("digits",)))


def post_both(guarded: Guarded, token: str, mids: bytes) -> Answer:
    body = form(("file", IMAGE), ("mids", mids))
    return guarded.daemon.post(MULTIPART, body, {**FORM, **bearer(token)})


def test_a_key_for_some_models(guarded: Guarded, limited: str) -> None:
    allowed = guarded.daemon.post(f"{BINARY}?mid={DIGITS}", IMAGE, bearer(limited))
    assert results(allowed)
    other = guarded.daemon.post(f"{BINARY}?mid={CAMERA_CHECK}", IMAGE, bearer(limited))
    assert (other.status, code_of(other)) == (403, 6)
    assert "camera-check" in other.json["msg"]
    assert "data" not in other.json
    missing = guarded.daemon.post(f"{BINARY}?mid=99", IMAGE, bearer(limited))
    assert (missing.status, code_of(missing)) == (404, 2002)


def test_a_key_for_one_of_two_models_gets_that_one(guarded: Guarded, limited: str) -> None:
    answer = post_both(guarded, limited, b"[1,2]")
    assert (answer.status, code_of(answer)) == (200, 6)
    good, refused = answer.json["data"]
    assert good["model_id"] == DIGITS
    assert good["result"]
    assert "code" not in good
    assert (refused["model_id"], refused["code"], refused["result"]) == (CAMERA_CHECK, 6, [])
    neither = post_both(guarded, limited, b"[2]")
    assert (neither.status, code_of(neither)) == (403, 6)
    both = post_both(guarded, guarded.token, b"[1,2]")
    assert (both.status, code_of(both)) == (200, 0)


def test_the_other_dialects_hold_to_it_too(guarded: Guarded, limited: str) -> None:
    body = json_body(IMAGE)
    for path in ("/{}/{}", "/rpc/2.0/ai_custom/v1/{1}/{0}"):
        cloud = path.startswith("/rpc")
        detection = "detection" if cloud else "ObjectDetection"
        classes = "classification" if cloud else "ImageClassification"
        allowed = guarded.daemon.post(path.format("digits", detection), body, bearer(limited))
        assert allowed.json["results"]
        other = guarded.daemon.post(path.format("camera-check", classes), body, bearer(limited))
        assert (other.status, code_of(other)) == (200, 6)


def test_a_refusal_comes_before_the_body(guarded: Guarded) -> None:
    path = f"{BINARY}?mid=1"
    with Connection(guarded.daemon) as connection:
        connection.head(path, f"Content-Length: {10 << 20}\r\n")
        answer = connection.answer()
        assert (answer.status, code_of(answer), answer.headers["connection"]) == (401, 100, "close")
        assert connection.ended()
    with Connection(guarded.daemon) as connection:
        connection.head(path, "Transfer-Encoding: chunked\r\n")
        assert connection.answer().status == 401
    with Connection(guarded.daemon) as connection:
        connection.head(path, f"Content-Length: {len(IMAGE)}\r\nExpect: 100-continue\r\n")
        assert connection.answer().status == 401
    with Connection(guarded.daemon) as connection:
        sent = f"Authorization: Bearer {guarded.token}\r\nContent-Length: {len(IMAGE)}\r\n"
        connection.head(path, f"{sent}Expect: 100-continue\r\n")
        assert connection.answer().status == 100
        connection.send(IMAGE)
        assert results(connection.answer())


def test_a_revoked_key_is_told_so_by_every_dialect(guarded: Guarded) -> None:
    token = token_of(guarded.daemon, make_key(guarded.state, "gone"))
    ran(guarded.state, "revoke", "gone")
    wait_for(lambda: code_of(ask(guarded.daemon, token)) == 15)
    for path, status in ((f"{BINARY}?mid=1", 401), (LOCAL[0], 200), (CLOUD[0], 200)):
        answer = guarded.daemon.post(path, b"", bearer(token))
        assert (answer.status, code_of(answer)) == (status, 15)


def predict(daemon: RunningDaemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    picture = DEMO_MODELS / "digits" / "sample.jpg"
    command = [sys.executable, "-m", "edged", "predict", str(picture), "--mid=1", "--json"]
    return subprocess.run(
        [*command, f"--url={daemon.url}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_predict_sends_a_token(guarded: Guarded) -> None:
    done = predict(guarded.daemon, "--token", guarded.token)
    assert done.returncode == 0, done.stderr
    assert '"label"' in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "(code 100)"),
        (["--token", "x"], "(code 100)"),
        (["--token", "a\nb"], "token"),
        (["--token", "猫"], "token"),
    ],
    ids=ascii,
)
def test_predict_says_what_is_wrong_with_the_token(
    guarded: Guarded, arguments: List[str], said: str
) -> None:
    done = predict(guarded.daemon, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
