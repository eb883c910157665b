"""API keys, and what was used of them: an SQLite file in the state directory.

The daemon reads it and counts in it, `edged keys` changes it, both at the same time. A
secret is kept as its scrypt hash (RFC 7914) only.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
import string
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import msgspec

from edged.errors import KeyStoreError
from edged.sqlite import connect, transaction

FILE = "keys.sqlite"

_VERSION = 1
_SCHEMA = (
    "CREATE TABLE signing (secret BLOB NOT NULL)",
    """CREATE TABLE keys (
        api_key TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        salt BLOB NOT NULL,
        hash BLOB NOT NULL,
        generation INTEGER NOT NULL,
        revoked INTEGER NOT NULL,
        rules BLOB NOT NULL,
        created TEXT NOT NULL
    )""",
    "CREATE UNIQUE INDEX name_in_use ON keys (name) WHERE NOT revoked",
    """CREATE TABLE usage (
        api_key TEXT PRIMARY KEY,
        day TEXT NOT NULL,
        today INTEGER NOT NULL,
        total INTEGER NOT NULL
    )""",
    f"PRAGMA user_version = {_VERSION}",
)
_LETTERS = string.ascii_letters + string.digits
# Lengths of Baidu's own.
_API_KEY_LENGTH, _SECRET_LENGTH = 24, 32


class Rules(msgspec.Struct, frozen=True):
    """What a key may do: the names of its models, and requests; None is without a limit.

    `manage`: whether it may change those models.
    """

    models: Optional[Tuple[str, ...]] = None
    per_second: Optional[int] = None
    per_day: Optional[int] = None
    total: Optional[int] = None
    manage: bool = False


class Key(NamedTuple):
    """`generation` counts the secrets it has had: a token is of one of them."""

    api_key: str
    name: str
    salt: bytes
    hash: bytes
    generation: int
    revoked: bool
    rules: Rules
    created: str

    def has_secret(self, secret: str) -> bool:
        """Takes about 50 ms and 16 MB: so does each guess of whoever stole the file."""
        return hmac.compare_digest(_scrypt(secret, self.salt), self.hash)


class Usage(NamedTuple):
    """Requests of a key: on `day` (ISO 8601, the board's own time), and in all."""

    day: str
    today: int
    total: int


class NewKey(NamedTuple):
    """The secret is known here and nowhere after."""

    api_key: str
    secret_key: str


class KeyStore:
    """One connection, for one thread. Raises KeyStoreError when the file cannot be used."""

    def __init__(self, state: Path, create: bool = False) -> None:
        """Without `create` the file must be there."""
        self.file = state / FILE
        with self._errors():
            if create:
                state.mkdir(mode=0o700, parents=True, exist_ok=True)
                _create_file(self.file, like=state)
            elif not self.file.exists():
                raise FileNotFoundError("there are none yet: edged keys create")
            if self.file.is_symlink():  # root must not write wherever the folder's owner says
                raise OSError("it is a link")
            if self.file.is_file() and self.file.stat().st_mode & 0o077:
                # Whoever reads what tokens are signed with can make them.
                raise PermissionError("others may read it: chmod 600 it")
            self._db = connect(self.file)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        # A counter that a power cut takes back by a second is worth no flash write each time.
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        with transaction(self._db):
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _SCHEMA:
                    self._db.execute(statement)
                self._db.execute("INSERT INTO signing VALUES (?)", (secrets.token_bytes(32),))
            elif version != _VERSION:
                raise sqlite3.DatabaseError(f"its version is {version}, not {_VERSION}")

    def close(self) -> None:
        self._db.close()

    def last_change(self) -> float:
        """When a file of it was last written, in seconds since 1970."""
        with self._errors():
            there = (Path(f"{self.file}{suffix}") for suffix in ("", "-wal"))
            return max(file.stat().st_mtime for file in there if file.exists())

    def data_version(self) -> int:
        """Another number after any change that was not made through this connection."""
        with self._errors():
            (version,) = self._db.execute("PRAGMA data_version").fetchone()
            return int(version)

    def signing_secret(self) -> bytes:
        """What tokens are signed with, 32 random bytes."""
        with self._errors():
            row = self._db.execute("SELECT secret FROM signing").fetchone()
            if row is None:
                raise sqlite3.DatabaseError("what tokens are signed with is missing")
            return bytes(row[0])

    def keys(self) -> List[Key]:
        """Revoked ones too: their tokens are told apart from tokens of nobody."""
        with self._errors():
            rows = self._db.execute(f"SELECT {', '.join(Key._fields)} FROM keys ORDER BY rowid")
            return [_key(*row) for row in rows]

    def usage(self) -> Dict[str, Usage]:
        with self._errors():
            rows = self._db.execute("SELECT api_key, day, today, total FROM usage")
            return {api_key: Usage(*counts) for api_key, *counts in rows}

    def add_usage(self, usage: Dict[str, Usage]) -> None:
        """To what is there; a day that is not that of the last request begins anew."""
        with self._errors(), transaction(self._db):
            self._db.executemany(
                "INSERT INTO usage VALUES (?, ?, ?, ?) ON CONFLICT (api_key) DO UPDATE SET "
                "today = excluded.today + CASE WHEN day = excluded.day THEN today ELSE 0 END, "
                "day = excluded.day, total = total + excluded.total",
                [(api_key, *counts) for api_key, counts in usage.items()],
            )

    def create(self, name: str, rules: Rules) -> NewKey:
        """Raises KeyStoreError when a key in use has the name, or a name cannot be printed."""
        for word in (name, *(rules.models or ())):
            if not word.strip() or not word.isprintable():
                raise KeyStoreError(f"{word!r} is not a name: it must be text that can be printed")
        new = NewKey(_random(_API_KEY_LENGTH), _random(_SECRET_LENGTH))
        salt = secrets.token_bytes(16)
        values = (
            new.api_key,
            name,
            salt,
            _scrypt(new.secret_key, salt),
            1,
            False,
            msgspec.json.encode(rules),
            time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        )
        with self._errors(), transaction(self._db):
            if self._find(name) is not None:
                raise KeyStoreError(f"there is a key {name} already")
            self._db.execute(f"INSERT INTO keys VALUES ({', '.join('?' * len(values))})", values)
        return new

    def revoke(self, which: str) -> None:
        """`which` is a name or an API key. Raises KeyStoreError when no key in use has it."""
        with self._errors(), transaction(self._db):
            self._db.execute(
                "UPDATE keys SET revoked = 1 WHERE api_key = ?", (self._existing(which),)
            )

    def rotate(self, which: str) -> NewKey:
        """A new secret; tokens made with the one before are void. Raises as `revoke`."""
        secret, salt = _random(_SECRET_LENGTH), secrets.token_bytes(16)
        hashed = _scrypt(secret, salt)
        with self._errors(), transaction(self._db):
            api_key = self._existing(which)
            self._db.execute(
                "UPDATE keys SET salt = ?, hash = ?, generation = generation + 1 WHERE api_key = ?",
                (salt, hashed, api_key),
            )
        return NewKey(api_key, secret)

    def _existing(self, which: str) -> str:
        found = self._find(which)
        if found is None:
            raise KeyStoreError(f"there is no key {which}")
        return found

    def _find(self, which: str) -> Optional[str]:
        row = self._db.execute(
            "SELECT api_key FROM keys WHERE (name = ? OR api_key = ?) AND NOT revoked",
            (which, which),
        ).fetchone()
        return str(row[0]) if row else None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeError, msgspec.DecodeError) as error:
            raise KeyStoreError(f"the keys in {self.file}: {error}") from None


def _key(*row: Any) -> Key:
    key = Key(*row)
    rules = msgspec.json.decode(row[Key._fields.index("rules")], type=Rules)
    return key._replace(revoked=bool(key.revoked), rules=rules)


def _create_file(file: Path, like: Path) -> None:
    """Readable by its owner only: that of the folder `like`, also when root makes it.

    SQLite gives the files that it puts beside it the same owner and mode.
    """
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        return
    try:
        owner = like.stat()
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
    finally:
        os.close(descriptor)


def _scrypt(secret: str, salt: bytes) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=salt, n=1 << 14, r=8, p=1)


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
