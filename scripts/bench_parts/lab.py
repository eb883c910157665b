"""Where the benchmark works: its folder, its venvs, the cores it binds to, how long it measures."""

from __future__ import annotations

import fcntl
import os
import platform
import resource
import shutil
import socket
import subprocess
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence

ROOT = Path(__file__).resolve().parent.parent.parent
FIXTURES = ROOT.parent / "shared" / "fixtures"
PACKAGE = "scripts.bench_parts"

OPEN_FILES = 8192


@dataclass(frozen=True)
class Lab:
    """`seconds` are those of one cell: one contender in one round."""

    folder: Path
    rounds: int
    seconds: int
    cores: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))

    def path(self, *parts: str) -> Path:
        """A file or folder of the lab; the folder around it is made."""
        made = self.folder.joinpath(*parts)
        made.parent.mkdir(parents=True, exist_ok=True)
        return made

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Without what an earlier run has left, and without another at the same time.

        Raises RuntimeError while there is one.
        """
        with self.path("lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RuntimeError(f"another benchmark runs in {self.folder}") from None
            for left in ("bodies", "logs", "run"):
                shutil.rmtree(self.path(left), ignore_errors=True)
            yield

    def python(self, venv: str) -> str:
        return str(self.folder / "venvs" / venv / "bin" / "python")

    def module(self, name: str, *arguments: object, venv: str = "own") -> List[str]:
        """The command that runs a module of this package in a venv."""
        return [self.python(venv), "-m", f"{PACKAGE}.{name}", *map(str, arguments)]


def bind(cores: int) -> None:
    """This process, and all that it starts from now on, to the first `cores` it may use."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    with suppress(ValueError):  # more than the hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


def environment(more: Optional[Mapping[str, str]] = None) -> Dict[str, str]:
    """For every process of the benchmark.

    Without EDGED_*, which edged takes for settings of its own. One thread in OpenBLAS, as
    edged has it, so that a process on each core is what it says.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EDGED_")}
    fixed = {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return {**kept, **fixed, **(more or {})}


def run(command: Sequence[str], log: Path) -> None:
    """Runs to the end; RuntimeError with the log's name when it fails."""
    with log.open("wb") as said:
        code = subprocess.call(
            command, cwd=ROOT, env=environment(), stdout=said, stderr=subprocess.STDOUT
        )
    if code != 0:
        raise RuntimeError(f"{' '.join(command)} failed, see {log}")


def fingerprint(*sources: Path) -> str:
    """Of the bytes of `sources`: what is made of them is made again when they change."""
    return f"{zlib.crc32(b''.join(source.read_bytes() for source in sources)):08x}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def machine() -> Dict[str, object]:
    """What a reader must know of the machine to make sense of its figures."""
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.lower().startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }
