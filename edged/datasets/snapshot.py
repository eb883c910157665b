"""A dataset as it stands at one moment, for as long as an export takes."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Optional, Tuple

from edged.datasets.formats.file_names import collision_key, other_names, safe_name
from edged.datasets.formats.items import Item, OutLabel
from edged.datasets.reader import Reader
from edged.datasets.types import Box
from edged.errors import DatasetBusy

# Of each of two, the store and the copy; rows are read in their order, and once for each list.
_CACHE_KIB = 512
_COPY = (
    "CREATE TEMP TABLE out_labels (number INTEGER PRIMARY KEY, id INTEGER UNIQUE, name TEXT)",
    """CREATE TEMP TABLE out_items (
        id INTEGER PRIMARY KEY, name TEXT, digest TEXT, suffix TEXT, size INTEGER,
        width INTEGER, height INTEGER, reviewed INTEGER, file TEXT
    )""",
    """CREATE TEMP TABLE out_tags (
        entity INTEGER, label INTEGER, origin TEXT, box INTEGER,
        x REAL, y REAL, width REAL, height REAL,
        PRIMARY KEY (entity, label, box)
    ) WITHOUT ROWID""",
    "CREATE TEMP TABLE out_files (key TEXT PRIMARY KEY) WITHOUT ROWID",
    "INSERT INTO out_labels (id, name) SELECT id, name FROM labels WHERE dataset = :it ORDER BY id",
    """INSERT INTO out_items SELECT
        entities.id, name, digest, suffix, size, width, height, reviewed, ''
        FROM entities JOIN contents ON contents.id = content WHERE dataset = :it""",
    """INSERT INTO out_tags SELECT
        entity_labels.entity, entity_labels.label, origin, IFNULL(boxes.id, 0),
        x, y, boxes.width, boxes.height
        FROM entities JOIN entity_labels ON entity_labels.entity = entities.id
        LEFT JOIN boxes USING (entity, label)
        WHERE dataset = :it AND label IN (SELECT id FROM out_labels)""",
)


class Snapshot(Reader):
    """All that is known of a dataset, copied to a temporary file of SQLite's own, so that
    neither memory nor the store's log grows while somebody reads it slowly.

    Contents are not copied: they stay where they are until the dataset is deleted.
    """

    def __init__(self, folder: Path, dataset: int) -> None:
        """Raises DatasetUnknown, and DatasetBusy while it is being deleted."""
        super().__init__(folder)
        try:
            with self._errors():
                self._db.execute("PRAGMA temp_store = FILE")
                for schema in ("main", "temp"):
                    self._db.execute(f"PRAGMA {schema}.cache_size = -{_CACHE_KIB}")
                self._db.execute("BEGIN")
                try:
                    found = self.dataset(dataset)
                    if found.busy == "deletion":
                        raise DatasetBusy(f"the dataset {dataset} is being deleted")
                    for statement in _COPY:
                        self._db.execute(statement, {"it": dataset})
                finally:
                    self._db.execute("COMMIT")
                self._name_files()
                row = self._db.execute("SELECT COUNT(*) FROM out_items").fetchone()
        except BaseException:
            self.close()
            raise
        self.name, self.kind, self.count = found.name, found.kind, int(row[0])

    def _name_files(self) -> None:
        """In the order of the entities, so that the first of a name keeps it."""
        self._db.execute("BEGIN")
        for entity, name, digest, suffix in self._db.execute(
            "SELECT id, name, digest, suffix FROM out_items ORDER BY id"
        ):
            # Of the content first, so that it is the same name in every export.
            file = self._free_name(safe_name(name, suffix), f"{digest}{entity}")
            self._db.execute("UPDATE out_items SET file = ? WHERE id = ?", (file, entity))
        self._db.execute("COMMIT")

    def _free_name(self, name: str, digits: str) -> str:
        for file in (name, *other_names(name, digits)):
            taken = self._db.execute(
                "INSERT OR IGNORE INTO out_files VALUES (?)", (collision_key(file),)
            )
            if taken.rowcount:
                return file
        raise AssertionError("two entities have one number")

    @property
    def one_label_each(self) -> bool:
        with self._errors():
            several = self._db.execute(
                "SELECT 1 FROM out_tags GROUP BY entity HAVING COUNT(DISTINCT label) > 1 LIMIT 1"
            )
            return several.fetchone() is None

    def labels_in_order(self) -> Iterator[OutLabel]:
        """Those that no entity has too."""
        with self._errors():
            for number, label, name in self._db.execute(
                "SELECT number, id, name FROM out_labels ORDER BY number"
            ):
                yield OutLabel(number - 1, label, name)

    def items(self) -> Iterator[Item]:
        """In the order in which they were added."""
        with self._errors():
            for row in self._db.execute(
                "SELECT id, file, digest, size, width, height, reviewed FROM out_items ORDER BY id"
            ):
                entity, file, digest, size, width, height, reviewed = row
                yield Item(
                    *(entity, file, self.content(digest), size, width, height, bool(reviewed)),
                    labels=self._tags(entity),
                )

    def _tags(self, entity: int) -> Tuple[OutLabel, ...]:
        rows = self._db.execute(
            "SELECT number - 1, id, name, origin, box, x, y, width, height FROM out_tags "
            "JOIN out_labels ON id = label WHERE entity = ? ORDER BY label, box",
            (entity,),
        )
        return tuple(OutLabel._make((*row[:5], _box(*row[5:]))) for row in rows)


def _box(left: Optional[float], top: float, width: float, height: float) -> Optional[Box]:
    return None if left is None else Box(left, top, width, height)
