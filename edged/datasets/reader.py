"""What datasets there are, and what is in them."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, Tuple

from edged.datasets.contents import Contents
from edged.datasets.schema import VERSION, version_of
from edged.datasets.types import Dataset, Kind, LabelCount, Page
from edged.errors import DatasetUnknown, StoreError
from edged.sqlite import connect

FILE, CONTENTS = "datasets.sqlite", "contents"

# SQLite's largest number.
_MOST = (1 << 63) - 1
_DATASET = "SELECT id, owner, kind, name, entities, busy FROM datasets"


class Reader:
    """One connection, for the thread that made it; it waits for no writer.

    Every method raises StoreError, with the cause, when the disk fails it.
    """

    def __init__(self, folder: Path) -> None:
        """The store must be there."""
        self.folder = folder
        self._contents = Contents(folder / CONTENTS)
        with self._errors():
            self._db = connect(folder / FILE)
            try:
                self._inode = (folder / FILE).stat().st_ino
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        """Raises sqlite3.Error where the store cannot be used."""
        version = version_of(self._db)
        if version != VERSION:
            raise sqlite3.DatabaseError(f"its version is {version}, not {VERSION}")

    def close(self) -> None:
        self._db.close()

    def moved(self) -> bool:
        """Whether the file that is open is no longer the one in the folder."""
        try:
            return (self.folder / FILE).stat().st_ino != self._inode
        except OSError:
            return True

    def dataset(self, number: int) -> Dataset:
        """Raises DatasetUnknown."""
        row = None
        if abs(number) <= _MOST:
            with self._errors():
                row = self._db.execute(f"{_DATASET} WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise DatasetUnknown(f"there is no dataset {number}")
        return Dataset(*row)

    def find(self, owner: str, kind: Kind, name: str) -> Dataset:
        """Raises DatasetUnknown."""
        with self._errors():
            row = self._db.execute(
                f"{_DATASET} WHERE owner = ? AND kind = ? AND name = ?", (owner, kind, name)
            ).fetchone()
        if row is None:
            raise DatasetUnknown(f"there is no dataset {name}")
        return Dataset(*row)

    def every(self) -> List[Dataset]:
        """Of all owners, oldest first."""
        with self._errors():
            return [Dataset(*row) for row in self._db.execute(f"{_DATASET} ORDER BY id")]

    def datasets(self, owner: str, kind: Kind, page: Page) -> Tuple[int, List[Dataset]]:
        """How many there are, and those of the page, oldest first."""
        with self._errors():
            (count,) = self._db.execute(
                "SELECT COUNT(*) FROM datasets WHERE owner = ? AND kind = ?", (owner, kind)
            ).fetchone()
            rows = self._db.execute(
                f"{_DATASET} WHERE owner = ? AND kind = ? ORDER BY id LIMIT ? OFFSET ?",
                (owner, kind, page.num, min(page.start, _MOST)),
            ).fetchall()
            return count, [Dataset(*row) for row in rows]

    def labels(self, dataset: int, page: Page) -> Tuple[int, List[LabelCount]]:
        """How many there are, and those of the page, oldest first."""
        with self._errors():
            (count,) = self._db.execute(
                "SELECT COUNT(*) FROM labels WHERE dataset = ?", (dataset,)
            ).fetchone()
            rows = self._db.execute(
                "SELECT id, name, entities FROM labels WHERE dataset = ? "
                "ORDER BY id LIMIT ? OFFSET ?",
                (dataset, page.num, min(page.start, _MOST)),
            ).fetchall()
            return count, [LabelCount(*row) for row in rows]

    def content(self, digest: str) -> Path:
        """The file; it is gone when the last entity with it is deleted."""
        return self._contents.path(digest)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the datasets in {self.folder}: {error}") from error
