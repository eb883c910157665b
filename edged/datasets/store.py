"""Datasets in SQLite, their contents in files beside it.

What a call has answered outlasts `kill -9` and a power cut: a content file and its folder are
on the disk before the row that names it, and a row before the call returns. A file is taken
away after its row, and only by who holds the write lock, so that another process that adds
the same content meanwhile finds it, or writes it anew.

For one thread; `edged.datasets.writer` gives the daemon's loop its way in.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Set, Union

from edged.datasets.changes import Changes
from edged.datasets.contents import digest_of
from edged.datasets.types import Busy, Kind, Label, NewEntity, Quota
from edged.errors import (
    DatasetBusy,
    DatasetExists,
    DatasetUnknown,
    EdgedError,
    LabelUnknown,
    QuotaExceeded,
)

# Rows that one step takes away, so that an addition between two does not wait for long.
_ROWS_AT_ONCE = 200


class Store(Changes):
    """Every method raises StoreError, with the cause, when the disk fails it."""

    def __init__(self, folder: Path, quota: Quota) -> None:
        """Makes the folder and the store if need be."""
        self._quota = quota
        super().__init__(folder)

    def create(self, owner: str, kind: Kind, name: str) -> int:
        """The number of the new dataset. Raises DatasetExists and QuotaExceeded."""
        with self._changing():
            self._check_disk(0)
            try:
                cursor = self._db.execute(
                    "INSERT INTO datasets (owner, kind, name) VALUES (?, ?, ?)", (owner, kind, name)
                )
            except sqlite3.IntegrityError:
                raise DatasetExists(f"there is a dataset {name} already") from None
            assert cursor.lastrowid is not None
            return cursor.lastrowid

    # -- additions

    def add(self, batch: Sequence[NewEntity]) -> List[Union[int, EdgedError]]:
        """The number of each entity, or why it was not taken: DatasetUnknown, DatasetBusy or
        QuotaExceeded. What is the same by dataset, name and content is one entity and gets the
        labels.

        All of them reach the disk together: contents, then rows, in one transaction.
        """
        digests = [digest_of(new.content.data) for new in batch]
        answers: List[Union[int, EdgedError]] = []
        fresh: Dict[str, bytes] = {}
        with self._changing():
            for digest, new in zip(digests, batch):
                try:
                    answers.append(self._add(digest, new, fresh))
                except EdgedError as error:
                    answers.append(error)
            self._suspects |= fresh.keys()
            self._contents.add(fresh)
        return answers

    def _add(self, digest: str, new: NewEntity, fresh: Dict[str, bytes]) -> int:
        """The entity's number; `fresh` gets the content where its file is not there.

        Changes nothing when it raises.
        """
        size = len(new.content.data)
        self._check_free(new.dataset)
        self._check_disk(sum(map(len, fresh.values())) + size)
        content = self._number("SELECT id FROM contents WHERE digest = ?", digest)
        entity = self._number(
            "SELECT id FROM entities WHERE dataset = ? AND name = ? AND content = ?",
            *(new.dataset, new.name, content),
        )
        if entity is None:
            self._check_quota(size if content is None else 0)
            entity = self._insert(digest, content, new)
        elif new.reviewed:
            if not new.append:
                self._db.execute("DELETE FROM entity_labels WHERE entity = ?", (entity,))
            self._db.execute("UPDATE entities SET reviewed = 1 WHERE id = ?", (entity,))
        else:  # what is there may have been looked at since
            return entity
        for label in new.labels:
            self._put(entity, new.dataset, label)
        if digest not in fresh and not self._contents.is_whole(digest, size):
            fresh[digest] = new.content.data
        return entity

    def _insert(self, digest: str, number: Optional[int], new: NewEntity) -> int:
        """`number` is that of the content, if there is such."""
        content = new.content
        if number is None:
            number = self._db.execute(
                "INSERT INTO contents (digest, size) VALUES (?, ?)", (digest, len(content.data))
            ).lastrowid
        entity = self._db.execute(
            "INSERT INTO entities (dataset, name, content, suffix, width, height, reviewed) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (new.dataset, new.name, number, *content[1:], new.reviewed),
        ).lastrowid
        assert entity is not None
        return entity

    def _put(self, entity: int, dataset: int, label: Label) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO labels (dataset, name) VALUES (?, ?)", (dataset, label.name)
        )
        number = self._number(
            "SELECT id FROM labels WHERE dataset = ? AND name = ?", dataset, label.name
        )
        self._db.execute(
            "INSERT OR IGNORE INTO entity_labels VALUES (?, ?, ?)", (entity, number, label.origin)
        )
        if label.box is not None:
            self._db.execute(
                "INSERT OR IGNORE INTO boxes (entity, label, x, y, width, height) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (entity, number, *label.box),
            )

    def _number(self, query: str, *values: object) -> Optional[int]:
        row = self._db.execute(query, values).fetchone()
        return None if row is None else int(row[0])

    def _check_disk(self, size: int) -> None:
        disk = os.statvfs(self.folder)
        if disk.f_bavail * disk.f_frsize < self._quota.reserve + size:
            raise QuotaExceeded("the disk is as full as it may be (datasets_reserve_mib)")

    def _check_quota(self, size: int) -> None:
        """Whether another entity may come, with so many bytes that are not there yet."""
        entities, used = self._db.execute("SELECT entities, bytes FROM total").fetchone()
        if entities >= self._quota.entities:
            raise QuotaExceeded(f"there are {entities} entities (datasets_entities)")
        if used + size > self._quota.bytes:
            raise QuotaExceeded(f"there are {used >> 20} MiB of content (datasets_mib)")

    # -- what takes its time

    @contextmanager
    def importing(self, dataset: int) -> Iterator[None]:
        """Meanwhile nothing but this store changes the dataset. It ends with the process.

        Raises DatasetUnknown and DatasetBusy.
        """
        with self._changing():
            self._check_free(dataset)
            if not self._claims.take(dataset):
                raise DatasetBusy(f"an import into the dataset {dataset} is under way")
            self._set_busy(dataset, "import")
        try:
            yield
        finally:
            try:
                with self._changing():
                    self._set_busy(dataset, "")
                    self._claims.forget(dataset)
            finally:
                self._claims.give_up(dataset)

    def deletion(self, dataset: int) -> Iterator[None]:
        """Deletes a dataset with all that is in it, in steps that others may write between.

        The first says whether it can be; the disk is free again after the last. Once begun,
        nothing else changes the dataset, and the next deletion of it or `tidy` ends it if this
        does not. Raises DatasetUnknown and DatasetBusy.
        """
        with self._changing():
            if self.dataset(dataset).busy != "deletion":
                self._check_free(dataset)
                self._set_busy(dataset, "deletion")
        yield
        while self._delete_some(dataset):
            yield
        yield from self._give_back()

    def delete(self, dataset: int) -> None:
        """All of `deletion`."""
        for _ in self.deletion(dataset):
            pass

    def _delete_some(self, dataset: int) -> bool:
        """False once nothing is left."""
        with self._changing():
            rows = self._db.execute(
                "SELECT entities.id, contents.id, digest FROM entities "
                "JOIN contents ON contents.id = content WHERE dataset = ? LIMIT ?",
                (dataset, _ROWS_AT_ONCE),
            ).fetchall()
            self._db.executemany(
                "DELETE FROM entities WHERE id = ?", [(entity,) for entity, _, _ in rows]
            )
            self._db.executemany(
                "DELETE FROM contents WHERE id = ? AND NOT EXISTS "
                "(SELECT 1 FROM entities WHERE content = contents.id)",
                [(content,) for _, content, _ in rows],
            )
            self._suspects.update(digest for _, _, digest in rows)
            if not rows:
                self._db.execute("DELETE FROM datasets WHERE id = ?", (dataset,))
        return bool(rows)

    def label_deletion(self, dataset: int, name: str) -> Iterator[None]:
        """Takes a label off its entities, which stay, in steps that others may write between.

        It is gone for everyone after the first, and `tidy` ends it if this does not. Raises
        DatasetUnknown, DatasetBusy and LabelUnknown.
        """
        with self._changing():
            self._check_free(dataset)
            found = self._db.execute(
                "UPDATE labels SET dataset = NULL WHERE dataset = ? AND name = ?", (dataset, name)
            )
            if not found.rowcount:
                raise LabelUnknown(f"the dataset has no label {name}")
        yield
        yield from self._drop_labels()
        yield from self._give_back()

    def _drop_labels(self) -> Iterator[None]:
        """Those of no dataset."""
        rows = [()]
        while rows:
            with self._changing():
                rows = self._db.execute(
                    "SELECT entity, label FROM entity_labels WHERE label IN "
                    "(SELECT id FROM labels WHERE dataset IS NULL) LIMIT ?",
                    (_ROWS_AT_ONCE,),
                ).fetchall()
                self._db.executemany(
                    "DELETE FROM entity_labels WHERE entity = ? AND label = ?", rows
                )
                if not rows:
                    self._db.execute("DELETE FROM labels WHERE dataset IS NULL")
            yield

    def tidy(self) -> Iterator[None]:
        """After a stop in the middle, in steps that others may write between: files that no row
        names go, and deletions that were cut off are ended."""
        with self._errors():
            folders = self._contents.folders()
        for folder in folders:
            strays = self._strays(folder)
            if strays:  # looked at once more by who alone may write
                with self._changing():
                    self._suspects |= strays
            yield
        for dataset in self.every():
            if dataset.busy == "deletion":
                with suppress(DatasetUnknown):  # another process was at it
                    yield from self.deletion(dataset.id)
            elif dataset.busy == "import":
                with suppress(DatasetBusy, DatasetUnknown), self._changing():
                    self._check_free(dataset.id)
        yield from self._drop_labels()
        yield from self._give_back()

    def _strays(self, folder: str) -> Set[str]:
        """The contents in it that no row names, or not yet."""
        with self._errors():
            names = set(self._contents.names(folder))
            rows = self._db.execute(
                "SELECT digest FROM contents WHERE digest >= ? AND digest < ?",
                (folder, f"{folder}g"),
            ).fetchall()
        return names.difference(digest for (digest,) in rows)

    # -- who may change a dataset

    def _check_free(self, dataset: int) -> None:
        """Raises DatasetUnknown and DatasetBusy."""
        state = self.dataset(dataset).busy
        if state == "deletion":
            raise DatasetBusy(f"the dataset {dataset} is being deleted")
        if state == "import" and dataset not in self._claims.mine:
            if self._claims.is_taken(dataset):
                raise DatasetBusy(f"an import into the dataset {dataset} is under way")
            # Of a process that has ended before it.
            self._set_busy(dataset, "")
            self._claims.forget(dataset)

    def _set_busy(self, dataset: int, busy: Busy) -> None:
        self._db.execute("UPDATE datasets SET busy = ? WHERE id = ?", (busy, dataset))
