"""The `.nb` file, an optimised Paddle Lite model: for which machine it was made.

Paddle Lite loads a file made for another machine without a word and then answers
NaN or crashes, and aborts the process on a file cut short. Both are to be seen here
before it is asked.

Layout (little-endian): u16 meta version, char[16] version of the tool that wrote it,
u64 size of the topology, the topology (a flatbuffer); then, in meta version 2, the
parameters, each behind its own size. The kernels are named in the topology,
`operator/alias/target/precision/layout`.
"""

from __future__ import annotations

import os
import platform
import re
import struct
from pathlib import Path
from typing import BinaryIO, Dict, FrozenSet, NamedTuple, Set, Tuple

from edged.errors import EngineError

_HEADER = struct.Struct("<H16sQ")
_PARAMS = struct.Struct("<HH")  # version, size of what follows and is skipped
_PARAMS_HEADER = struct.Struct("<HH")  # bytes that follow this field, how many parameters
_SIZE = struct.Struct("<I")

# A whole string of the flatbuffer: behind its length (a key is shorter than 256), up to NUL.
_KERNEL = re.compile(rb"\0\0\0\w+/\w+/(\d{1,2})/(\d{1,2})/\d{1,2}\0")

_TARGETS = {1: "host", 2: "x86", 3: "CUDA", 4: "ARM", 5: "OpenCL", 6: "any", 7: "FPGA"}
_TARGETS.update({8: "NPU", 9: "XPU", 10: "BM", 11: "MLU", 12: "RKNPU", 13: "APU"})
_TARGETS.update({14: "Ascend NPU", 15: "Imagination NNA", 16: "Intel FPGA", 17: "Metal"})
_TARGETS.update({18: "NNAdapter"})
_PRECISIONS = {1: "fp32", 2: "int8", 3: "int32", 4: "any", 5: "fp16", 6: "bool", 7: "int64"}
_PRECISIONS.update({8: "int16", 9: "uint8", 10: "fp64"})

_SUPPORTED_META = (1, 2)
_X86 = frozenset({"x86_64", "amd64", "i386", "i686"})
_PORTABLE = frozenset({"host", "any"})


class NbHeader(NamedTuple):
    """What a file says of itself.

    `meta_version` is the layout: 0 was written up to Paddle Lite 2.6, 1 and 2 since.
    `opt_version` is the version that wrote the file, such as `v2.12`. `targets` are
    the machines it has kernels for, `host` (plain C++, on any machine) left out unless
    there is no other; `precisions` what those kernels compute in (`any`: those that
    only move data).
    """

    meta_version: int
    opt_version: str
    targets: Tuple[str, ...]
    precisions: Tuple[str, ...]


def read(path: str) -> NbHeader:
    """Raises EngineError when the file cannot be read, is none of these, or is cut short."""
    name = Path(path).name
    try:
        with open(path, "rb") as file:
            return _read(file, name)
    except OSError as error:
        raise EngineError(f"cannot read {name}: {error.strerror}") from error


def check(path: str, machine: str = "") -> NbHeader:
    """The header of a file that this machine can run; EngineError with the reason otherwise.

    `machine` is as of `platform.machine()`, which is the default.
    """
    header = read(path)
    name = Path(path).name
    if header.meta_version not in _SUPPORTED_META:
        raise EngineError(
            f"{name} has meta version {header.meta_version}, Paddle Lite reads 1 and 2:"
            " convert the model anew"
        )
    machine = machine or platform.machine()
    if not frozenset(header.targets) <= _runnable(machine):
        made_for = " and ".join(header.targets)
        raise EngineError(f"{name} is made for {made_for}, this machine is {_readable(machine)}")
    return header


def host_target(machine: str = "") -> str:
    """What Paddle Lite's converter calls this machine: `x86` or `arm`. Raises EngineError."""
    machine = machine or platform.machine()
    if machine.lower() in _X86:
        return "x86"
    if machine.lower().startswith(("aarch64", "arm")):
        return "arm"
    raise EngineError(f"Paddle Lite has no kernels for this machine, {machine}")


def _runnable(machine: str) -> FrozenSet[str]:
    if host_target(machine) == "x86":
        return _PORTABLE | {"x86"}
    # A vendor's build may carry kernels for the board's own accelerator.
    return frozenset(_TARGETS.values()) - {"x86", "CUDA"}


def _readable(machine: str) -> str:
    return {"x86_64": "x86-64", "amd64": "x86-64"}.get(machine.lower(), machine)


def _read(file: BinaryIO, name: str) -> NbHeader:
    size = os.fstat(file.fileno()).st_size
    start = file.read(_HEADER.size)
    if len(start) < _HEADER.size:
        raise EngineError(f"{name} is not an .nb model: only {size} bytes")
    meta_version, tool, topology_size = _HEADER.unpack(start)
    opt_version = tool.split(b"\0")[0].decode("ascii", "replace")
    if meta_version == 0:  # of another build altogether: nothing below holds
        return NbHeader(0, opt_version, (), ())
    if meta_version not in _SUPPORTED_META or not opt_version.isprintable():
        raise EngineError(f"{name} is not an .nb model")
    if _HEADER.size + topology_size > size:
        raise EngineError(f"{name} is cut short at {size} bytes")
    kernels = _kernels(file.read(topology_size))
    if not kernels:
        raise EngineError(f"{name} is not an .nb model: it names no kernels")
    if meta_version == 2:
        _check_params(file, size, name)
    targets = _names(_TARGETS, {target for target, _ in kernels})
    precisions = _names(_PRECISIONS, {precision for _, precision in kernels})
    special = tuple(target for target in targets if target not in _PORTABLE)
    return NbHeader(meta_version, opt_version, special or targets, precisions)


def _kernels(topology: bytes) -> Set[Tuple[int, int]]:
    """(target, precision) of each kernel."""
    return {(int(match[1]), int(match[2])) for match in _KERNEL.finditer(topology)}


def _names(table: Dict[int, str], numbers: Set[int]) -> Tuple[str, ...]:
    return tuple(table.get(number, f"unknown ({number})") for number in sorted(numbers))


def _check_params(file: BinaryIO, size: int, name: str) -> None:
    """Walks the parameters by their sizes: the last one has to end within the file."""
    try:
        _, skipped = _take(file, _PARAMS)
        file.seek(skipped, os.SEEK_CUR)
        header_size, count = _take(file, _PARAMS_HEADER)
        file.seek(header_size - 2, os.SEEK_CUR)
        for _ in range(count):
            (param_size,) = _take(file, _SIZE)
            file.seek(param_size, os.SEEK_CUR)
    except struct.error:
        raise EngineError(f"{name} is cut short at {size} bytes") from None
    if file.tell() > size:
        raise EngineError(f"{name} is cut short at {size} bytes")


def _take(file: BinaryIO, layout: struct.Struct) -> Tuple[int, ...]:
    return layout.unpack(file.read(layout.size))
