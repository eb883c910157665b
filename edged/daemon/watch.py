"""Around every request: what it did is counted, timed, logged and told to the client."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Callable, Dict, Mapping, Optional

from aiohttp import web

from edged.daemon import record
from edged.daemon.metrics import Code, Metrics
from edged.daemon.record import Record
from edged.daemon.traffic import Handler
from edged.errors import EdgedError

_log = logging.getLogger("edged.requests")

REQUEST_ID = "X-Request-Id"
GONE = "gone"
"""In the place of a code, where the client left before its answer."""

CodeOf = Callable[[EdgedError], int]

# Where a client wrote `&` for the `?` before its query, a token is part of the path that an
# error names.
_TOKEN = re.compile("access_token=[^&?]*")
# A client may write as long a method as it likes, and parts of an error's words.
_MOST_OF_METHOD, _MOST_OF_ERROR = 16, 300


class Watch:
    """`codes`: dialect -> how it numbers an error. `dialect_of` knows whose a path is that is
    no route's; `dialects`, of the routes, is filled by whoever declares them. `lines` a second
    are logged of the requests that were answered, and as many of those that failed.
    """

    def __init__(
        self,
        metrics: Metrics,
        codes: Mapping[str, CodeOf],
        dialect_of: Callable[[str], str],
        lines: int,
    ) -> None:
        self.dialects: Dict[str, str] = {}
        self._metrics = metrics
        self._codes = codes
        self._dialect_of = dialect_of
        self._answered = _Lines(lines, "answered")
        self._failed = _Lines(lines, "failed")

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        known = record.begin(request.headers.get(REQUEST_ID))
        try:
            response = await handler(request)
        except web.HTTPException as raised:  # aiohttp's way to answer
            self._on_answer(request, known, raised)
            raise
        except asyncio.CancelledError:
            self._note(request, known, _times(known), None)
            raise
        self._on_answer(request, known, response)
        return response

    def close(self) -> None:
        """Says what has been left out of the last second's lines."""
        self._answered.close()
        self._failed.close()

    def _on_answer(self, request: web.Request, known: Record, response: web.StreamResponse) -> None:
        times = _times(known)
        if not response.prepared:
            _stamp(response, known, times)
        self._note(request, known, times, response)

    def _note(
        self,
        request: web.Request,
        known: Record,
        times: Dict[str, float],
        response: Optional[web.StreamResponse],
    ) -> None:
        resource = request.match_info.route.resource
        route = resource.canonical if resource else ""
        dialect = self.dialects.get(route) or self._dialect_of(request.rel_url.raw_path)
        code: Code = GONE if response is None else 0
        if known.error is not None:
            code = self._codes[dialect](known.error)
        self._count(known, dialect, code, times["total"] / 1000)
        lines = self._answered if code == 0 else self._failed
        if not lines.take():
            return
        fields: Dict[str, object] = {
            "method": request.method[:_MOST_OF_METHOD],
            "route": route,
            "status": None if response is None else response.status,
            "dialect": dialect,
            "mid": [mid for mid in known.visits if mid is not None],
            "code": code,
            **{f"{stage}_ms": round(ms, 2) for stage, ms in times.items()},
            "bytes_in": known.bytes_in,
            "bytes_out": _size(response),
            "key": known.key,
            "request_id": known.request_id,
            "log_id": known.log_id,
            "error": _reason(known.error),
        }
        _log.info("request", extra={"fields": fields})

    def _count(self, known: Record, dialect: str, code: Code, seconds: float) -> None:
        """At each model by what became of it there; where it never came so far, by `code`."""
        if not known.visits:
            self._metrics.count(None, dialect, code)
        for visit in known.visits.values():
            own = code
            if visit.error is not None:
                own = self._codes[dialect](visit.error)
            elif visit.times:
                own = 0
            self._metrics.count(visit.mid, dialect, own)
            self._metrics.time(visit, seconds)


def stamp(response: web.StreamResponse) -> None:
    """For a stream, whose head goes out before its handler is done: to be called before it is
    prepared. `total` is until then.
    """
    known = record.current()
    _stamp(response, known, _times(known))


def _stamp(response: web.StreamResponse, known: Record, times: Dict[str, float]) -> None:
    timing = [f"{stage};dur={ms:.2f}" for stage, ms in times.items()]
    response.headers["Server-Timing"] = ", ".join(timing)
    response.headers[REQUEST_ID] = known.request_id


def _times(known: Record) -> Dict[str, float]:
    """Milliseconds by stage, of several models those of the one that was waited for."""
    slowest = known.slowest
    return {**(slowest.times if slowest else {}), "total": known.seconds * 1000}


def _reason(error: Optional[EdgedError]) -> Optional[str]:
    if error is None:
        return None
    return _TOKEN.sub("access_token=", str(error))[:_MOST_OF_ERROR]


def _size(response: Optional[web.StreamResponse]) -> int:
    """Bytes of its body; of a stream, with what frames them."""
    if response is None:
        return 0
    return response.content_length or response.body_length


class _Lines:
    """At most `most` a second; then one that says how many there were more."""

    def __init__(self, most: int, what: str) -> None:
        self._most = most
        self._what = what
        self._written = 0
        self._left_out = 0
        self._second: Optional[asyncio.TimerHandle] = None

    def take(self) -> bool:
        """Whether one more may be written."""
        if not _log.isEnabledFor(logging.INFO):
            return False
        if self._second is None:
            self._second = asyncio.get_running_loop().call_later(1, self.close)
        if self._written < self._most:
            self._written += 1
            return True
        self._left_out += 1
        return False

    def close(self) -> None:
        """The second is over."""
        if self._second is not None:
            self._second.cancel()
        if self._left_out:
            fields = {"left_out": self._left_out, "outcome": self._what}
            _log.info("requests without a line", extra={"fields": fields})
        self._second = None
        self._written = self._left_out = 0
