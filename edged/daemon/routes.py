"""What a dialect offers: a method, a path and who answers."""

from __future__ import annotations

from typing import Awaitable, Callable, NamedTuple, Optional, Tuple

from aiohttp import web


class Caller(NamedTuple):
    """Whose request it is. `models` are the names that it may use, None for any; `key` is its
    API key, empty where none was asked for."""

    name: str = ""
    models: Optional[Tuple[str, ...]] = None
    key: str = ""


Handler = Callable[[web.Request, Caller], Awaitable[web.StreamResponse]]


class Route(NamedTuple):
    """`path` as aiohttp writes it, with its `{parts}`."""

    method: str
    path: str
    handler: Handler
