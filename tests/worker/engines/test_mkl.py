"""The kernels that the engines' matrix library takes on a processor that Intel did not make."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from edged.worker.engines import mkl
from tests.support import ROOT

_AMD = "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu sse2 fma avx avx2\n"

# What the library says it uses once a worker's engine is imported: 5 is AVX2.
_ASK = """
import ctypes
from pathlib import Path
from edged.worker.engines import warm
warm("paddlelite")
import paddlelite
library = Path(paddlelite.__file__).parent / "libs" / "libmklml_intel.so"
print("kernels", ctypes.CDLL(str(library)).mkl_serv_cpu_detect())
"""


def _kernels(**more: str) -> str:
    environment = {name: text for name, text in os.environ.items() if "MKL" not in name}
    asked = subprocess.run(
        [sys.executable, "-c", _ASK],
        env={**environment, **more},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return asked.stdout.split("kernels ")[1].strip()


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not mkl.passes_over_avx2(Path("/proc/cpuinfo").read_text()),
    reason="MKL uses all that this processor has, or there is no MKL for it",
)
class TestHere:
    @pytest.fixture(autouse=True)
    def _there_is_paddle_lite(self) -> None:
        pytest.importorskip("paddlelite.lite", reason="no Paddle Lite for this Python")

    def test_a_worker_multiplies_with_avx2(self) -> None:
        assert _kernels() == "5"

    def test_who_has_chosen_keeps_the_choice(self) -> None:
        assert _kernels(MKL_DEBUG_CPU_TYPE="3") == "3"


def test_avx2_of_another_maker_is_passed_over() -> None:
    assert mkl.passes_over_avx2(_AMD)
    assert mkl.passes_over_avx2(_AMD.replace("AuthenticAMD", "HygonGenuine"))


@pytest.mark.parametrize(
    "cpuinfo",
    [
        _AMD.replace("AuthenticAMD", "GenuineIntel"),
        _AMD.replace("avx2", ""),
        _AMD.replace("fma", "fma4"),
        "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n",
        "",
    ],
    ids=["intel", "no avx2", "no fma", "arm", "nothing"],
)
def test_elsewhere_nothing_is_overruled(cpuinfo: str) -> None:
    assert not mkl.passes_over_avx2(cpuinfo)
