"""Intel's matrix library inside Paddle Lite's builds for x86, on processors of other makers.

It looks who made a processor before it looks what that can do, and multiplies with its
oldest kernels where it was not Intel: two thirds more for a network. The switch that
overrules it is its own (gone in MKL 2020.1, Paddle Lite has one of 2019), and read at the
first multiplication.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_SWITCH = "MKL_DEBUG_CPU_TYPE"
_AVX2 = "5"
_ENOUGH = frozenset({"avx2", "fma"})


def use_what_there_is() -> None:
    """AVX2 in this process and its children, if it would go unused. Whoever has set the
    switch, keeps what it says.
    """
    try:
        described = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return
    if neglects(described):
        os.environ.setdefault(_SWITCH, _AVX2)


def neglects(cpuinfo: str) -> bool:
    """Whether MKL would pass over the AVX2 of this processor; False where there is none."""
    maker = re.search(r"^vendor_id\s*: (.+)$", cpuinfo, re.MULTILINE)
    flags = re.search(r"^flags\s*: (.+)$", cpuinfo, re.MULTILINE)
    if maker is None or flags is None or maker.group(1).strip() == "GenuineIntel":
        return False
    return frozenset(flags.group(1).split()) >= _ENOUGH
