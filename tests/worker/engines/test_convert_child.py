"""The child that a conversion runs in: its end, its words, its time."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from edged.worker.engines import convert
from tests.support import ROOT
from tests.worker.engines.conftest import run_python


def test_a_child_out_of_time_is_killed_and_reaped() -> None:
    def hang() -> None:
        os.write(1, str(os.getpid()).encode())
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        time.sleep(60)

    began = time.monotonic()
    status, log = convert.run_apart(hang, 0.3)
    assert status is None
    assert time.monotonic() - began < 5
    with pytest.raises(ProcessLookupError):
        os.kill(int(log), 0)


def test_a_childs_end_and_its_words() -> None:
    def fail() -> None:
        raise MemoryError("none left")

    assert convert.run_apart(lambda: None, 5) == (0, "")
    status, log = convert.run_apart(fail, 5)
    assert (status, log) == (1 << 8, "MemoryError('none left')")
    status, _ = convert.run_apart(os.abort, 5)
    assert status is not None
    assert os.WTERMSIG(status) == signal.SIGABRT


def test_a_traceback_of_python_is_no_word_of_the_childs() -> None:
    code = """
import faulthandler, os
from edged.worker.engines import convert
faulthandler.enable()
print(convert.run_apart(os.abort, 5))
"""
    assert run_python(code).stdout == f"({int(signal.SIGABRT)}, '')\n"


def test_the_child_dies_with_the_worker() -> None:
    code = """
import os, time
from edged.worker.engines import convert
out = os.dup(1)
def hang():
    os.write(out, str(os.getpid()).encode() + b"\\n")
    time.sleep(60)
convert.run_apart(hang, 60)
"""
    worker = subprocess.Popen([sys.executable, "-c", code], cwd=str(ROOT), stdout=subprocess.PIPE)
    assert worker.stdout is not None
    int(worker.stdout.readline())
    worker.kill()
    worker.wait(10)
    # The child holds the other end of this pipe for as long as it lives.
    began = time.monotonic()
    assert worker.stdout.read() == b""
    assert time.monotonic() - began < 10
    worker.stdout.close()


def test_no_core_is_dumped() -> None:
    def limit() -> None:
        os.write(1, str(resource.getrlimit(resource.RLIMIT_CORE)).encode())

    assert convert.run_apart(limit, 5)[1] == "(0, 0)"
