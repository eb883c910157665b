"""Who asks: tokens made and checked, for every dialect alike."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Awaitable, Callable, Dict, Iterable, List, Literal, NamedTuple, Optional
from urllib.parse import unquote

import jwt
from aiohttp import web

from edged.daemon import record
from edged.daemon.quota import Quota
from edged.daemon.routes import Caller, Handler, Route
from edged.daemon.uploads import expect_handler
from edged.errors import (
    BadCredentials,
    KeyRevoked,
    KeyStoreError,
    NotPermitted,
    QueueFull,
    TokenExpired,
    TokenInvalid,
    TokenMalformed,
)
from edged.keys import FILE, Key, KeyStore, Usage

_log = logging.getLogger(__name__)

TOKEN_SECONDS = 30 * 24 * 3600

Access = Literal["open", "setting", "token", "manager"]
"""Who may call a route: anyone, anyone unless the setting `auth` says otherwise, only who
has a token, or only who has one of a key that may change models."""

_ALGORITHM = "HS256"
# Changes to the keys are noticed, and counters kept, within this many seconds.
_SYNC_SECONDS = 0.5
# Secrets that wait to be checked, of all and of one address; each takes 50 ms of a core.
_MOST_CHECKS, _MOST_OF_ONE = 16, 4
_IN_QUERY = re.compile("(?:^|[?&])access_token=([^?&]*)")
# A token of Baidu's cloud, which a client that came from there may still hold.
_OF_THE_CLOUD = re.compile(r"\d+\.[0-9a-f]{32}\.\d+\.\d+\.\d+-\d+")


class Gate:
    """`wants_token`: the value of the setting `auth`. Between `start` and `stop` it follows
    the key store in the state directory, which need not be there."""

    def __init__(self, state: Path, wants_token: bool) -> None:
        self._wants_token = wants_token
        self._keys: Dict[str, Key] = {}
        self._secret = _no_secret()
        self._last_change = 0.0
        self._quota = Quota()
        self._book = _Book(state)
        self._thread = ThreadPoolExecutor(1, "keys")
        # Of its own, so that whoever guesses secrets does not hold up what is new of the keys.
        self._checker = ThreadPoolExecutor(1, "secrets")
        self._checks: Counter[str] = Counter()
        self._trouble = ""
        self._stopping = asyncio.Event()
        self._following: asyncio.Task[None]

    async def start(self) -> None:
        await self._sync()
        self._following = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        # Not cancelled: what a write in the middle has added would be added once more.
        self._stopping.set()
        await self._following
        await asyncio.get_running_loop().run_in_executor(self._thread, self._book.close)
        self._thread.shutdown(wait=False)
        self._checker.shutdown(wait=False)

    def guard(self, routes: Iterable[Route], access: Access) -> List[web.RouteDef]:
        """The same routes, behind this gate."""
        asks = access in ("token", "manager") or (access == "setting" and self._wants_token)
        return [
            web.route(
                route.method,
                route.path,
                self._asking(route.handler, access) if asks else without_key(route.handler),
                expect_handler=expect_handler,
            )
            for route in routes
        ]

    def _asking(
        self, handler: Handler, access: Access
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def admitted(request: web.Request) -> web.StreamResponse:
            key = self._key(_token(request))
            record.current().key = key.name
            if access == "manager" and not key.rules.manage:
                raise NotPermitted("the key may not change models")
            self._quota.admit(key)
            return await handler(request, Caller(key.name, key.rules.models, key.api_key))

        return admitted

    def _key(self, token: str) -> Key:
        """Raises TokenMalformed, TokenExpired, TokenInvalid or KeyRevoked."""
        try:
            options: Any = {"require": ["sub", "exp", "generation"]}
            claims = jwt.decode(token, self._secret, algorithms=[_ALGORITHM], options=options)
        except jwt.ExpiredSignatureError:
            raise TokenExpired() from None
        except (UnicodeError, RecursionError):  # PyJWT's older versions let the latter through
            raise TokenMalformed() from None
        except jwt.InvalidTokenError as error:
            unreadable = isinstance(error, jwt.DecodeError)
            foreign = isinstance(error, jwt.InvalidSignatureError)
            if unreadable and not foreign and not _OF_THE_CLOUD.fullmatch(token):
                raise TokenMalformed() from None
            raise TokenInvalid() from None
        key = self._keys.get(claims["sub"])
        if key is None or key.generation != claims["generation"]:
            raise TokenInvalid()
        if key.revoked:
            raise KeyRevoked()
        return key

    async def issue(self, api_key: str, secret: str, address: str) -> str:
        """A token. Raises BadCredentials, and QueueFull when many secrets are being checked,
        of whoever asks from the same address or of all.
        """
        key = self._keys.get(api_key)
        if key is None or key.revoked:
            raise BadCredentials("unknown client id")
        if self._checks[address] >= _MOST_OF_ONE or sum(self._checks.values()) >= _MOST_CHECKS:
            raise QueueFull("too many secrets are being checked at once")
        self._checks[address] += 1
        try:
            loop = asyncio.get_running_loop()
            right = await loop.run_in_executor(self._checker, key.has_secret, secret)
        finally:
            self._checks[address] -= 1
            self._checks += Counter()  # forgets those who wait no more
        if not right:
            raise BadCredentials("Client authentication failed")
        # A board without a clock of its own begins in the past, and must not make tokens that
        # have expired once it knows the time.
        expires = int(max(time.time(), self._last_change)) + TOKEN_SECONDS
        claims = {"sub": key.api_key, "generation": key.generation, "exp": expires}
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    async def _follow(self) -> None:
        """Once more after `stop`, so that what is new by then is kept."""
        while not self._stopping.is_set():
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _SYNC_SECONDS)
            await self._sync()

    async def _sync(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            # First, since keys can be revoked while there is no room for counters.
            news = await loop.run_in_executor(self._thread, self._book.news)
            if news is not None:
                self._secret, self._last_change = news.secret, news.last_change
                self._keys = {key.api_key: key for key in news.keys}
                self._quota.restore(news.usage)
            usage = self._quota.unsaved()
            if usage:
                await loop.run_in_executor(self._thread, self._book.save, usage)
                self._quota.saved(usage)
        except KeyStoreError as error:
            if str(error) != self._trouble:
                _log.error("%s", error)
            self._trouble = str(error)
        else:
            self._trouble = ""


def without_key(handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler, for whoever asks."""

    async def admitted(request: web.Request) -> web.StreamResponse:
        return await handler(request, Caller())

    return admitted


class _News(NamedTuple):
    secret: bytes
    keys: List[Key]
    usage: Dict[str, Usage]
    last_change: float


class _Book:
    """The key store as it comes, changes and goes. Used by one thread only."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._store: Optional[KeyStore] = None
        self._inode: Optional[int] = None  # 0: there is none; None: it is not known
        self._version = -1

    def news(self) -> Optional[_News]:
        """What the store holds now, or None when nothing is new.

        Raises KeyStoreError when there is a store that cannot be used.
        """
        inode = self._inode_now()
        if inode != self._inode:
            self.close()
            if inode == 0:
                self._inode = 0
                return _News(_no_secret(), [], {}, 0.0)
            self._store = KeyStore(self._state)
            self._inode = inode
        if self._store is None:
            return None
        version = self._store.data_version()
        if version == self._version:
            return None
        store = self._store
        news = _News(store.signing_secret(), store.keys(), store.usage(), store.last_change())
        self._version = version
        return news

    def save(self, usage: Dict[str, Usage]) -> None:
        """Without a store there are no keys whose usage would matter. Raises KeyStoreError."""
        if self._store is not None:
            self._store.add_usage(usage)

    def _inode_now(self) -> int:
        try:
            return (self._state / FILE).stat().st_ino
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise KeyStoreError(f"the keys in {self._state / FILE}: {error.strerror}") from None

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store, self._inode, self._version = None, None, -1


def _no_secret() -> bytes:
    """While there are no keys: nobody can sign with it."""
    return secrets.token_bytes(32)


def _token(request: web.Request) -> str:
    """From the query, `access_token=`, or the header, `Authorization: Bearer`."""
    # As EdgeBoard's clients write it, a `?` may stand where `&` belongs.
    query = re.sub("%3[Ff]", "?", request.rel_url.raw_query_string)
    found = _IN_QUERY.search(query)
    if found is not None:
        return unquote(found[1])
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
