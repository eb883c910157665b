"""How many threads Paddle Lite has where it takes no setting for it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from tests.support import DEMO_MODELS, ROOT

# What a worker does with the demo detector, and the threads it then has.
_ASK = """
import os, sys
from pathlib import Path
from edged.registry.registry import survey
from edged.wire import EngineOptions
from edged.worker.engines import loader
from edged.worker.tasks import TASKS
models, state = map(Path, sys.argv[1:])
(spec,) = [one.entry.spec for one in survey(models, state) if one.entry.name == "digits"]
TASKS[spec.task](spec, loader(EngineOptions("paddlelite", str(state), 1, "no_bind")))
print("threads", len(os.listdir("/proc/self/task")))
"""


def _threads(state: object, **more: str) -> int:
    environment = {name: text for name, text in os.environ.items() if "OMP" not in name}
    asked = subprocess.run(
        [sys.executable, "-c", _ASK, str(DEMO_MODELS), str(state)],
        env={**environment, "OPENBLAS_NUM_THREADS": "1", **more},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return int(asked.stdout.split("threads ")[1])


@pytest.mark.skipif(
    platform.machine() != "x86_64" or len(os.sched_getaffinity(0)) < 2,
    reason="there are no threads of OpenMP that nobody asked for",
)
class TestHere:
    @pytest.fixture(autouse=True)
    def _there_is_paddle_lite(self) -> None:
        pytest.importorskip("paddlelite.lite", reason="no Paddle Lite for this Python")

    def test_there_is_one(self, tmp_path: object) -> None:
        assert _threads(tmp_path) == 1

    def test_who_has_chosen_keeps_the_choice(self, tmp_path: object) -> None:
        assert _threads(tmp_path, OMP_NUM_THREADS="2") == 2
