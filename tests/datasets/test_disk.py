"""Disks that are full, read-only or fail, files of others, and two processes at once."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Iterator, List, Set

import pytest

from edged.datasets.contents import digest_of
from edged.datasets.lock import WriteLock, try_lock
from edged.datasets.reader import FILE, Reader
from edged.datasets.schema import VERSION
from edged.datasets.store import Store
from edged.errors import EdgedError, StoreError
from tests.datasets.history import World, check_whole
from tests.datasets.stores import ALL, ENOUGH, TEXT, added, carried, entities_of, text
from tests.support import ROOT, wait_for

_NOBODY = 65534
_PROGRAM = [sys.executable, "-m", "tests.datasets.history"]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """One of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_refuses_and_loses_nothing(small_disk: Path) -> None:
    folder, filler = small_disk / "datasets", small_disk / "filler"
    with closing(Store(folder, ENOUGH)) as store:
        dataset = store.create("", TEXT, "a")
        disk = os.statvfs(small_disk)
        filler.write_bytes(bytes(disk.f_bavail * disk.f_frsize - 65536))
        taken: List[bytes] = []
        failures: List[EdgedError] = []
        for number in range(60):
            data = b"%d" % number
            try:
                (answer,) = store.add([text(dataset, data, "a")])
            except StoreError as error:
                answer = error
                # Or else what was refused would keep the disk full.
                assert {file.name for file in folder.glob("contents/*/*")} == digests(taken)
            if isinstance(answer, EdgedError):
                failures.append(answer)
            else:
                taken.append(data)
        assert taken
        (failure, *_) = [error for error in failures if isinstance(error, StoreError)]
        assert "full" in str(failure) or "space" in str(failure)
        assert there(store, dataset) == taken
        filler.unlink()
        added(store, text(dataset, b"more"))  # the store goes on, and what failed left nothing
        check_whole(folder)
        assert there(store, dataset) == [*taken, b"more"]


def digests(contents: List[bytes]) -> Set[str]:
    return {digest_of(content) for content in contents}


def there(store: Reader, dataset: int) -> List[bytes]:
    return [store.content(one.digest).read_bytes() for one in entities_of(store, dataset)]


def test_a_read_only_disk_refuses_and_recovers(small_disk: Path) -> None:
    folder = small_disk / "datasets"
    with closing(Store(folder, ENOUGH)) as store:
        dataset = store.create("", TEXT, "a")
        added(store, text(dataset))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreError, match=r"[Rr]ead-only|readonly"):
        Store(folder, ENOUGH)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    with closing(Store(folder, ENOUGH)) as store:
        assert there(store, dataset) == [b"text"]


@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "EROFS"])
@pytest.mark.parametrize("call", ["fsync", "fdatasync", "pwrite64", "unlinkat,unlink"])
def test_a_call_that_fails_takes_nothing_that_was_answered(
    call: str, error: str, tmp_path: Path
) -> None:
    """The kernel's answer to it is made up, now and then."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    folder, output = tmp_path / "datasets", tmp_path / "said"
    with closing(Store(folder, ENOUGH)):
        pass
    failing = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}"]
    failing += ["-e", f"inject={call}:error={error}:when=7+13"]
    with open(output, "wb") as said:
        subprocess.run([*failing, *_PROGRAM, folder, "0", "3"], cwd=ROOT, stdout=said, check=True)
    world = World()
    world.check(folder, output.read_text())
    assert world.answered


def test_two_processes_share_the_contents(tmp_path: Path) -> None:
    """Each adds what the other is just deleting."""
    folder = tmp_path / "datasets"
    outputs = [tmp_path / "0", tmp_path / "1"]
    processes = []
    for run, output in enumerate(outputs):
        with open(output, "wb") as said:
            command = [*_PROGRAM, str(folder), str(run), "8"]
            processes.append(subprocess.Popen(command, cwd=ROOT, stdout=said))
    assert [process.wait() for process in processes] == [0, 0]
    world = World()
    world.check(folder, "".join(output.read_text() for output in outputs))
    assert world.answered > 400


def test_whoever_comes_back_for_the_lock_waits_behind_who_waits(tmp_path: Path) -> None:
    """Else an import, which writes without a pause, would keep all others out."""
    order: List[str] = []
    with closing(WriteLock(tmp_path)) as busy, closing(WriteLock(tmp_path)) as patient:

        def wait() -> None:
            with patient.held():
                order.append("patient")

        waiting = threading.Thread(target=wait)
        with busy.held():
            waiting.start()
            wait_for(lambda: is_locked(tmp_path / "turn.lock"))
        with busy.held():
            order.append("busy")
        waiting.join()
    assert order == ["patient", "busy"]


def is_locked(file: Path) -> bool:
    with open(file, "rb") as opened:
        return not try_lock(opened.fileno())


def test_the_store_is_its_owners_only(store: Store, dataset: int) -> None:
    added(store, text(dataset))
    for path in [store.folder, *store.folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@as_root
def test_what_root_makes_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, _NOBODY, _NOBODY)
    folder = state / "datasets"
    with closing(Store(folder, ENOUGH)) as store:
        dataset = store.create("", TEXT, "a")
        added(store, text(dataset))
        with store.importing(dataset):
            owners = {(path.stat().st_uid, path.stat().st_gid) for path in state.rglob("*")}
    assert owners == {(_NOBODY, _NOBODY)}


@pytest.mark.parametrize("what", [FILE, "write.lock", "contents/98"])
def test_a_link_is_not_followed(what: str, tmp_path: Path) -> None:
    """Root would write wherever the folder's owner says."""
    folder, elsewhere = tmp_path / "datasets", tmp_path / "elsewhere"
    with closing(Store(folder, ENOUGH)) as store:
        dataset = store.create("", TEXT, "a")
    link = folder / what
    link.rename(elsewhere)
    link.symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    # The SHA-256 of "text" begins with 98.
    with pytest.raises(StoreError), closing(Store(folder, ENOUGH)) as store:
        store.add([text(dataset)])
    assert sorted(elsewhere.rglob("*")) == before


def test_a_newer_version_is_refused_and_not_changed(folder: Path) -> None:
    with closing(Store(folder, ENOUGH)) as store:
        added(store, text(store.create("", TEXT, "a")))
    with closing(sqlite3.connect(folder / FILE)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = (folder / FILE).read_bytes()
    with pytest.raises(StoreError, match=f"version is {VERSION + 1}, newer than {VERSION}"):
        Store(folder, ENOUGH)
    with pytest.raises(StoreError, match="version"):
        Reader(folder)
    assert (folder / FILE).read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_what_is_no_store_is_refused(content: bytes, folder: Path) -> None:
    folder.mkdir(parents=True)
    with pytest.raises(StoreError):
        Reader(folder)
    (folder / FILE).write_bytes(content)
    with pytest.raises(StoreError):
        Reader(folder)
    if content:
        with pytest.raises(StoreError):
            Store(folder, ENOUGH)
        assert (folder / FILE).read_bytes() == content


def test_an_opening_that_was_cut_off_is_begun_again(folder: Path) -> None:
    """An empty file is what a power cut may leave of it."""
    folder.mkdir(parents=True)
    (folder / FILE).touch()
    with closing(Store(folder, ENOUGH)) as store:
        added(store, text(store.create("", TEXT, "a")))
        assert carried(store, 1) == [("a.txt", [])]
        assert store.datasets("", TEXT, ALL)[0] == 1
