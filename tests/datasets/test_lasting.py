"""What was answered outlasts the death of the process and the loss of power."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Optional

import pytest

from edged.errors import EdgedError
from tests.datasets.history import World
from tests.power_loss import record
from tests.support import ROOT, wait_for

_PROGRAM = [sys.executable, "-m", "tests.datasets.history"]


def _memory() -> Optional[Path]:
    """A folder that takes no time to sync, if there is one."""
    folder = Path("/dev/shm")
    return folder if os.access(folder, os.W_OK) else None


@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.slow)])
def test_a_killed_process_loses_nothing_that_it_answered(kills: int, tmp_path: Path) -> None:
    folder, output = tmp_path / "datasets", tmp_path / "said"
    world, chance = World(), random.Random(kills)
    for run in range(kills):
        with open(output, "wb") as said:
            process = subprocess.Popen([*_PROGRAM, folder, str(run), "1000"], cwd=ROOT, stdout=said)
        try:
            wait_for(lambda: output.stat().st_size > 0)
            time.sleep(chance.random() * 0.4)
            assert process.poll() is None
        finally:
            process.kill()
            assert process.wait() == -signal.SIGKILL
        world.check(folder, output.read_text())
    assert world.answered > 10 * kills  # or else nothing was tried


@pytest.mark.parametrize(("seed", "rounds"), [(0, 1), pytest.param(1, 4, marks=pytest.mark.slow)])
def test_a_power_cut_takes_nothing_that_was_answered(
    seed: int, rounds: int, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    recording = record(
        state, [*_PROGRAM, str(state / "datasets"), str(seed), str(rounds)], tmp_path
    )
    answered = 0
    with TemporaryDirectory(dir=_memory()) as cut:
        for crash in recording.crashes(Path(cut) / "state", seed):
            world = World()
            try:
                world.check(crash.folder / "datasets", crash.said)
            except (AssertionError, EdgedError, OSError) as error:
                raise AssertionError(crash.moment) from error
            answered = max(answered, world.answered)
    assert answered > 30 * rounds
