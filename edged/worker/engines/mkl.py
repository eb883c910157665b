"""Intel's matrix library (MKL), which both engines bring along for x86-64.

It looks at a processor's maker before its features, and on any but Intel's takes its SSE2
kernels: MobileNetV3-S then takes 4.5 ms on Paddle Lite where AVX2 takes 2.7 (Paddle Inference
computes with oneDNN nearly always, and gains nothing). The switch that overrules it is its own,
and is read at the first multiplication; MKL has it until 2020.0, the engines' is of 2019.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

_SWITCH = "MKL_DEBUG_CPU_TYPE"
_AVX2 = "5"
_AVX2_FLAGS = frozenset({"avx2", "fma"})


@lru_cache(maxsize=None)  # once, not for each network
def prefer_avx2() -> None:
    """In this process and its children, if MKL would pass over it. Whoever has set the switch
    keeps what it says.
    """
    try:
        described = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return
    if passes_over_avx2(described):
        os.environ.setdefault(_SWITCH, _AVX2)


def passes_over_avx2(cpuinfo: str) -> bool:
    """Whether MKL would, on the processor that `/proc/cpuinfo` describes."""
    maker = re.search(r"^vendor_id\s*: (.+)$", cpuinfo, re.MULTILINE)
    flags = re.search(r"^flags\s*: (.+)$", cpuinfo, re.MULTILINE)
    if maker is None or flags is None or maker.group(1).strip() == "GenuineIntel":
        return False
    return frozenset(flags.group(1).split()) >= _AVX2_FLAGS
