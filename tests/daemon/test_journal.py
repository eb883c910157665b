"""The journal's native protocol, to a datagram socket in the place of journald's."""

from __future__ import annotations

import logging
import os
import socket
import struct
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from edged.daemon import journal, logs

_SIZE = 8


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "socket"))
        receiver.settimeout(10)
        yield receiver


def received(receiver: socket.socket) -> List[Tuple[str, str]]:
    """The fields of an entry, read as the protocol's document says."""
    data, fields = receiver.recv(1 << 20), []
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", rest[:_SIZE])
            value, data = rest[_SIZE : _SIZE + size], rest[_SIZE + size :]
            assert data[:1] == b"\n"
            data = data[1:]
        else:
            data = rest
        fields.append((name.decode(), value.decode()))
    return fields


def test_an_entry_of_a_request(journald: socket.socket, tmp_path: Path) -> None:
    record = logging.LogRecord("edged.requests", logging.INFO, "", 0, "request", (), None)
    record.fields = {
        "mid": [1, 2],
        "code": 336101,
        "log_id": 77,
        "request_id": "abc",
        "error": "two\nlines",
        "status": None,
    }
    entries = journal.Journal(str(tmp_path / "socket"))
    entries.send(logs.journal_fields(record, "one line"))
    entries.close()
    assert received(journald) == [
        ("MESSAGE", "one line"),
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "edged"),
        ("LOGGER", "edged.requests"),
        ("MID", "1"),
        ("MID", "2"),
        ("CODE", "336101"),
        ("REQUEST_ID", "abc"),
        ("LOG_ID", "77"),
    ]


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, "7"), (logging.INFO, "6"), (logging.WARNING, "4"), (logging.ERROR, "3")],
)
def test_priorities_are_those_of_syslog(level: int, priority: str) -> None:
    record = logging.LogRecord("edged", level, "", 0, "text", (), None)
    assert ("PRIORITY", priority) in logs.journal_fields(record, "text")


@pytest.mark.parametrize("text", ["two\nlines", "", "a=b", "猫", "x\n", "\n", "NAME=x\nMID=9"])
def test_any_text_is_one_field(journald: socket.socket, tmp_path: Path, text: str) -> None:
    entries = journal.Journal(str(tmp_path / "socket"))
    entries.send([("MESSAGE", text), ("MID", "1")])
    entries.close()
    assert received(journald) == [("MESSAGE", text), ("MID", "1")]


def test_a_long_text_fits(journald: socket.socket, tmp_path: Path) -> None:
    entries = journal.Journal(str(tmp_path / "socket"))
    entries.send([("MESSAGE", "x" * (1 << 20)), ("MID", "1")])
    entries.close()
    (_, text), mid = received(journald)
    assert set(text) == {"x"}
    assert mid == ("MID", "1")


def test_whether_a_stream_is_the_journals(tmp_path: Path) -> None:
    """As systemd.exec(5) has it: JOURNAL_STREAM is device and inode."""
    with (tmp_path / "file").open("w") as stream:
        status = os.fstat(stream.fileno())
        its_own = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert journal.holds(stream.fileno(), its_own)
        assert not journal.holds(stream.fileno(), {"JOURNAL_STREAM": "8:1"})
        assert not journal.holds(stream.fileno(), {"JOURNAL_STREAM": ""})
        assert not journal.holds(stream.fileno(), {})
        closed = os.dup(stream.fileno())
        os.close(closed)
        assert not journal.holds(closed, its_own)
