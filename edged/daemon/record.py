"""What is known of a request by the time of its answer: for the log, the metrics and the client."""

from __future__ import annotations

import re
import secrets
import time
from contextvars import ContextVar
from typing import Dict, Optional

from edged.errors import EdgedError
from edged.results import Stages

# What goes into the log and back into a header as it came.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class Visit:
    """A request at one model, which answers it after `seconds` with `stages`. Of one that fails
    for several models `error` is that of this one.
    """

    __slots__ = ("error", "mid", "seconds", "stages")

    def __init__(self, mid: Optional[int]) -> None:
        self.mid = mid
        self.seconds = 0.0
        self.stages: Optional[Stages] = None
        self.error: Optional[EdgedError] = None

    def answered(self, stages: Stages, seconds: float) -> None:
        self.stages, self.seconds = stages, seconds


def waiting_ms(seconds: float, stages: Stages) -> float:
    """What is left of `seconds` at a model when the stages are taken away: the time in its
    queue, and behind the picture before in the worker."""
    busy = stages.decode + stages.preprocess + stages.run + stages.postprocess + stages.draw
    return max(seconds * 1000 - busy, 0.0)


class Record:
    """One request; whoever learns something of it, on its way, writes it here.

    `error` is that of the whole answer, `key` the name of the caller's.
    """

    __slots__ = ("_began", "bytes_in", "error", "key", "log_id", "request_id", "visits")

    def __init__(self, request_id: str) -> None:
        self._began = time.monotonic()
        self.request_id = request_id
        self.bytes_in = 0
        self.key = ""
        self.log_id: Optional[int] = None
        self.error: Optional[EdgedError] = None
        self.visits: Dict[Optional[int], Visit] = {}

    @property
    def seconds(self) -> float:
        """Since its head had come."""
        return time.monotonic() - self._began

    def visit(self, mid: Optional[int]) -> Visit:
        """The model that it is for, or one of them."""
        visit = self.visits.get(mid)
        if visit is None:
            visit = self.visits[mid] = Visit(mid)
        return visit

    def failed(self, mid: int, error: EdgedError) -> None:
        """One of several models has; nothing is kept of a mid that no model has."""
        visit = self.visits.get(mid)
        if visit is not None:
            visit.error = error

    @property
    def slowest(self) -> Optional[Visit]:
        """Of the models that have answered, the one that the client waited for."""
        answered = [visit for visit in self.visits.values() if visit.stages is not None]
        return max(answered, key=lambda visit: visit.seconds, default=None)


_current: ContextVar[Record] = ContextVar("record")


def begin(client_id: Optional[str]) -> Record:
    """The record of a request whose X-Request-Id is `client_id`, in whose task this is called.

    An id that is not fit for a header and a log is replaced.
    """
    known = client_id is not None and _REQUEST_ID.fullmatch(client_id)
    record = Record(client_id if known and client_id else secrets.token_hex(8))
    _current.set(record)
    return record


def current() -> Record:
    """That of the request in whose task, or in a task of which, this is called."""
    return _current.get()
