"""How many workers and threads a model gets, by the cores and the memory there are."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import NamedTuple

from edged.daemon.engines import ENGINES
from edged.registry.spec import ModelFiles, ModelSpec

# Weights, their optimised copy and what else a graph has, as a multiple of the files.
_MODEL_FACTOR = 4
# Activations, by a pixel of the input: those of PicoDet, the most of what was measured.
_BYTES_A_PIXEL = 800
# OCR's: 450 MB for a detector of text at 960 x 960 and 150 for the recognition of long lines, on
# Paddle Lite.
_OCR_BYTES = 600 << 20
# The rest stays free for the daemon, the page cache and everyone else.
_MEMORY_SHARE = 0.8
_MOST_THREADS = 4
_MOST_WORKERS = 4


class Share(NamedTuple):
    """`decode_ahead`: its workers leave a core that may be free to decode the next picture."""

    instances: int
    threads: int
    decode_ahead: bool


class Machine(NamedTuple):
    """`available` is the memory in bytes that is free; `arm` is whether this is such a CPU."""

    cores: int
    available: int
    arm: bool


def this_machine() -> Machine:
    """As it is now. Blocks on the disk."""
    arm = platform.machine().startswith(("aarch64", "arm"))
    return Machine(len(os.sched_getaffinity(0)), _available_memory(), arm)


def least_need(spec: ModelSpec, engine: str) -> int:
    """Bytes without which a worker cannot be. Blocks on the disk."""
    return ENGINES[engine].worker // 2 + _size(spec)


def share_of(spec: ModelSpec, engine: str, models: int, machine: Machine) -> Share:
    """What one of `models` models gets of `machine`. Blocks on the disk.

    One worker, whose engine's threads use the cores; only Paddle Lite on x86 has no
    threads, so there it is workers that use them. More than one only as memory carries.
    """
    traits = ENGINES[engine]
    has_threads = traits.threads_on_x86 or machine.arm
    cores = max(1, machine.cores // models)
    instances = spec.instances or (1 if has_threads else min(cores, _MOST_WORKERS))
    need = traits.worker + _MODEL_FACTOR * _size(spec) + _activations(spec)
    free = machine.available * _MEMORY_SHARE - traits.fork_server
    instances = max(1, min(instances, int(free / models / need)))
    threads = max(1, min(cores // instances, _MOST_THREADS)) if has_threads else 1
    return Share(instances, spec.threads or threads, decode_ahead=instances < machine.cores)


def _activations(spec: ModelSpec) -> int:
    if spec.input_size is None:
        return _OCR_BYTES
    width, height = spec.input_size
    return _BYTES_A_PIXEL * width * height


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
