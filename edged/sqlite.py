"""SQLite files that several processes use at the same time."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

BUSY_SECONDS = 10.0
"""How long one waits for another that writes."""


def connect(file: Path) -> sqlite3.Connection:
    """To a file that is there, for this thread; each statement is a transaction of its own.

    Raises sqlite3.Error.
    """
    return sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
    )


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All that is written within, or nothing where it raises. Raises sqlite3.Error."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite itself gives up some, on a full disk for one
            db.execute("ROLLBACK")
        raise
