"""What the tests of access share: keys, tokens, and clients that send them."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Dict, Optional
from urllib.parse import urlencode

import jwt

from edged.keys import KeyStore, NewKey, Rules
from tests.support import ROOT, Answer, RunningDaemon, wait_for

TOKEN = "/oauth/2.0/token"
MODELS = "/api/models"
"""The cheapest route that follows the setting `auth`."""


def edged_keys(state: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`edged keys …`, as a process of its own."""
    command = [sys.executable, "-m", "edged", "keys", *map(str, arguments), f"--state={state}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def ran(state: Path, *arguments: object) -> str:
    """What the command prints. AssertionError when it fails."""
    done = edged_keys(state, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(state: Path, name: str) -> Dict[str, Any]:
    """The newest key of that name, as `edged keys list` has it."""
    keys: Dict[str, Any] = {key["name"]: key for key in json.loads(ran(state, "list", "--json"))}
    found: Dict[str, Any] = keys[name]
    return found


def make_key(state: Path, name: str = "shop", **rules: Any) -> NewKey:
    with closing(KeyStore(state, create=True)) as store:
        return store.create(name, Rules(**rules))


def credentials(key: NewKey, **other: str) -> str:
    """A query, or a form, for the token service."""
    fields = {
        "grant_type": "client_credentials",
        "client_id": key.api_key,
        "client_secret": key.secret_key,
    }
    return urlencode({**fields, **other})


def token_of(daemon: RunningDaemon, key: NewKey) -> str:
    """As soon as the daemon has noticed the key."""

    def given() -> str:
        answer = daemon.request("GET", f"{TOKEN}?{credentials(key)}")
        token: str = answer.json.get("access_token", "")
        return token

    token: str = wait_for(given)
    return token


def signed(state: Path, claims: Dict[str, Any], secret: Optional[bytes] = None) -> str:
    """A token as the daemon would sign it, unless another `secret` is given."""
    with closing(KeyStore(state)) as store:
        key = secret or store.signing_secret()
    return jwt.encode(claims, key, algorithm="HS256")


def bearer(token: str) -> Dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def ask(daemon: RunningDaemon, token: str) -> Answer:
    """With the token in the header."""
    return daemon.request("GET", MODELS, headers=bearer(token))


def code_of(answer: Answer) -> int:
    """In whichever dialect; 0 is success."""
    names = ("error_code", "code", "errno")
    return next((int(answer.json[name]) for name in names if name in answer.json), 0)
