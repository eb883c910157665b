"""Versions of models: whole copies of folders, of which nothing outside is ever a part."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict

import pytest

from edged.errors import ModelFolderError, NotKept
from edged.registry import versions
from edged.registry.archive import MAX_FILES
from edged.registry.install import Library
from edged.registry.versions import Versions
from tests.registry.packing import MODEL_YAML


def model(root: Path, name: str = "1-a", **more: str) -> Path:
    folder = root / "models" / name
    folder.mkdir(parents=True)
    files: Dict[str, str] = {"model.yaml": MODEL_YAML, "net.nb": "network", **more}
    for file, content in files.items():
        (folder / file).write_text(content)
    return folder


def contents(folder: Path) -> Dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_folder_is_known_by_names_and_contents_alone(tmp_path: Path) -> None:
    made = Versions(tmp_path / "versions")
    one, other = model(tmp_path, "one"), model(tmp_path, "other")
    os.utime(other / "net.nb", (1, 1))
    key = made.take(one)
    assert made.key(other) == key
    (other / "net.nb").rename(other / "ten.nb")
    assert made.key(other) != key
    assert contents(made.folder(key)) == contents(one)


def test_what_is_no_file_or_lies_elsewhere_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    folder = model(tmp_path)
    (folder / "inside").symlink_to("net.nb")
    (folder / "outside").symlink_to("../../secret")
    (folder / "nowhere").symlink_to("gone")
    (folder / "deeper").mkdir()
    (folder / "deeper" / "file").write_text("deep")
    os.mkfifo(folder / "fifo")
    made = Versions(tmp_path / "versions")
    copied = made.folder(made.take(folder))
    assert sorted(contents(copied)) == ["deeper/file", "inside", "model.yaml", "net.nb"]
    assert not any(path.is_symlink() for path in copied.rglob("*"))


def test_a_folder_that_leads_into_itself_is_served_from_where_it_lies(tmp_path: Path) -> None:
    folder = model(tmp_path)
    (folder / "again").symlink_to(".")
    (entry,) = Library(tmp_path / "models", tmp_path / "state").open()
    assert (entry.reason, entry.version) == ("", None)
    assert entry.spec is not None
    assert entry.spec.folder == str(folder)


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model(tmp_path)
    monkeypatch.setattr(versions, "MAX_FILES", 1)
    with pytest.raises(ModelFolderError, match="more than 1 files"):
        Versions(tmp_path / "versions").take(folder)
    assert MAX_FILES > 1


def test_a_folder_that_changes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model(tmp_path)
    made = Versions(tmp_path / "versions")
    key = made.key(folder)
    monkeypatch.setattr(Versions, "key", lambda self, source: key)
    (folder / "net.nb").write_text("another")
    with pytest.raises(ModelFolderError, match="still being copied"):
        made.take(folder)
    assert key not in made


def test_a_state_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """Models are served from where they lie."""
    folder = model(tmp_path)
    (tmp_path / "state").write_text("no folder")
    with pytest.raises(NotKept, match="Not a directory"):
        Versions(tmp_path / "state" / "versions").take(folder)
    (entry,) = Library(tmp_path / "models", tmp_path / "state").open()
    assert (entry.reason, entry.version) == ("", None)


def test_a_ledger_that_is_damaged_is_left_for_its_owner(tmp_path: Path) -> None:
    model(tmp_path)
    ledger = tmp_path / "state" / "models.json"
    ledger.parent.mkdir()
    ledger.write_text("{")
    (entry,) = Library(tmp_path / "models", tmp_path / "state").open()
    assert entry.reason == ""
    assert ledger.read_text() == "{"


def test_what_was_served_before_goes_before_what_is_new(tmp_path: Path) -> None:
    library = Library(tmp_path / "models", tmp_path / "state")
    model(tmp_path, "9-old")
    library.open()
    model(tmp_path, "9-new", **{"labels.txt": "x"})
    old, new = library.open()
    assert (old.folder, old.reason) == ("9-old", "")
    assert (new.folder, new.reason) == ("9-new", "mid 9 is also that of 9-old")
