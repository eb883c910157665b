"""The token service of Baidu's cloud (OAuth 2.0, client credentials: RFC 6749, 4.4 and 5.2)."""

from __future__ import annotations

from typing import Dict, List

import msgspec
from aiohttp import web

from edged.config import Settings
from edged.daemon import record
from edged.daemon.answers import respond
from edged.daemon.auth import TOKEN_SECONDS, Gate
from edged.daemon.forms import parse_urlencoded
from edged.daemon.routes import Caller, Route
from edged.daemon.service import deadline_of
from edged.daemon.uploads import Hold, read_body
from edged.errors import BadCredentials, EdgedError, InvalidArgument

PATH = "/oauth/2.0/token"

_MOST_BYTES = 1 << 16
# Baidu's own Python SDK sends no token unless it finds this word among the scopes.
_SCOPE = "public brain_all_scope"


class Token(msgspec.Struct):
    """The last three are fields of the cloud's answer that its documents call unused."""

    access_token: str
    expires_in: int = TOKEN_SECONDS
    scope: str = _SCOPE
    refresh_token: str = ""
    session_key: str = ""
    session_secret: str = ""


class Refusal(msgspec.Struct):
    error: str
    error_description: str


class TokenService:
    def __init__(self, gate: Gate, settings: Settings, hold: Hold) -> None:
        self._gate = gate
        self._settings = settings
        self._hold = hold

    def routes(self) -> List[Route]:
        return [Route(method, PATH, self._issue) for method in ("GET", "POST")]

    async def _issue(self, request: web.Request, caller: Caller) -> web.Response:
        fields = await self._fields(request)
        if fields.get("grant_type") != "client_credentials":
            wrong = record.current().error = InvalidArgument(
                "grant_type must be client_credentials"
            )
            return _refusal(request, wrong.http_status, "unsupported_grant_type", str(wrong))
        token = await self._gate.issue(
            fields.get("client_id", ""), fields.get("client_secret", ""), request.remote or ""
        )
        return respond(request, Token(token), headers={"Cache-Control": "no-store"})

    async def _fields(self, request: web.Request) -> Dict[str, str]:
        """From the query or from a form, or from both."""
        body = await read_body(request, _MOST_BYTES, deadline_of(self._settings), self._hold)
        form = parse_urlencoded(body)
        return {
            **request.query,
            **{name: value.decode(errors="replace") for name, value in form.items()},
        }


def speaks(path: str) -> bool:
    return path.startswith("/oauth/")


def error_response(request: web.Request, error: EdgedError) -> web.Response:
    """The one place where an error takes this service's form."""
    kind = "temporarily_unavailable" if error.retry_after else "invalid_request"
    if isinstance(error, BadCredentials):
        kind = "invalid_client"
    return _refusal(request, error.http_status, kind, str(error))


def _refusal(request: web.Request, status: int, error: str, description: str) -> web.Response:
    return respond(request, Refusal(error, description), status)
