"""The replay of power cuts sees what programs forget to sync, and no more than that."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Dict, Set, Tuple

import pytest

from tests.power_loss import record

_BEGIN = """
import os, sys, threading
os.chdir(sys.argv[1])
folder = os.open(".", os.O_RDONLY)
sync = os.fsync
def old(mode):
    return open("old", mode, 0)
def put(name, data, lasting=True):
    with open(name, "wb", 0) as file:
        file.write(data)
        if lasting:
            sync(file)
"""

_End = Dict[str, bytes]


def ends(tmp_path: Path, program: str) -> Tuple[Set[Tuple[Tuple[str, bytes], ...]], _End]:
    """All that may be left of a folder with a file `old`, and what is when the power goes at the
    end and takes all that it can."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "old").write_bytes(b"before")
    recording = record(root, [sys.executable, "-c", _BEGIN + program, str(root)], tmp_path)
    possible, last = set(), {}
    for crash in recording.crashes(tmp_path / "cut"):
        files = {
            str(path.relative_to(crash.folder)): path.read_bytes()
            for path in crash.folder.rglob("*")
            if path.is_file()
        }
        possible.add(tuple(sorted(files.items())))
        if "at the end: nothing" in crash.moment:
            last = files
    return possible, last


@pytest.mark.parametrize(
    ("program", "left"),
    [
        ('put("new", b"data"); sync(folder)', {"new": b"data"}),
        ('put("new", b"data")', {}),
        ('put("new", b"data", lasting=False); sync(folder)', {"new": b""}),
        ('put("old", b"after")', {"old": b"after"}),
        ('put("old", b"after", lasting=False)', {}),
        ('put("new", b"1"); sync(folder); put("new", b"2", lasting=False)', {"new": b"1"}),
        ('os.mkdir("a"); put("a/b", b"x"); sync(os.open("a", 0))', {}),
        ('os.mkdir("a"); put("a/b", b"x"); sync(os.open("a", 0)); sync(folder)', {"a/b": b"x"}),
        ('os.mkdir("a"); put("a/b", b"x"); sync(folder)', {}),
        ('os.rename("old", "new")', {}),
        ('os.rename("old", "new"); sync(folder)', {"new": b"before", "old": None}),
        ('put("new", b"x"); os.rename("new", "old")', {}),
        ('put("x", b"x"); os.rename("x", "old", src_dir_fd=folder); sync(folder)', {"old": b"x"}),
        ('os.unlink("old")', {}),
        ('os.unlink("old", dir_fd=folder); sync(folder)', {"old": None}),
        ('os.link("old", "new"); sync(folder)', {"new": b"before"}),
        ('f = old("r+b"); os.truncate(f.fileno(), 2); sync(f)', {"old": b"be"}),
        ('f = old("r+b"); os.truncate(f.fileno(), 2)', {}),
        ('f = old("ab"); f.write(b"1"); f.write(b"2"); sync(f)', {"old": b"before12"}),
        ('f = old("ab"); f.write(b"1"); sync(f); f.write(b"2")', {"old": b"before1"}),
        ('f = old("r+b"); f.seek(3); f.write(b"12"); sync(f)', {"old": b"bef12e"}),
        ('f = old("r+b"); os.pwrite(f.fileno(), b"1", 8); sync(f)', {"old": b"before\0\0001"}),
        ('f = old("wb"); os.dup2(f.fileno(), 99); os.write(99, b"1"); f.write(b"2"); sync(f)',
         {"old": b"12"}),
        ('f = old("wb"); t = threading.Thread(target=f.write, args=(b"1",)); t.start(); t.join();'
         'f.write(b"2"); sync(f)', {"old": b"12"}),
        ('f = old("wb"); os.fork() or os._exit(f.write(b"1") - 1); os.wait();'
         'f.write(b"2"); sync(f)', {"old": b"12"}),
    ],
)  # fmt: skip
def test_what_is_left_at_the_end(program: str, left: Dict[str, object], tmp_path: Path) -> None:
    expected = {"old": b"before", **left}
    _, last = ends(tmp_path, program)
    assert last == {name: data for name, data in expected.items() if data is not None}


def test_a_part_may_be_kept_of_what_was_not_synced(tmp_path: Path) -> None:
    program = """
for number in range(40):
    put(f"{number}", b"x", lasting=False)
os.rename("old", "new")
"""
    possible, _ = ends(tmp_path, program)
    (some,) = possible - {(("old", b"before"),)}
    names = {name for name, _ in some}
    assert 0 < len(names & set(map(str, range(40)))) < 40
    assert len(names & {"old", "new"}) == 1  # a name is changed as a whole
    assert {data for name, data in some} > {b"", b"x"}


def test_what_cannot_be_replayed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="symlink"):
        ends(tmp_path, 'os.symlink("old", "new")')


def test_what_was_said_by_then(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    program = 'put("a", b"1"); print("one", flush=True); sync(folder); print("two")'
    recording = record(root, [sys.executable, "-c", _BEGIN + program, str(root)], tmp_path)
    said = [crash.said for crash in recording.crashes(tmp_path / "cut")]
    assert said == ["", "", "one\n", "one\n", "one\ntwo\n", "one\ntwo\n"]
