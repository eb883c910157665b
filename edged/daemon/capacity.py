"""How many workers and threads a model gets, by the cores and the memory there are."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import NamedTuple

from edged.registry.spec import ModelFiles, ModelSpec

# The fork server with the engine's library, and what a worker adds before its model; measured
# on x86-64 by scripts/measure_engines.py.
_FORK_SERVER_BYTES = {"paddlelite": 50 << 20, "paddle": 300 << 20}
_WORKER_BYTES = {"paddlelite": 24 << 20, "paddle": 80 << 20}
# Weights, their optimised copy and the activations, as a multiple of the files.
_MODEL_FACTOR = 4
# What a kind of model needs beyond that: OCR's activations are larger than its weights, 450 MB
# for a detector of text at 960 x 960 and 150 for the recognition of long lines, on Paddle Lite.
_TASK_BYTES = {"ocr": 600 << 20}
# The rest stays free for the daemon, the page cache and everyone else.
_MEMORY_SHARE = 0.8
_MOST_THREADS = 4
_MOST_WORKERS = 4


class Share(NamedTuple):
    instances: int
    threads: int


class Machine(NamedTuple):
    """`available` is the memory in bytes that is free; `arm` is whether this is such a CPU."""

    cores: int
    available: int
    arm: bool


def this_machine() -> Machine:
    """As it is now. Blocks on the disk."""
    arm = platform.machine() in ("aarch64", "armv7l")
    return Machine(len(os.sched_getaffinity(0)), _available_memory(), arm)


def share_of(spec: ModelSpec, engine: str, models: int, machine: Machine) -> Share:
    """What one of `models` models gets of `machine`. Blocks on the disk.

    One worker, whose engine's threads use the cores; only Paddle Lite on x86 has no
    threads, so there it is workers that use them. Never more than memory carries.
    """
    has_threads = engine == "paddle" or machine.arm
    cores = max(1, machine.cores // models)
    instances = spec.instances or (1 if has_threads else min(cores, _MOST_WORKERS))
    need = _WORKER_BYTES[engine] + _MODEL_FACTOR * _size(spec) + _TASK_BYTES.get(spec.task, 0)
    free = machine.available * _MEMORY_SHARE - _FORK_SERVER_BYTES[engine]
    instances = max(1, min(instances, int(free / models / need)))
    threads = max(1, min(cores // instances, _MOST_THREADS)) if has_threads else 1
    return Share(instances, spec.threads or threads)


def _available_memory() -> int:
    """MemAvailable in bytes."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, value = line.split(":")
        if name == "MemAvailable":
            return int(value.split()[0]) << 10
    raise OSError("/proc/meminfo has no MemAvailable")


def _size(spec: ModelSpec) -> int:
    """Bytes of the networks' files."""
    return sum(_size_of(files) for files in spec.networks)


def _size_of(files: ModelFiles) -> int:
    model = Path(files.model)
    if model.is_dir():
        return sum(entry.stat().st_size for entry in model.iterdir() if entry.is_file())
    params = Path(files.params).stat().st_size if files.params else 0
    return model.stat().st_size + params
