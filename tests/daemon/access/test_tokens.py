"""The token service, and tokens that are not what they should be."""

from __future__ import annotations

import base64
import json
import time
from contextlib import closing
from typing import Callable, Dict, NamedTuple

import jwt
import pytest

from edged.keys import KeyStore, NewKey
from tests.daemon.access.conftest import Guarded
from tests.daemon.access.keyring import (
    MODELS,
    TOKEN,
    ask,
    code_of,
    credentials,
    make_key,
    signed,
    token_of,
)
from tests.daemon.contract import Connection
from tests.support import Answer

DAYS_30 = 2592000
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# The form of a token of Baidu's cloud, as its documents print one.
OF_THE_CLOUD = "24.460da4889caad24cccdb1fea17221975.2592000.1491995545.282335-1234567"


@pytest.mark.parametrize("way", ["GET", "POST query", "POST form", "both"])
def test_a_token_is_given_by_every_way_that_clients_ask(guarded: Guarded, way: str) -> None:
    daemon, given = guarded.daemon, credentials(guarded.key)
    if way == "GET":
        answer = daemon.request("GET", f"{TOKEN}?{given}")
    elif way == "POST query":
        answer = daemon.post(f"{TOKEN}?{given}", b"")
    elif way == "POST form":
        answer = daemon.post(TOKEN, given.encode() + b"\r\n", FORM)
    else:
        grant, _, rest = given.partition("&")
        answer = daemon.post(f"{TOKEN}?{grant}", rest.encode(), FORM)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"  # RFC 6749, 5.1
    content = answer.json
    assert set(content) == {
        "access_token",
        "expires_in",
        "refresh_token",
        "scope",
        "session_key",
        "session_secret",
    }
    assert content["expires_in"] == DAYS_30
    assert "brain_all_scope" in content["scope"].split()  # else Baidu's SDK sends no token
    assert code_of(ask(daemon, content["access_token"])) == 0


def test_a_token_holds_for_30_days_and_keeps_no_secret(guarded: Guarded) -> None:
    with closing(KeyStore(guarded.state)) as store:
        claims = jwt.decode(guarded.token, store.signing_secret(), algorithms=["HS256"])
    assert abs(claims["exp"] - time.time() - DAYS_30) < 3600  # asked for within the last hour
    assert guarded.key.secret_key not in json.dumps(claims)


def refused(answer: Answer, status: int, error: str, description: str) -> None:
    assert (answer.status, answer.json["error"]) == (status, error)
    assert description in answer.json["error_description"]
    assert set(answer.json) == {"error", "error_description"}


UNKNOWN, FAILED = "unknown client id", "Client authentication failed"


@pytest.mark.parametrize(
    ("wrong", "description"),
    [
        ({"client_id": "nobody"}, UNKNOWN),
        ({"client_id": ""}, UNKNOWN),
        ({"client_id": "everything"}, UNKNOWN),  # the key's name is not its id
        ({"client_secret": "wrong"}, FAILED),
        ({"client_secret": ""}, FAILED),
        ({"client_secret": "\0"}, FAILED),
        ({"client_secret": "猫" * 99}, FAILED),
    ],
    ids=range(7),
)
def test_wrong_credentials(guarded: Guarded, wrong: Dict[str, str], description: str) -> None:
    form = credentials(guarded.key, **wrong).encode()
    refused(guarded.daemon.post(TOKEN, form, FORM), 401, "invalid_client", description)


def test_a_secret_that_is_not_text_is_a_wrong_one(guarded: Guarded) -> None:
    key = guarded.key
    given = credentials(key).replace(key.secret_key, "%ED%A0%80%FF")
    by_query = guarded.daemon.request("GET", f"{TOKEN}?{given}")
    refused(by_query, 401, "invalid_client", FAILED)
    by_form = guarded.daemon.post(TOKEN, given.encode(), FORM)
    refused(by_form, 401, "invalid_client", FAILED)
    with Connection(guarded.daemon) as raw:
        given = credentials(key).replace(key.secret_key, "\udced\udca0\udc80")
        line = f"GET {TOKEN}?{given} HTTP/1.1\r\nHost: board\r\n\r\n"
        raw.send(line.encode("utf-8", "surrogateescape"))
        assert raw.answer("GET").status in (400, 401)


def test_the_secret_of_another_key(guarded: Guarded) -> None:
    other = make_key(guarded.state, "other")
    token_of(guarded.daemon, other)  # so the daemon has noticed it
    mixed = NewKey(guarded.key.api_key, other.secret_key)
    answer = guarded.daemon.request("GET", f"{TOKEN}?{credentials(mixed)}")
    refused(answer, 401, "invalid_client", FAILED)


@pytest.mark.parametrize("grant", ["password", "", "CLIENT_CREDENTIALS"])
def test_another_grant(guarded: Guarded, grant: str) -> None:
    given = credentials(guarded.key, grant_type=grant)
    answer = guarded.daemon.request("GET", f"{TOKEN}?{given}")
    refused(answer, 400, "unsupported_grant_type", "client_credentials")


def test_bodies_and_methods_that_are_not_the_services(guarded: Guarded) -> None:
    daemon = guarded.daemon
    refused(daemon.post(TOKEN, b"x" * (1 << 17), FORM), 413, "invalid_request", "over")
    refused(daemon.post(TOKEN, b"&a=1" * 100, FORM), 400, "invalid_request", "fields")
    refused(daemon.post(TOKEN, b"\xff\0" * 100, FORM), 400, "unsupported_grant_type", "")
    refused(daemon.request("PUT", TOKEN), 405, "invalid_request", "PUT")
    refused(daemon.request("GET", "/oauth/2.0/tokens"), 404, "invalid_request", "route")


class Forged(NamedTuple):
    name: str
    make: Callable[[Guarded], str]
    code: int


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def with_claims(guarded: Guarded, **changed: object) -> str:
    """A well signed token with other claims; None takes one away."""
    now = int(time.time())
    claims = {"sub": guarded.key.api_key, "generation": 1, "exp": now + 3600, **changed}
    kept = {name: value for name, value in claims.items() if value is not None}
    return signed(guarded.state, kept)


def tampered(guarded: Guarded) -> str:
    """The signature of one token under the claims of another."""
    head, _, signature = guarded.token.split(".")
    return ".".join(
        [head, with_claims(guarded, exp=int(time.time()) + 10**9).split(".")[1], signature]
    )


def unsigned(guarded: Guarded) -> str:
    claims = jwt.decode(guarded.token, options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none")


def by_another(guarded: Guarded, **changed: object) -> str:
    claims = jwt.decode(guarded.token, options={"verify_signature": False})
    return signed(guarded.state, {**claims, **changed}, b"another secret of 32 bytes......")


def by_another_algorithm(guarded: Guarded) -> str:
    claims = jwt.decode(guarded.token, options={"verify_signature": False})
    with closing(KeyStore(guarded.state)) as store:
        return jwt.encode(claims, store.signing_secret() * 2, algorithm="HS512")


FORGED = [
    Forged("well signed", with_claims, 0),
    Forged("no signature", unsigned, 110),
    Forged("another signature", by_another, 110),
    Forged("another algorithm", by_another_algorithm, 110),
    Forged("tampered claims", tampered, 110),
    Forged("of the cloud", lambda _: OF_THE_CLOUD, 110),
    Forged("of nobody", lambda one: with_claims(one, sub="nobody"), 110),
    Forged("of a secret to come", lambda one: with_claims(one, generation=2), 110),
    Forged("no exp", lambda one: with_claims(one, exp=None), 110),
    Forged("no sub", lambda one: with_claims(one, sub=None), 110),
    Forged("no generation", lambda one: with_claims(one, generation=None), 110),
    Forged("expired", lambda one: with_claims(one, exp=int(time.time()) - 10), 111),
    Forged("expired and foreign", lambda one: by_another(one, exp=1), 110),
    Forged("a word", lambda _: "token", 100),
    Forged("dots", lambda _: "..", 100),
    Forged("three words", lambda _: "a.b.c", 100),
    Forged("too many parts", lambda one: one.token + ".x", 100),
    Forged("cut", lambda one: one.token[:60], 100),
    Forged("nested deep", lambda _: encoded(b"[" * 5000) + ".e30.AAAA", 100),
    Forged("a head that is no object", lambda _: encoded(b"[]") + ".e30.AAAA", 100),
    Forged("not text", lambda _: "\xff\xfe", 100),
    Forged("empty", lambda _: "", 100),
]


@pytest.mark.parametrize("forged", FORGED, ids=lambda forged: forged.name)
def test_tokens_that_were_not_given(guarded: Guarded, forged: Forged) -> None:
    token = forged.make(guarded)
    answer = ask(guarded.daemon, token)
    assert code_of(answer) == forged.code
    assert answer.status == (401 if forged.code else 200)


def test_nothing_at_all_and_another_kind_of_authorization(guarded: Guarded) -> None:
    for said in ("", guarded.token, f"Basic {guarded.token}", f"Bearer{guarded.token}"):
        answer = guarded.daemon.request("GET", MODELS, headers={"Authorization": said})
        assert (answer.status, code_of(answer)) == (401, 100), said
    headers = {"Authorization": f"bearer  {guarded.token}"}  # RFC 9110, 11.1: any case
    assert code_of(guarded.daemon.request("GET", MODELS, headers=headers)) == 0


def test_guessing_is_bounded_and_holds_nobody_up(guarded: Guarded) -> None:
    """More guesses at once than are checked at once; each takes a while of another thread."""
    daemon, guesses = guarded.daemon, 80
    wrong = credentials(guarded.key, client_secret="wrong").encode()
    connections = [Connection(daemon) for _ in range(guesses)]
    try:
        for connection in connections:
            connection.head(TOKEN, f"Content-Length: {len(wrong)}\r\n")
        for connection in connections:
            connection.send(wrong)
        assert daemon.request("GET", "/healthz").status == 200
        assert code_of(ask(daemon, guarded.token)) == 0
        # Had they been checked on the loop, all of them would have been answered before.
        assert not all(connection.readable(0) for connection in connections)
        answers = [connection.answer() for connection in connections]
    finally:
        for connection in connections:
            connection.close()
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {401, 429}
    late = answers[statuses.index(429)]
    assert late.json["error"] == "temporarily_unavailable"
    assert code_of(ask(daemon, token_of(daemon, guarded.key))) == 0
