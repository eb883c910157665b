"""Memory and CPU time of real processes, by /proc."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Iterator, List

import pytest

from edged.daemon.usage import Usage
from tests.support import wait_for

PSS, CPU = "edged_model_pss_bytes", "edged_model_cpu_seconds_total"
# Some CPU time and 50 MB of its own; then it says so and waits.
BUSY = """
held = bytearray(b"x") * 50_000_000
import time
while time.process_time() < 0.3: pass
print(flush=True)
input()
"""


@pytest.fixture
def busy() -> Iterator[List[subprocess.Popen[bytes]]]:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    yield processes
    for process in processes:
        process.communicate()


def test_of_all_processes_of_a_model(busy: List[subprocess.Popen[bytes]]) -> None:
    first, second = (process.pid for process in busy)
    read = Usage().read({"1": [first, second], "2": [first], "3": []})
    assert read[PSS]["1",] > read[PSS]["2",] >= 50_000_000
    assert ("3",) not in read[PSS]
    assert read[CPU]["1",] > read[CPU]["2",] >= 0.29
    assert read[CPU]["3",] == 0


def test_cpu_time_does_not_fall_with_a_process(busy: List[subprocess.Popen[bytes]]) -> None:
    first, second = (process.pid for process in busy)
    usage = Usage()
    both = usage.read({"1": [first, second]})[CPU]["1",]
    one = usage.read({"1": [second]})
    assert one[CPU]["1",] == both
    assert usage.read({"1": []})[CPU]["1",] == both
    # One that comes is new, whole.
    assert usage.read({"1": [os.getpid()]})[CPU]["1",] > both


def test_a_process_that_has_ended(busy: List[subprocess.Popen[bytes]]) -> None:
    process, _ = busy
    process.kill()
    process.wait()
    wait_for(lambda: not os.path.exists(f"/proc/{process.pid}"))
    read = Usage().read({"1": [process.pid]})
    assert ("1",) not in read[PSS]
    assert read[CPU]["1",] == 0
