"""The daemon follows the key store: as it is made, changed, broken, mended and taken away."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import jwt
import pytest

from edged.keys import FILE, KeyStore, NewKey
from tests.daemon.access.conftest import Serve
from tests.daemon.access.keyring import (
    TOKEN,
    ask,
    code_of,
    credentials,
    make_key,
    ran,
    token_of,
)
from tests.support import wait_for

# Whatever its key is.
NOBODYS = "24.460da4889caad24cccdb1fea17221975.2592000.1491995545.282335-1234567"


def test_a_running_daemon_notices_new_old_and_rotated_keys(serve: Serve, own_state: Path) -> None:
    """Also the first key, in a state directory that was not there when the daemon started."""
    daemon = serve(auth="required")
    assert not (own_state / FILE).exists()
    assert code_of(ask(daemon, NOBODYS)) == 110
    shop = NewKey(**json.loads(ran(own_state, "create", "shop", "--json")))
    token = token_of(daemon, shop)
    other = token_of(daemon, make_key(own_state, "other"))
    assert code_of(ask(daemon, token)) == 0

    rotated = NewKey(**json.loads(ran(own_state, "rotate", "shop", "--json")))
    wait_for(lambda: code_of(ask(daemon, token)) == 110)
    assert ask(daemon, token).status == 401
    assert daemon.request("GET", f"{TOKEN}?{credentials(shop)}").status == 401
    renewed = token_of(daemon, rotated)
    assert code_of(ask(daemon, renewed)) == 0

    ran(own_state, "revoke", "shop")
    wait_for(lambda: code_of(ask(daemon, renewed)) == 15)
    assert ask(daemon, renewed).status == 401
    assert code_of(ask(daemon, token)) == 110
    assert daemon.request("GET", f"{TOKEN}?{credentials(rotated)}").status == 401
    assert code_of(ask(daemon, other)) == 0  # all this is no business of another key's


def test_a_store_that_is_there_at_the_start(serve: Serve, own_state: Path) -> None:
    key = make_key(own_state)
    daemon = serve(auth="required")
    token = token_of(daemon, key)
    assert code_of(ask(daemon, token)) == 0
    # A token outlives the daemon that gave it.
    assert code_of(ask(serve(auth="required"), token)) == 0


def test_a_store_that_is_taken_away(serve: Serve, own_state: Path) -> None:
    """Nobody is let in until there is another, and then not by the old one's tokens."""
    daemon = serve(auth="required")
    token = token_of(daemon, make_key(own_state))
    assert code_of(ask(daemon, token)) == 0
    for file in own_state.glob(f"{FILE}*"):
        file.unlink()
    wait_for(lambda: code_of(ask(daemon, token)) == 110)
    renewed = make_key(own_state)
    assert code_of(ask(daemon, token_of(daemon, renewed))) == 0
    assert code_of(ask(daemon, token)) == 110


def test_a_store_that_breaks_and_is_taken_away(serve: Serve, own_state: Path) -> None:
    """Nobody is let in by what stood in it."""
    daemon = serve(auth="required")
    token = token_of(daemon, make_key(own_state))
    for file in own_state.glob(f"{FILE}*"):
        file.unlink()
    broken = own_state / FILE
    broken.touch(0o600)
    broken.write_bytes(b"no database" * 100)
    wait_for(lambda: "the keys in" in daemon.log())
    broken.unlink()
    wait_for(lambda: code_of(ask(daemon, token)) == 110)


def test_a_clock_that_is_behind_makes_no_tokens_that_have_expired(
    serve: Serve, own_state: Path
) -> None:
    """As on a board without a battery, that last knew the time when its keys were changed."""
    key = make_key(own_state)
    ahead = time.time() + 1000 * 24 * 3600
    os.utime(own_state / FILE, (ahead, ahead))
    token = token_of(serve(auth="required"), key)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] > ahead


def test_a_store_that_breaks_and_is_mended(serve: Serve, own_state: Path) -> None:
    """The keys that are known go on; the log says it once; what was counted is not lost."""
    key = make_key(own_state, total=8)
    daemon = serve(auth="required")
    token = token_of(daemon, key)
    file, aside = own_state / FILE, own_state / "aside"
    file.rename(aside)
    file.touch(0o600)
    file.write_bytes(b"no database at all\n" * 400)
    said = f"the keys in {file}: file is not a database"
    wait_for(lambda: said in daemon.log())
    assert [code_of(ask(daemon, token)) for _ in range(3)] == [0, 0, 0]
    aside.replace(file)
    make_key(own_state, "after")
    wait_for(lambda: used(own_state, key) == 3)
    assert daemon.log().count(said) == 1


def used(state: Path, key: NewKey) -> int:
    with closing(KeyStore(state)) as store:
        usage = store.usage().get(key.api_key)
    return usage.total if usage else 0


@pytest.mark.parametrize("broken", ["garbage", "newer", "folder"])
def test_a_store_that_cannot_be_used_at_the_start(
    serve: Serve, own_state: Path, broken: str
) -> None:
    """The daemon serves what wants no token, and lets nobody in for the rest."""
    own_state.mkdir()
    file = own_state / FILE
    if broken == "garbage":
        file.write_bytes(b"no database at all\n" * 400)
    elif broken == "newer":
        make_key(own_state)
        with closing(sqlite3.connect(file)) as db:
            db.execute("PRAGMA user_version = 99")
    else:
        file.mkdir()
    daemon = serve(auth="required")
    assert daemon.request("GET", "/healthz").status == 200
    assert code_of(ask(daemon, NOBODYS)) == 110
    assert daemon.log().count(f"the keys in {file}: ") == 1
    if broken == "folder":
        file.rmdir()
    else:
        file.unlink()
    assert code_of(ask(daemon, token_of(daemon, make_key(own_state)))) == 0
    assert daemon.log().count(f"the keys in {file}: ") == 1
