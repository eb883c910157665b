"""Which engines a model is tried on: those that are installed and read its files."""

from __future__ import annotations

import importlib.util
from typing import Tuple

import pytest

from edged.daemon.engines import ENGINES, candidates
from edged.registry.spec import EngineChoice, ModelFiles
from tests.worker.engines.conftest import spec_of

INSTALLED = [name for name in ENGINES if importlib.util.find_spec(name) is not None]
PIR = ModelFiles("combined", "/m/inference.json", "/m/inference.pdiparams")
PROGRAM = ModelFiles("combined", "/m/inference.pdmodel", "/m/inference.pdiparams")
NB = ModelFiles("nb", "/m/model.nb")


def installed(*names: str) -> Tuple[str, ...]:
    """Of an engine's names those that are installed; all of them where none is."""
    return tuple(name for name in names if name in INSTALLED) or names


@pytest.mark.parametrize(
    ("files", "engines"),
    [(PROGRAM, ("paddlelite", "paddle")), (PIR, ("paddle",)), (NB, ("paddlelite",))],
)
def test_auto_is_whoever_reads_the_files(files: ModelFiles, engines: Tuple[str, ...]) -> None:
    assert candidates("auto", spec_of(files)) == installed(*engines)


@pytest.mark.parametrize("choice", ["paddlelite", "paddle"])
def test_an_engine_that_is_named_is_the_only_one(choice: EngineChoice) -> None:
    assert candidates(choice, spec_of(PIR)) == (choice,)


def test_every_engine_has_a_module() -> None:
    for name in ENGINES:
        assert importlib.util.find_spec(f"edged.worker.engines.{name}") is not None
