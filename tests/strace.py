"""What syscalls a program makes, as strace takes them down."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence

import pytest

from tests.support import ROOT

# Bytes of one write that are taken down whole.
_LONGEST = 1 << 24

_LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)")
_UNFINISHED = re.compile(r"(\d+) +(\w+)\((.*) <unfinished \.\.\.>")
_RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")
_DESCRIPTOR = re.compile(r"(AT_FDCWD|\d+)(?:<([^>]*)>)?(\(deleted\))?")


BEGINS = -1


class Call(NamedTuple):
    """A syscall. `result` is BEGINS or, at its end, what it gave, which is not negative."""

    thread: int
    name: str
    args: List[str]
    result: int


def trace(command: Sequence[str], names: Iterable[str], to: Path, output: Path) -> None:
    """Runs the program to its end, which must be a good one; those of `names` that this kernel
    has are taken down. Skips the test where that cannot be."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    strace = ["strace", "-f", "-y", "-xx", "-s", str(_LONGEST), "-o", str(to)]
    strace += ["-e", "trace=" + ",".join(f"?{name}" for name in sorted(names)), *command]
    with open(output, "wb") as said:
        run = subprocess.run(strace, cwd=ROOT, stdout=said, stderr=subprocess.PIPE, check=False)
    complaint = run.stderr.decode(errors="replace")
    if "PTRACE" in complaint:
        pytest.skip(f"strace may not trace here: {complaint}")
    assert run.returncode == 0, complaint


def calls(taken_down: Path) -> Iterator[Call]:
    """Those that succeeded, in the order of their ends; the begin too of one that others ran
    beside."""
    begun: Dict[str, str] = {}
    with open(taken_down, encoding="ascii") as lines:
        for line in lines:
            unfinished, resumed = _UNFINISHED.match(line), _RESUMED.match(line)
            if unfinished:
                thread, name, args = unfinished.groups()
                begun[thread] = f"{name}({args}"
                yield Call(int(thread), name, args.split(", "), BEGINS)
                continue
            if resumed:
                thread, rest = resumed.groups()
                line = f"{thread} {begun.pop(thread)}{rest}"
            parts = _LINE.match(line)
            if parts and int(parts[4]) >= 0:
                yield Call(int(parts[1]), parts[2], parts[3].split(", "), int(parts[4]))


class Descriptor(NamedTuple):
    """`number` is -1 of the current folder; `path` None of what has no name any more."""

    number: int
    path: Optional[str]


def descriptor(arg: str) -> Optional[Descriptor]:
    """An argument that is one."""
    found = _DESCRIPTOR.fullmatch(arg)
    if found is None:
        return None
    path = text(found[2]) if found[2] and not found[3] else None
    return Descriptor(-1 if found[1] == "AT_FDCWD" else int(found[1]), path)


def data(arg: str) -> bytes:
    """An argument that is a string."""
    return bytes.fromhex(arg.strip('"').replace("\\x", ""))


def text(arg: str) -> str:
    return os.fsdecode(data(arg))
