"""Daemons without models, which start at once: what is tested here comes before a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from tests.support import RunningDaemon

Serve = Callable[..., RunningDaemon]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory of the test's own, which nothing has made yet."""
    return tmp_path / "state"


@pytest.fixture
def serve(tmp_path: Path, state: Path) -> Iterator[Serve]:
    """Starts daemons, with settings as keywords."""
    (tmp_path / "models").mkdir()
    running: List[RunningDaemon] = []

    def start(**settings: object) -> RunningDaemon:
        folders: Dict[str, Any] = {"models": tmp_path / "models", "state": state}
        daemon = RunningDaemon(**{**folders, **settings})
        running.append(daemon)
        return daemon

    yield start
    logs = []
    for daemon in running:
        killed = daemon.process.poll() is not None
        daemon.process.terminate()
        status = daemon.process.wait(30)
        logs.append(daemon.log())
        daemon.close()
        assert killed or status == 0, logs
    for log in logs:
        for word in ("Traceback", "BlockingError", "never retrieved", "Warning", "internal error"):
            assert word not in log, log
