"""What a power cut leaves of a folder, at each moment of a program's run.

`record` runs a program under strace and takes down what it does to a folder; `crashes` gives
the folder as a disk may have it that lost power before each fsync: everything gone that was
not synced before (data of files by an fsync of the file; names of files and folders, made,
renamed or taken away, by an fsync of the folder they are in), or some of it.

What no syscall shows is not known: writes through shared memory (of SQLite's -shm, which it
makes anew). Owners, modes and times are not replayed.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from tests.replayed import File, Folder, Names, Node, build, read
from tests.strace import BEGINS, Call, calls, data, descriptor, text, trace
from tests.support import ROOT

_OPEN = {"open", "openat", "creat"}
_WRITE = {"write", "pwrite64"}
_RESIZE = {"ftruncate", "truncate"}
_NAMES = {"rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "link", "linkat"}
_FOLDERS = {"mkdir", "mkdirat"}
_SYNC = {"fsync", "fdatasync"}
_DESCRIPTORS = {"lseek", "dup", "dup2", "dup3", "fcntl"}
_CLONE = {"clone", "clone3", "fork", "vfork"}
_CURRENT = {"chdir", "fchdir"}
# They change files, and are not replayed: a program that uses them in the folder is an error.
_UNKNOWN = {
    *("writev", "pwritev", "pwritev2", "sendfile", "copy_file_range", "splice", "fallocate"),
    *("symlink", "symlinkat", "io_uring_setup"),
}
_TRACED = (
    _OPEN
    | _WRITE
    | _RESIZE
    | _NAMES
    | _FOLDERS
    | _SYNC
    | _DESCRIPTORS
    | _CLONE
    | _CURRENT
    | _UNKNOWN
)


class Crash(NamedTuple):
    """`said` is what the program had written to its standard output by then."""

    folder: Path
    said: str
    moment: str


class Recording(NamedTuple):
    """`before` is the folder as it was, `trace` what strace wrote."""

    root: Path
    before: Path
    trace: Path
    output: Path

    def crashes(self, into: Path, seed: int = 0) -> Iterator[Crash]:
        """At each moment twice: with nothing that was not synced, and with a random part of it.

        `into` is made anew for each.
        """
        chance = random.Random(seed)
        disk = _Disk(self.root, self.before, self.output)
        for number, call in enumerate(calls(self.trace)):
            if call.name in _SYNC and disk.opened(call.args[0]) is not None:
                yield from disk.cut(into, chance, f"before call {number}, {call.name}")
            disk.replay(call)
        yield from disk.cut(into, chance, "at the end")


def record(root: Path, command: Sequence[str], scratch: Path) -> Recording:
    """Runs the program to its end, which must be a good one. Skips the test without strace."""
    recording = Recording(
        root.resolve(), scratch / "before", scratch / "trace", (scratch / "said").resolve()
    )
    shutil.copytree(root, recording.before)
    trace(command, _TRACED, recording.trace, recording.output)
    return recording


class _Disk:
    """The folder `root`, as the calls change it."""

    def __init__(self, root: Path, before: Path, output: Path) -> None:
        self.root = read(before)
        self.said = bytearray()
        self._path, self._output = str(root), str(output)
        self._process: Dict[int, int] = {}
        self._cloning: List[Call] = []
        self._current: Dict[int, str] = {}
        # By process and descriptor: where the next write goes, -1 for at the end.
        self._offsets: Dict[Tuple[int, int], List[int]] = {}

    def opened(self, arg: str) -> Optional[Node]:
        """What a descriptor is of; None if that is not in the folder, or not any more."""
        found = descriptor(arg)
        return self._node(found.path) if found and found.path else None

    def _node(self, path: str) -> Optional[Node]:
        if path != self._path and not path.startswith(self._path + "/"):
            return None
        node = self.root
        for name in path[len(self._path) :].split("/")[1:]:
            child = node.live.get(name) if isinstance(node, Folder) else None
            if child is None:
                return None
            node = child
        return node

    def _named(self, call: Call) -> Iterator[Tuple[Optional[Folder], str]]:
        """The folder and the name of each path in the arguments, None where it is elsewhere."""
        current = self._current.get(self._process[call.thread], str(ROOT))
        base = current
        for arg in call.args:
            found = descriptor(arg)
            if found is not None:
                base = found.path or current
            elif arg.startswith('"'):
                folder, name = os.path.split(os.path.normpath(os.path.join(base, text(arg))))
                node = self._node(folder)
                yield (node if isinstance(node, Folder) else None), name
                base = current

    def cut(self, into: Path, chance: random.Random, moment: str) -> Iterator[Crash]:
        """The power, now."""
        for kept, some in (("nothing", None), ("a part", chance)):
            shutil.rmtree(into, ignore_errors=True)
            build(self.root, into, some)
            yield Crash(into, self.said.decode(), f"{moment}: {kept} is kept of what waits")

    def replay(self, call: Call) -> None:
        if call.thread not in self._process:
            self._born(call.thread, self._cloning.pop() if self._cloning else None)
        if call.result == BEGINS:
            node = self.opened(call.args[0]) if call.name in _SYNC else None
            if node is not None:
                node.mark(call.thread)
            elif call.name in _CLONE:
                self._cloning.append(call)
            return
        process = self._process[call.thread]
        if call.name in _CLONE:
            if call.result not in self._process:
                self._cloning = [each for each in self._cloning if each.thread != call.thread]
                self._born(call.result, call)
        elif call.name in _OPEN:
            self._open(process, call)
        elif call.name in _WRITE:
            self._write(process, call)
        elif call.name in _DESCRIPTORS:
            self._share(process, call)
        elif call.name in _CURRENT:
            found = descriptor(call.args[0])
            there = (found.path or "") if found else text(call.args[0])
            base = self._current.get(process, str(ROOT))
            self._current[process] = os.path.normpath(os.path.join(base, there))
        elif call.name in _NAMES | _FOLDERS:
            self._rename(call)
        elif call.name in _RESIZE:
            node = self.opened(call.args[0])
            if call.name == "truncate":
                ((folder, name),) = self._named(call)
                node = folder.live[name] if folder else None
            if isinstance(node, File):
                node.change(int(call.args[1]))
        elif call.name in _SYNC:
            node = self.opened(call.args[0])
            if node is not None:
                node.sync(call.thread)
        else:
            assert all(self.opened(arg) is None for arg in call.args), call
            assert all(folder is None for folder, _ in self._named(call)), call

    def _open(self, process: int, call: Call) -> None:
        flags = "O_CREAT|O_TRUNC" if call.name == "creat" else " ".join(call.args[1:])
        assert "O_TMPFILE" not in flags, call
        self._offsets[process, call.result] = [-1 if "O_APPEND" in flags else 0]
        for folder, name in self._named(call):
            if folder is None:
                continue
            if "O_CREAT" in flags and name not in folder.live:
                folder.change({name: File()})
            node = folder.live.get(name)
            if "O_TRUNC" in flags and isinstance(node, File) and node.live:
                node.change(0)

    def _write(self, process: int, call: Call) -> None:
        found = descriptor(call.args[0])
        assert found is not None, call
        written = data(call.args[1])[: call.result]
        if found.path == self._output:
            self.said += written
        node = self.opened(call.args[0])
        if not isinstance(node, File):
            return
        if call.name == "pwrite64":
            node.change((int(call.args[3]), written))
            return
        offset = self._offsets[process, found.number]
        node.change((len(node.live) if offset[0] < 0 else offset[0], written))
        if offset[0] >= 0:
            offset[0] += len(written)

    def _born(self, thread: int, clone: Optional[Call]) -> None:
        """It may be heard of before the call that made it ends."""
        self._process[thread] = thread
        if clone is None:
            return
        parent = self._process[clone.thread]
        if "CLONE_THREAD" in " ".join(clone.args):
            self._process[thread] = parent
            return
        self._current[thread] = self._current.get(parent, str(ROOT))
        for (owner, number), shared in list(self._offsets.items()):
            if owner == parent:
                self._offsets[thread, number] = shared

    def _share(self, process: int, call: Call) -> None:
        found = descriptor(call.args[0])
        offset = self._offsets.get((process, found.number)) if found else None
        if offset is None:
            return
        if call.name == "lseek":
            offset[0] = call.result if offset[0] >= 0 else -1
        elif call.name.startswith("dup") or call.args[1].startswith("F_DUPFD"):
            self._offsets[process, call.result] = offset

    def _rename(self, call: Call) -> None:
        places = list(self._named(call))
        if call.name in _FOLDERS or "unlink" in call.name or call.name == "rmdir":
            ((folder, name),) = places
            if folder is not None:
                folder.change({name: Folder() if call.name in _FOLDERS else None})
            return
        (source, old), (target, new) = places
        assert (source is None) == (target is None), call
        assert "RENAME_" not in " ".join(call.args), call
        if source is None or target is None:
            return
        node = source.live[old]
        gone: Names = {} if "link" in call.name else {old: None}
        if source is target:  # at once, or not at all
            source.change({**gone, new: node})
        else:
            source.change(gone)
            target.change({new: node})
