"""The tables, and how those of an earlier version become today's. SQLite 3.31 is enough."""

from __future__ import annotations

import sqlite3

_VERSIONS = (
    (
        # `busy` is a `Busy`: what is under way, or was when it was cut off.
        """CREATE TABLE datasets (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            owner TEXT NOT NULL,
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            entities INTEGER NOT NULL DEFAULT 0,
            busy TEXT NOT NULL DEFAULT '',
            UNIQUE (owner, kind, name)
        )""",
        "CREATE INDEX datasets_by_owner ON datasets (owner, kind)",
        # A label of no dataset was deleted and is being taken off its entities.
        """CREATE TABLE labels (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            dataset INTEGER REFERENCES datasets ON DELETE CASCADE,
            name TEXT NOT NULL,
            entities INTEGER NOT NULL DEFAULT 0,
            UNIQUE (dataset, name)
        )""",
        "CREATE INDEX labels_by_dataset ON labels (dataset)",
        """CREATE TABLE contents (
            id INTEGER PRIMARY KEY,
            digest TEXT NOT NULL UNIQUE,
            size INTEGER NOT NULL
        )""",
        """CREATE TABLE entities (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            dataset INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
            name TEXT NOT NULL,
            content INTEGER NOT NULL REFERENCES contents,
            suffix TEXT NOT NULL,
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            reviewed INTEGER NOT NULL,
            UNIQUE (dataset, name, content)
        )""",
        "CREATE INDEX entities_by_dataset ON entities (dataset)",
        "CREATE INDEX entities_by_content ON entities (content)",
        """CREATE TABLE entity_labels (
            entity INTEGER NOT NULL REFERENCES entities ON DELETE CASCADE,
            label INTEGER NOT NULL REFERENCES labels ON DELETE CASCADE,
            origin TEXT NOT NULL,
            PRIMARY KEY (entity, label)
        ) WITHOUT ROWID""",
        "CREATE INDEX entity_labels_by_label ON entity_labels (label)",
        """CREATE TABLE boxes (
            id INTEGER PRIMARY KEY,
            entity INTEGER NOT NULL,
            label INTEGER NOT NULL,
            x REAL NOT NULL,
            y REAL NOT NULL,
            width REAL NOT NULL,
            height REAL NOT NULL,
            FOREIGN KEY (entity, label) REFERENCES entity_labels ON DELETE CASCADE,
            UNIQUE (entity, label, x, y, width, height)
        )""",
        # Counts are kept where they change, so that a list need not count.
        "CREATE TABLE total (entities INTEGER NOT NULL, bytes INTEGER NOT NULL)",
        "INSERT INTO total VALUES (0, 0)",
        """CREATE TRIGGER entity_added AFTER INSERT ON entities BEGIN
            UPDATE datasets SET entities = entities + 1 WHERE id = NEW.dataset;
            UPDATE total SET entities = entities + 1;
        END""",
        """CREATE TRIGGER entity_gone AFTER DELETE ON entities BEGIN
            UPDATE datasets SET entities = entities - 1 WHERE id = OLD.dataset;
            UPDATE total SET entities = entities - 1;
        END""",
        """CREATE TRIGGER label_put AFTER INSERT ON entity_labels BEGIN
            UPDATE labels SET entities = entities + 1 WHERE id = NEW.label;
        END""",
        """CREATE TRIGGER label_taken AFTER DELETE ON entity_labels BEGIN
            UPDATE labels SET entities = entities - 1 WHERE id = OLD.label;
        END""",
        """CREATE TRIGGER content_added AFTER INSERT ON contents BEGIN
            UPDATE total SET bytes = bytes + NEW.size;
        END""",
        """CREATE TRIGGER content_gone AFTER DELETE ON contents BEGIN
            UPDATE total SET bytes = bytes - OLD.size;
        END""",
    ),
)
"""What each version does to the one before."""

VERSION = len(_VERSIONS)


def version_of(db: sqlite3.Connection) -> int:
    """0 of an empty file. Raises sqlite3.DatabaseError."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


def migrate(db: sqlite3.Connection) -> None:
    """To `VERSION`, inside the caller's transaction. Raises sqlite3.DatabaseError."""
    version = version_of(db)
    if version > VERSION:
        raise sqlite3.DatabaseError(f"its version is {version}, newer than {VERSION}")
    for statements in _VERSIONS[version:]:
        for statement in statements:
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")
