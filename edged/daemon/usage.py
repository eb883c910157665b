"""Memory and CPU time of the models' processes, from /proc (proc(5))."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from edged.daemon.samples import Labels, Samples, read_text

_TICK = 1 / os.sysconf("SC_CLK_TCK")
# Fields of stat, counted from the first behind the name in its parentheses.
_UTIME, _STIME, _STARTTIME = 11, 12, 19


class _Cpu(NamedTuple):
    """`start` tells processes apart that had the same pid one after the other."""

    pid: int
    start: int
    seconds: float


class Usage:
    """For one thread at a time. CPU time never falls when a process is replaced: what one has
    used stays in the sum of its model.
    """

    def __init__(self) -> None:
        self._last: Dict[Tuple[int, int], float] = {}
        self._cpu: Dict[str, float] = {}

    def read(self, pids: Mapping[str, Sequence[int]]) -> Samples:
        """`pids`: the processes of each model by its mid."""
        return {
            "edged_model_pss_bytes": _pss_of(pids),
            "edged_model_cpu_seconds_total": self._cpu_of(pids),
        }

    def _cpu_of(self, pids: Mapping[str, Sequence[int]]) -> Dict[Labels, float]:
        last: Dict[Tuple[int, int], float] = {}
        for mid, its_pids in pids.items():
            total = self._cpu.get(mid, 0.0)
            for cpu in filter(None, map(_cpu, its_pids)):
                process = cpu.pid, cpu.start
                total += cpu.seconds - self._last.get(process, 0.0)
                last[process] = cpu.seconds
            self._cpu[mid] = total
        self._last = last
        return {(mid,): self._cpu[mid] for mid in pids}


def _pss_of(pids: Mapping[str, Sequence[int]]) -> Dict[Labels, float]:
    sizes: Dict[Labels, float] = {}
    for mid, its_pids in pids.items():
        known: List[int] = [size for size in map(_pss, its_pids) if size is not None]
        if known:
            sizes[mid,] = sum(known)
    return sizes


def _pss(pid: int) -> Optional[int]:
    """In bytes; None of a process that has ended, and on an old kernel."""
    text = read_text(Path(f"/proc/{pid}/smaps_rollup")) or ""
    found = re.search(r"^Pss: +(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) << 10 if found else None


def _cpu(pid: int) -> Optional[_Cpu]:
    text = read_text(Path(f"/proc/{pid}/stat"))
    if text is None:
        return None
    fields = text.rpartition(")")[2].split()
    ticks = int(fields[_UTIME]) + int(fields[_STIME])
    return _Cpu(pid, int(fields[_STARTTIME]), ticks * _TICK)
