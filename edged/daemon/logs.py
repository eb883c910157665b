"""The log of the daemon: a line for each event, as text or JSON, to stderr or the journal.

A thread of its own writes it, so that whoever reads slowly holds up no request.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import select
import threading
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from logging.handlers import QueueHandler
from typing import Callable, Dict, Iterator, List, NamedTuple

from edged.daemon import journal

# Lines that may wait for a reader; of more it is said how many there were.
_MOST_WAITING = 10_000
# Seconds that the end of the daemon waits for the reader.
_END_SECONDS = 2.0
_STDERR = 2


class LogField(NamedTuple):
    """Of a line in JSON, and as `name=value` of one in text. `journal`: its name there."""

    name: str
    meaning: str
    journal: str = ""


FIELDS = (
    LogField("method", "of HTTP"),
    LogField("route", "the route as it is declared, not the path that was sent"),
    LogField("status", "of HTTP; none where the client left before its answer"),
    LogField("dialect", "edgeboard, easydl, ocr, datasets, token, or ops for what operators ask"),
    LogField("mid", "of each model that the request reached", journal="MID"),
    LogField("code", "of the answer, as its dialect numbers it; 0 is success", journal="CODE"),
    LogField("queue_ms", "what the picture waited for a worker and for the picture before it"),
    LogField("decode_ms", "decoding the picture"),
    LogField("preprocess_ms", "scaling it and making the model's input"),
    LogField("run_ms", "the engine's run"),
    LogField("postprocess_ms", "the model's output to results"),
    LogField("draw_ms", "drawing them, where that was asked"),
    LogField("total_ms", "from the head of the request to the answer"),
    LogField("bytes_in", "of the body as far as it was read"),
    LogField("bytes_out", "of the answer's body"),
    LogField("key", "name of the API key, where the route wants a token"),
    LogField("request_id", "the client's X-Request-Id, or one made here", journal="REQUEST_ID"),
    LogField("log_id", "of the answer, in the dialects that have it", journal="LOG_ID"),
    LogField("error", "why it failed"),
    LogField("left_out", "requests of this second that have no line of their own"),
    LogField("outcome", "of those: answered or failed"),
)
"""What a line about requests has beside its message; what is not known is left out."""

BASE_FIELDS = (
    LogField("time", "UTC"),
    LogField("level", "debug, info, warning or error", journal="PRIORITY"),
    LogField("logger", "part of the daemon", journal="LOGGER"),
    LogField("message", "what happened", journal="MESSAGE"),
    LogField("exception", "traceback of a fault in edged itself"),
)
"""What every line in JSON has, the last one where there is one."""

_PRIORITIES = {"DEBUG": "7", "INFO": "6", "WARNING": "4", "ERROR": "3", "CRITICAL": "2"}
_tracebacks = logging.Formatter()


@contextmanager
def written(level: str, form: str) -> Iterator[None]:
    """Everything that is logged meanwhile goes to stderr, or to the journal where stderr does.

    `form` is "text" or "json". In the end what waits is written, for as long as somebody
    takes it.
    """
    body = _json if form == "json" else _text
    lines = _Lines(_to_journal(body) if journal.holds(_STDERR) else _to_stderr(body, form))
    root = logging.getLogger()
    root.addHandler(lines)
    root.setLevel(level.upper())
    try:
        yield
    finally:
        root.removeHandler(lines)
        lines.close()


class _Lines(QueueHandler):
    """Hands records to the thread; those are lost that would be too many in memory."""

    queue: queue.SimpleQueue[object]

    def __init__(self, write: Callable[[logging.LogRecord], None]) -> None:
        super().__init__(queue.SimpleQueue())
        self._write = write
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """As it is: the thread makes the text of it."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        if self.queue.qsize() < _MOST_WAITING:
            self.queue.put(record)
        else:
            self._lost += 1

    def close(self) -> None:
        """Not for ever: a reader that has stopped does not keep the daemon."""
        self.queue.put(None)
        self._thread.join(_END_SECONDS)
        super().close()

    def _run(self) -> None:
        said = 0
        while True:
            record = self.queue.get()
            if not isinstance(record, logging.LogRecord):
                return
            self._try(record)
            if self._lost != said:
                lost, said = self._lost - said, self._lost
                text = f"{lost} lines were lost: nobody took them"
                self._try(logging.LogRecord(__name__, logging.WARNING, "", 0, text, (), None))

    def _try(self, record: logging.LogRecord) -> None:
        try:
            self._write(record)
        except Exception:  # as in every handler of logging: no line ends the log
            self.handleError(record)


def _to_stderr(
    body: Callable[[logging.LogRecord], str], form: str
) -> Callable[[logging.LogRecord], None]:
    def write(record: logging.LogRecord) -> None:
        text = body(record)
        if form == "text":
            text = f"{_local_time(record)} {record.levelname} {record.name}: {text}"
        _write(text)

    return write


def _to_journal(
    body: Callable[[logging.LogRecord], str],
) -> Callable[[logging.LogRecord], None]:
    entries = journal.Journal()

    def write(record: logging.LogRecord) -> None:
        text = body(record)
        try:
            entries.send(journal_fields(record, text))
        except OSError:
            _write(text)

    return write


def journal_fields(record: logging.LogRecord, message: str) -> List[journal.Field]:
    """A field of several values stands there several times."""
    fields = [
        ("MESSAGE", message),
        ("PRIORITY", _PRIORITIES.get(record.levelname, "6")),
        ("SYSLOG_IDENTIFIER", "edged"),
        ("LOGGER", record.name),
    ]
    known = _fields_of(record)
    for field in FIELDS:
        if field.journal and field.name in known:
            value = known[field.name]
            values = value if isinstance(value, list) else [value]
            fields += [(field.journal, _printable(str(one))) for one in values]
    return fields


def _fields_of(record: logging.LogRecord) -> Dict[str, object]:
    fields: Dict[str, object] = getattr(record, "fields", {})
    return {name: value for name, value in fields.items() if value not in (None, "", [])}


def _json(record: logging.LogRecord) -> str:
    """ASCII throughout, so that nothing in it is more than a character to whoever shows it."""
    when = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
    line = {
        "time": when,
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
        **_fields_of(record),
    }
    if record.exc_info:
        line["exception"] = _tracebacks.formatException(record.exc_info)
    return json.dumps(line)


def _text(record: logging.LogRecord) -> str:
    """One line; those of a traceback follow indented, so that none passes for another event."""
    parts = [_printable(record.getMessage())]
    parts += [f"{name}={_value(value)}" for name, value in _fields_of(record).items()]
    text = " ".join(parts)
    if record.exc_info:
        trace = _tracebacks.formatException(record.exc_info).split("\n")
        text = "\n    ".join([text, *map(_printable, trace)])
    return text


def _value(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    text = _printable(str(value))
    quoted = text.replace('"', '\\"')
    return f'"{quoted}"' if " " in text or '"' in text or "=" in text else text


def _printable(text: str) -> str:
    """What a client has written begins no line and steers no terminal."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def _local_time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
    return f"{seconds},{int(record.msecs):03d}"


def _write(text: str) -> None:
    """Not by sys.stderr: a thread that waits in it would hold up the end of the interpreter."""
    data = memoryview(f"{text}\n".encode(errors="backslashreplace"))
    while data:
        try:
            data = data[os.write(_STDERR, data) :]
        except BlockingIOError:  # whoever shares the terminal has made it so
            select.select([], [_STDERR], [])
        except OSError:  # nobody reads any more
            return
