"""What tests of the daemon as a process share."""

from __future__ import annotations

import shutil
from functools import partial
from typing import Callable

import pytest

from tests.support import DEMO_MODELS, RunningDaemon


@pytest.fixture
def start_small(
    start_daemon: Callable[..., RunningDaemon], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., RunningDaemon]:
    """As `start_daemon`, with one model, which loads quickly: the digits (mid 1)."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(DEMO_MODELS / "digits", folder / "digits")
    return partial(start_daemon, models=folder)
