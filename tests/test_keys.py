"""API keys: the file they are kept in, and the commands that change it, as real processes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Iterator, List

import pytest

from edged.errors import KeyStoreError
from edged.keys import FILE, Key, KeyStore, Rules
from tests.daemon.access.keyring import edged_keys, listed, make_key, ran
from tests.support import ROOT

_NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def keys_of(state: Path) -> List[Key]:
    with closing(KeyStore(state)) as store:
        return store.keys()


def files_of(state: Path) -> List[Path]:
    found = sorted(state.glob(f"{FILE}*"))
    assert found
    return found


def test_a_key_by_the_commands(state: Path) -> None:
    assert json.loads(ran(state, "list", "--json")) == []
    assert not state.exists()  # asking makes nothing
    limits = ["--model=digits", "--model=猫", "--per-second=2", "--per-day=30", "--total=400"]
    made = json.loads(ran(state, "create", "shop", "--json", *limits))
    assert set(made) == {"api_key", "secret_key"}
    assert re.fullmatch("[A-Za-z0-9]{24}", made["api_key"])
    assert re.fullmatch("[A-Za-z0-9]{32}", made["secret_key"])
    key = listed(state, "shop")
    assert (key["api_key"], key["revoked"], key["used"]) == (made["api_key"], False, 0)
    assert key["models"] == ["digits", "猫"]
    assert (key["per_second"], key["per_day"], key["total"]) == (2, 30, 400)

    rotated = json.loads(ran(state, "rotate", "shop", "--json"))
    assert rotated["api_key"] == made["api_key"]
    assert rotated["secret_key"] != made["secret_key"]
    assert keys_of(state)[0].has_secret(rotated["secret_key"])
    assert not keys_of(state)[0].has_secret(made["secret_key"])

    ran(state, "revoke", made["api_key"])  # by its name or by its API key
    assert keys_of(state)[0].revoked


def test_a_person_sees_the_secret_once(state: Path) -> None:
    shown = ran(state, "create", "shop")
    (secret,) = re.findall(r"secret key: +(\w{32})\n", shown)
    assert keys_of(state)[0].has_secret(secret)
    table = ran(state, "list")
    assert "shop" in table
    assert secret not in table


def test_a_secret_is_kept_as_its_scrypt_hash_only(state: Path) -> None:
    with closing(KeyStore(state, create=True)) as store:
        secrets = [store.create("shop", Rules()).secret_key, store.rotate("shop").secret_key]
        # The connection is open, so the write-ahead log is there as well.
        assert state / f"{FILE}-wal" in files_of(state)
        content = b"".join(file.read_bytes() for file in files_of(state))
        (key,) = store.keys()
    for secret in secrets:
        assert secret.encode() not in content
        assert secret[:16].encode() not in content
    # RFC 7914, with the parameters that it and OWASP name for logins.
    expected = hashlib.scrypt(secrets[1].encode(), salt=key.salt, n=1 << 14, r=8, p=1)
    assert key.hash == expected
    assert expected in content
    assert len(key.salt) >= 16


def test_every_secret_has_a_salt_of_its_own(state: Path) -> None:
    with closing(KeyStore(state, create=True)) as store:
        store.create("a", Rules())
        store.create("b", Rules())
    salts = {key.salt for key in keys_of(state)}
    with closing(KeyStore(state)) as store:
        store.rotate("a")
    assert len(salts | {key.salt for key in keys_of(state)}) == 3


def test_a_file_that_others_can_read_is_refused(state: Path) -> None:
    make_key(state)
    (state / FILE).chmod(0o640)
    with pytest.raises(KeyStoreError, match="chmod 600"):
        KeyStore(state)


def test_a_link_is_not_followed(state: Path, tmp_path: Path) -> None:
    """Root would write wherever the folder's owner says."""
    victim = tmp_path / "victim"
    victim.touch(0o600)
    state.mkdir(exist_ok=True)
    (state / FILE).symlink_to(victim)
    with pytest.raises(KeyStoreError, match="link"):
        KeyStore(state, create=True)
    assert victim.read_bytes() == b""


def test_the_folder_is_its_owners_only(state: Path) -> None:
    make_key(state / "new")
    assert (state / "new").stat().st_mode & 0o777 == 0o700


def test_names_are_unique_among_the_keys_in_use(state: Path) -> None:
    make_key(state, "shop")
    again = edged_keys(state, "create", "shop")
    assert (again.returncode, again.stderr) == (1, "edged: there is a key shop already\n")
    with closing(KeyStore(state)) as store:
        store.revoke("shop")
        store.create("shop", Rules())
        assert sorted(key.revoked for key in keys_of(state)) == [False, True]
        store.revoke("shop")  # the one in use
        assert all(key.revoked for key in keys_of(state))


def test_a_key_that_is_not_in_use_is_named(state: Path) -> None:
    with closing(KeyStore(state, create=True)) as store:
        store.create("shop", Rules())
        store.revoke("shop")
        for which in ("shop", "nobody", os.fsdecode(b"\xff")):
            with pytest.raises(KeyStoreError):
                store.revoke(which)
            with pytest.raises(KeyStoreError):
                store.rotate(which)
    done = edged_keys(state, "rotate", "shop")
    assert (done.returncode, done.stderr) == (1, "edged: there is no key shop\n")


def test_without_keys_the_file_is_named(state: Path) -> None:
    done = edged_keys(state, "revoke", "shop")
    assert done.returncode == 1
    assert done.stderr.startswith(f"edged: the keys in {state / FILE}: ")
    assert not state.exists()


@pytest.mark.parametrize("name", ["a\nb", "", " ", os.fsdecode(b"\xff"), "a\x1b[2J"], ids=ascii)
def test_a_name_is_text_that_can_be_printed(state: Path, name: str) -> None:
    with closing(KeyStore(state, create=True)) as store:
        with pytest.raises(KeyStoreError, match="not a name"):
            store.create(name, Rules())
        with pytest.raises(KeyStoreError, match="not a name"):
            store.create("shop", Rules(models=(name,)))
        assert store.keys() == []


@pytest.mark.parametrize(
    "arguments",
    [["create", os.fsdecode(b"\xff")], ["create", "shop", "--total=0"], ["create"]],
    ids=ascii,
)
def test_a_wrong_use_is_said_and_makes_nothing(state: Path, arguments: List[str]) -> None:
    done = edged_keys(state, *arguments)
    assert done.returncode in (1, 2)
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert not state.exists() or keys_of(state) == []


def test_only_the_owner_can_read_the_files(state: Path) -> None:
    old = os.umask(0)
    try:
        with closing(KeyStore(state, create=True)) as store:
            store.create("shop", Rules())
            files = files_of(state)
            assert len(files) == 3
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    finally:
        os.umask(old)


@as_root
def test_what_root_makes_belongs_to_the_owner_of_the_state_directory(state: Path) -> None:
    state.mkdir()
    os.chown(state, _NOBODY, _NOBODY)
    with closing(KeyStore(state, create=True)) as store:  # root, with the log and its index open
        store.create("other", Rules())
        assert len(files_of(state)) == 3
        for file in files_of(state):
            assert (file.stat().st_uid, file.stat().st_gid) == (_NOBODY, _NOBODY), file


def start(state: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edged", "keys", "create", name, f"--state={state}"]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(("names", "made"), [(["a", "b", "c"], 3), (["a", "a", "a"], 1)])
def test_processes_that_make_keys_at_once(state: Path, names: List[str], made: int) -> None:
    """Also the first keys, for which the file itself is made."""
    running = [start(state, name) for name in names]
    said = [process.communicate(timeout=120)[1] for process in running]
    assert sum(process.returncode == 0 for process in running) == made, said
    assert all("there is a key a already" in s for p, s in zip(running, said) if p.returncode)
    assert len(keys_of(state)) == made


def test_many_at_once_lose_no_key(state: Path) -> None:
    names = [f"key {number}" for number in range(16)]
    with ThreadPoolExecutor(len(names)) as threads:
        made = list(threads.map(lambda name: make_key(state, name), names))
    assert {key.name for key in keys_of(state)} == set(names)
    assert {key.api_key for key in keys_of(state)} == {key.api_key for key in made}


def spoil(file: Path, how: str) -> None:
    if how == "garbage":
        file.write_bytes(b"this was a database once\n" * 400)
    elif how == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    elif how == "folder":
        file.unlink()
        file.mkdir()
    else:
        with closing(sqlite3.connect(file)) as db:
            db.executescript(how)


@pytest.mark.parametrize(
    "how",
    [
        "garbage",
        "cut",
        "folder",
        "PRAGMA user_version = 2",  # of a newer version
        "DROP TABLE keys",
        "UPDATE keys SET rules = CAST('{' AS BLOB)",
        'UPDATE keys SET rules = CAST(\'{"total": "x"}\' AS BLOB)',
        "UPDATE keys SET name = CAST(x'ff' AS TEXT)",
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_left_alone(state: Path, how: str) -> None:
    make_key(state)
    file = state / FILE
    spoil(file, how)
    before = None if how == "folder" else file.read_bytes()
    with pytest.raises(KeyStoreError, match=f"^the keys in {file}: "):
        keys_of(state)
    if before is not None:
        assert file.read_bytes() == before


def test_the_commands_say_it_in_one_line(state: Path) -> None:
    make_key(state)
    spoil(state / FILE, "PRAGMA user_version = 7")
    for arguments in (["create", "other", "--json"], ["list", "--json"]):
        done = edged_keys(state, *arguments)
        line = f"edged: the keys in {state / FILE}: its version is 7, not 1\n"
        assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_without_the_signing_secret_the_file_cannot_be_used(state: Path) -> None:
    make_key(state)
    spoil(state / FILE, "DELETE FROM signing")
    with closing(KeyStore(state)) as store, pytest.raises(KeyStoreError, match="signed"):
        store.signing_secret()


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root may write what it likes; nobody may not."""
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)


@pytest.mark.parametrize("read_only", ["file", "folder"])
def test_a_file_that_is_read_only_is_named(read_only: str) -> None:
    # Not in pytest's own folder, into which nobody may look.
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        if os.geteuid() == 0:
            os.chown(state, _NOBODY, _NOBODY)
        make_key(state)
        what = state if read_only == "folder" else state / FILE
        what.chmod(what.stat().st_mode & ~0o222)
        try:
            with without_privileges(), pytest.raises(KeyStoreError, match=FILE), closing(
                KeyStore(state)
            ) as store:
                store.revoke("shop")
        finally:
            state.chmod(0o700)
        assert [key.revoked for key in keys_of(state)] == [False]
