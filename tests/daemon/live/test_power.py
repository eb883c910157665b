"""Power that goes, and processes that are killed, in the middle of a change."""

from __future__ import annotations

import contextlib
import http.client
import random
import sys
import threading
import time
from pathlib import Path
from typing import List, Optional, Set

import pytest

from edged.registry.install import Library
from tests.daemon.live.conftest import Make, put, relabel, served
from tests.daemon.workers.conftest import MID, Serve, add_model
from tests.power_loss import record
from tests.registry.packing import pack_folder
from tests.support import RunningDaemon

# Each change says on its standard output that it is done.
_CHANGES = """
import sys
from pathlib import Path
from edged.registry.install import Library, Place, find

root, first, second = map(Path, sys.argv[1:])
library = Library(root / "models", root / "state")

def said(version):
    print(version, flush=True)

def install(archive):
    staged = library.stage(archive, Place("colour", 7, "colour"), library.open())
    library.keep("colour", staged.record)

library.open()
said(0)
install(first)
said(1)
install(second)
said(2)
library.tidy([])
library.keep("colour", library.previous("colour").record)
library.end_trial("colour", "")
said(1)
library.set_disabled("colour", True)
library.set_disabled("colour", False)
library.remove("colour", 7)
said("none")
library.tidy([])
install(first)  # of which something may be left
said(1)
"""


def labelled(tmp_path: Path, number: int) -> Path:
    folder = add_model(tmp_path / f"v{number}")
    relabel(folder, str(number))
    return pack_folder(tmp_path / f"{number}.zip", folder)


def version_in(root: Path, network: bytes) -> Optional[int]:
    """The one that a daemon would serve, None for none; AssertionError when it is not whole."""
    entries = Library(root / "models", root / "state").open()
    if not entries:
        return None
    (entry,) = entries
    assert entry.spec is not None, entry.reason
    assert entry.mid == MID
    for files in entry.spec.networks:
        assert Path(files.model).read_bytes() == network
    return int(entry.spec.labels[0].rpartition("-")[2])


@pytest.mark.slow
def test_power_that_goes_at_any_moment_leaves_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    """At each fsync: with all lost that was not synced, and with some of it."""
    root = tmp_path / "board"
    folder = add_model(root / "models")
    relabel(folder, "0")
    network = (folder / "model").read_bytes()
    (root / "state").mkdir()
    archives = [str(labelled(tmp_path, number)) for number in (1, 2)]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-c", _CHANGES, str(root), *archives]
    recording = record(root, command, scratch)
    # What may be served by how often a change was said to be done: that, or the next one.
    allowed: List[Set[Optional[int]]] = [{0}, {0, 1}, {1, 2}, {2, 1}, {1, None}, {None, 1}, {1}]
    moments = 0
    seen = set()
    for crash in recording.crashes(root):
        version = version_in(crash.folder, network)
        assert version in allowed[len(crash.said.split())], (crash.moment, crash.said)
        seen.add(version)
        assert version_in(crash.folder, network) == version, crash.moment  # and stays so
        assert not (crash.folder / "state" / "versions" / "unfinished").exists()
        assert not list((crash.folder / "models").glob(".*"))
        assert not list((crash.folder / "state").glob("models.json?*"))
        moments += 1
    assert seen == {0, 1, 2, None}
    assert moments > 40


def put_and_tell(daemon: RunningDaemon, archive: Path, statuses: List[int]) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        statuses.append(put(daemon, archive).status)


@pytest.mark.slow
def test_a_daemon_that_is_killed_while_it_installs(
    serve: Serve, models: Path, version: Make
) -> None:
    """A dozen times, at any moment: the next one serves the old version or the new one, and what
    was answered as done stays done."""
    chance = random.Random(1)
    archives = {str(number): version(str(number)) for number in range(1, 13)}
    present = "0"
    for number, archive in archives.items():
        daemon = serve(models, model_changes="open")
        assert served(daemon) == present
        statuses: List[int] = []

        thread = threading.Thread(target=put_and_tell, args=(daemon, archive, statuses))
        thread.start()
        time.sleep(chance.random() * 0.6)
        daemon.process.kill()
        daemon.process.wait()
        thread.join()
        again = serve(models)
        now = served(again)
        assert now in ({number} if statuses == [200] else {present, number})
        present = now
        again.process.kill()
        again.process.wait()
        versions = [path.name for path in (models.parent / "state" / "versions").iterdir()]
        assert len(versions) <= 4, versions
