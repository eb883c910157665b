"""How many workers and threads a model gets, by the cores and the memory there are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from edged.registry.spec import ModelSpec

# A worker forked from the warm process, without its model (measured: 31 MB with one of 10).
_WORKER_BYTES = 24 << 20
# Weights, their optimised copy and the activations, as a multiple of the files.
_MODEL_FACTOR = 4
# What must stay free for the daemon, the page cache and everyone else.
_MEMORY_SHARE = 0.8
_MOST_THREADS = 4


class Share(NamedTuple):
    instances: int
    threads: int


def share_of(spec: ModelSpec, models: int) -> Share:
    """What one of `models` models gets on this machine, as it is now. Blocks on the disk."""
    return divide(spec, models, len(os.sched_getaffinity(0)), _available_memory())


def divide(spec: ModelSpec, models: int, cores: int, available: int) -> Share:
    """The share of one of `models` models in `cores` and `available` bytes of memory.

    Two workers overlap decoding and running and survive each other's deaths; cores
    beyond them make a single picture faster, as threads of the engine.
    """
    instances = spec.instances or max(1, min(2, cores // models))
    need = _WORKER_BYTES + _MODEL_FACTOR * _size(spec)
    carried = int(available * _MEMORY_SHARE / models / need)
    instances = max(1, min(instances, carried))
    threads = spec.threads or max(1, min(_MOST_THREADS, cores // (instances * models)))
    return Share(instances, threads)


def _available_memory() -> int:
    """MemAvailable in bytes."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, value = line.split(":")
        if name == "MemAvailable":
            return int(value.split()[0]) << 10
    raise OSError("/proc/meminfo has no MemAvailable")


def _size(spec: ModelSpec) -> int:
    """Bytes of the network's files."""
    model = Path(spec.files.model)
    if model.is_dir():
        return sum(entry.stat().st_size for entry in model.iterdir() if entry.is_file())
    params = Path(spec.files.params).stat().st_size if spec.files.params else 0
    return model.stat().st_size + params
