"""What the kernel says of a tree of processes: who is in it, its memory, its CPU time."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import List

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def tree(pid: int) -> List[int]:
    """`pid` and all below it."""
    found = [pid]
    for entry in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
            for child in entry.read_text().split():
                found += tree(int(child))
    return found


def pss(pid: int) -> float:
    """The proportional set size in MB: shared pages count in parts."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(map(int, _PSS.findall(text))) / 1024


def tree_pss(pid: int) -> float:
    """MB of all in the tree; what its members share counts once."""
    return sum(map(pss, tree(pid)))


def cpu_seconds(pid: int, alone: bool = False) -> float:
    """User and system time, threads that ended included: of the process `alone`, or of all in
    its tree that live.
    """
    return sum(map(_cpu_seconds, [pid] if alone else tree(pid)))


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * _TICK
