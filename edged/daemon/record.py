"""What is known of a request by the time of its answer: for the log, the metrics and the client."""

from __future__ import annotations

import re
import time
from contextvars import ContextVar
from random import getrandbits
from typing import Dict, Optional

from edged.errors import EdgedError
from edged.results import Prediction

# What goes into the log and back into a header as it came.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class Visit:
    """A request at one model. `times`: milliseconds by stage, empty unless it was answered.
    Where several models are asked, `error` is why this one does not answer.
    """

    __slots__ = ("error", "mid", "seconds", "times")

    def __init__(self, mid: Optional[int]) -> None:
        self.mid = mid
        self.seconds = 0.0
        self.times: Dict[str, float] = {}
        self.error: Optional[EdgedError] = None

    def answered(self, prediction: Prediction, seconds: float) -> None:
        """After so many seconds at the model. What its stages leave of them is "queue": the
        time in the queue, and in the worker behind the picture before.
        """
        stages = prediction.stages
        busy = stages.decode + stages.preprocess + stages.run + stages.postprocess + stages.draw
        self.seconds = seconds
        self.times = {
            "queue": max(seconds * 1000 - busy, 0.0),
            "decode": stages.decode,
            "preprocess": stages.preprocess,
            "run": stages.run,
            "postprocess": stages.postprocess,
        }
        if prediction.picture:
            self.times["draw"] = stages.draw


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
        answered = [visit for visit in self.visits.values() if visit.times]
        return max(answered, key=lambda visit: visit.seconds, default=None)


_current: ContextVar[Record] = ContextVar("record")


def begin(client_id: Optional[str]) -> Record:
    """The record of a request whose X-Request-Id is `client_id`, in whose task this is called.

    An id that is not fit for a header and a log is replaced.
    """
    known = client_id is not None and _REQUEST_ID.fullmatch(client_id)
    record = Record(client_id if known and client_id else f"{getrandbits(64):016x}")
    _current.set(record)
    return record


def current() -> Record:
    """That of the request in whose task, or in a task of which, this is called."""
    return _current.get()
