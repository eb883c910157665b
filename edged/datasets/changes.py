"""Changes that last: one transaction each, and the files that it has made needless."""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import AbstractSet, Iterator, Set

from edged.datasets.disk import make_folder, open_private
from edged.datasets.lock import Claims, WriteLock
from edged.datasets.reader import FILE, Reader
from edged.datasets.schema import VERSION, migrate, version_of
from edged.registry.disk import sync
from edged.sqlite import BUSY_SECONDS, transaction

# Pages of 4 KiB that one step gives back to the disk.
_PAGES_AT_ONCE = 200


class Changes(Reader):
    """A reader that may write, one at a time among all threads and processes."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder and the store if need be."""
        self.folder = folder
        # Contents whose files go after the next commit, unless a row names them by then.
        self._suspects: Set[str] = set()
        self._claims = Claims(folder)
        with self._errors(), ExitStack() as failed:
            make_folder(folder)
            self._lock = WriteLock(folder)
            failed.callback(self._lock.close)
            with self._lock.held():
                self._create_file()
                super().__init__(folder)
                failed.callback(super().close)
            failed.pop_all()

    def _create_file(self) -> None:
        file = self.folder / FILE
        if file.is_symlink():  # root must not write wherever the folder's owner says
            raise OSError("the database is a link")
        if not file.exists():
            os.close(open_private(file, os.O_RDWR))

    def _prepare(self) -> None:
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        if version_of(self._db) == VERSION:
            return
        if version_of(self._db) == 0:
            self._db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before there is a table
            self._db.execute("PRAGMA journal_mode = WAL")
            # Before there are rows, whether this was begun once and cut off or not.
            self._contents.create()
            for folder in (self.folder, self.folder.parent):
                sync(folder)
            with suppress(PermissionError):  # then it was there before
                sync(self.folder.parent.parent)
        with transaction(self._db):
            migrate(self._db)

    def close(self) -> None:
        self._claims.close()
        super().close()
        self._lock.close()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """All that is changed within lasts when this ends, and nothing where it raises."""
        with self._errors(), self._lock.held():
            earlier = frozenset(self._suspects)
            try:
                with transaction(self._db):
                    if earlier:  # of a commit that failed, and now cannot come to light
                        self._db.execute("UPDATE total SET entities = entities")
                    yield
            except (OSError, sqlite3.OperationalError) as error:
                # A commit that was not tried, or found no room in the log, has left nothing there
                # that may come to light, and a full disk needs the room that the files take.
                if isinstance(error, OSError) or "full" in str(error):
                    self._remove(self._suspects - earlier)
                raise
            self._remove(self._suspects)

    def _remove(self, suspects: AbstractSet[str]) -> None:
        """Not before the commit: a file is taken away after the row that named it.

        Nor after a commit that failed in the log, since a power cut may show that it did not:
        only the next one takes its place there.
        """
        needless = [
            digest
            for digest in suspects
            if not self._db.execute("SELECT 1 FROM contents WHERE digest = ?", (digest,)).fetchone()
        ]
        with suppress(OSError):  # what was asked for is done, and the next change tries again
            self._contents.remove(needless)
            self._suspects -= suspects

    def _give_back(self) -> Iterator[None]:
        """The pages that deletions have left, in steps, and then the write-ahead log."""
        free = 1
        while free:
            with self._errors(), self._lock.held():
                self._db.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
                (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
            yield
        with self._errors(), self._lock.held():
            # Who reads just now need not be waited for: the log is used again, if not shortened.
            self._db.execute("PRAGMA busy_timeout = 0")
            try:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
            finally:
                self._db.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
