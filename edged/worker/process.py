"""What a model process asks of the kernel for itself."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from contextlib import suppress

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# What glibc takes as a threshold: before 2.35, no more than half of one of its heaps.
_KEEP = (256 << 20, 32 << 20)
_PAGE = resource.getpagesize()


def die_with_parent(parent: int) -> None:
    """SIGKILL when the thread that started this process ends, even if it already has.

    The setting is lost in a fork, so every process of the family makes it for itself.
    """
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(0)


def ignore_stop_signals() -> None:
    """Only the daemon drains and stops; a Ctrl-C in the terminal reaches everyone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def become_batch() -> None:
    """To the scheduler: a thread of this process that wakes up takes no core from one that is at
    work, such as the daemon's in the middle of an answer (sched(7), SCHED_BATCH).
    """
    with suppress(OSError):  # a sandbox may keep it from either, and musl has neither
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def keep_freed_memory() -> None:
    """Frames come back from the heap, not as fresh pages: 40 % of a decode is page faults."""
    if hasattr(_libc, "mallopt"):  # glibc; musl has none
        for size in _KEEP:
            if _libc.mallopt(_M_MMAP_THRESHOLD, size):
                break
        _libc.mallopt(_M_TRIM_THRESHOLD, _KEEP[0])


def limit_memory(limit: int) -> None:
    """Private memory of this process to `limit` bytes; an allocation over it fails."""
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


class ResidentSize:
    """The process's resident memory in bytes, by one read of a file kept open."""

    def __init__(self) -> None:
        self._statm = os.open("/proc/self/statm", os.O_RDONLY)

    def __call__(self) -> int:
        return int(os.pread(self._statm, 64, 0).split()[1]) * _PAGE
