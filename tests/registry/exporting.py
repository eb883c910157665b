"""Folders as exporters leave them, for the tests of the formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import yaml

from edged.registry.entry import look
from edged.registry.spec import ModelSpec

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def leave(folder: Path, *networks: str, **files: Any) -> Path:
    """Empty files `networks`, and `files` by their name with `_` for `.`: YAML, JSON or text."""
    folder.mkdir(exist_ok=True)
    for name in networks:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    for key, content in files.items():
        put(folder, ".".join(key.rsplit("_", 1)), content)
    return folder


def put(folder: Path, name: str, content: Any) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if not isinstance(content, str):
        content = json.dumps(content) if name.endswith(".json") else yaml.safe_dump(content)
    path.write_text(content, "utf-8")


def served(folder: Path, exporter: str) -> ModelSpec:
    entry = look(folder)
    assert entry.spec is not None, entry.reason
    assert entry.exporter == exporter
    return entry.spec


def refused(folder: Path, exporter: str) -> str:
    entry = look(folder)
    assert entry.spec is None
    assert entry.exporter == exporter
    assert "\n" not in entry.reason
    return entry.reason


def changed(document: Dict[str, Any], **changes: Any) -> Dict[str, Any]:
    """`...` takes a key away."""
    merged = {**document, **changes}
    return {key: value for key, value in merged.items() if value is not ...}
