"""What may import and call what: the daemon stays light, the worker stays free of HTTP."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Set

import pytest

from tests.support import ROOT

_ENGINES = {"numpy", "cv2", "paddlelite", "paddle", "simplejpeg", "PIL"}
_HTTP = {"aiohttp", "uvloop", "asyncio"}


def loaded_by(module: str) -> Set[str]:
    """The modules that a fresh interpreter has after an import."""
    code = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("edged.daemon.app", _ENGINES),
        ("edged.cli", _ENGINES),
        ("edged.client", _ENGINES),
        ("edged.registry.registry", _ENGINES | _HTTP),
        ("edged.datasets.store", _ENGINES | _HTTP),
        ("edged.wire", _ENGINES | _HTTP),
        ("edged.worker.main", _HTTP | {"yaml", "edged.daemon", "edged.config"}),
        ("edged.worker.zygote", _HTTP | {"yaml", "edged.daemon", "edged.config"}),
        ("edged.worker.engines.paddlelite", _HTTP | {"yaml", "edged.daemon", "edged.config"}),
    ],
)
def test_what_it_does_not_load(module: str, forbidden: Set[str]) -> None:
    assert loaded_by(module) & forbidden == set()


def test_the_forbidden_are_there_where_they_belong() -> None:
    """So that the test above cannot pass for want of a name."""
    assert {"aiohttp", "asyncio"} <= loaded_by("edged.daemon.app")
    assert {"numpy", "cv2", "simplejpeg"} <= loaded_by("edged.worker.main")


def test_the_loop_is_given_no_pipes() -> None:
    """uvloop closes a pipe's descriptor twice: libuv does, then the file object. A thread that
    opens a file between the two loses it. Of sockets there is one close.
    """
    called = [
        path.name
        for path in (ROOT / "edged").rglob("*.py")
        if re.search(r"connect_(read|write)_pipe", path.read_text())
    ]
    assert called == []
