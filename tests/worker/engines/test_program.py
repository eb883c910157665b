"""What is read of a full model's program, before Paddle Lite sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edged.errors import EngineError
from edged.registry import program
from edged.registry.spec import ModelFiles
from tests.worker.engines.conftest import Copier, Tensor, write_program


def test_a_truncated_program(picodet: ModelFiles, copied: Copier) -> None:
    files = copied(picodet)
    whole = Path(files.model).read_bytes()
    for size in (0, 1, 1000, 100_000, len(whole) - 1):
        Path(files.model).write_bytes(whole[:size])
        with pytest.raises(EngineError, match=r"^model\.pdmodel is cut short, or not a Paddle pro"):
            program.read(files.model)


def test_a_program_in_the_newer_form(tmp_path: Path) -> None:
    path = tmp_path / "inference.json"
    path.write_text(json.dumps({"base_code": {"magic": "pir"}, "program": {}}))
    with pytest.raises(
        EngineError,
        match=r"inference\.json .*re-export with FLAGS_enable_pir_api=0, or use the paddle",
    ):
        program.read(str(path))


@pytest.mark.parametrize(
    # The first is a field of -11 bytes, which ends where it began.
    "content",
    [b"\x0a\xf5" + 8 * b"\xff" + b"\x01", b"text", b"\x80"],
)
def test_other_files_for_a_program(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(EngineError, match="model is cut short, or not a Paddle program"):
        program.read(str(path))


def test_what_a_program_says(picodet: ModelFiles, squeezenet: ModelFiles, tmp_path: Path) -> None:
    network = program.read(picodet.model)
    assert network.inputs == {"image": (1, 3, 320, 320), "scale_factor": (1, 2)}
    network = program.read(f"{squeezenet.model}/__model__")
    assert network.inputs == {"data": (-1, 3, 227, 227)}
    assert set(network.params) == {
        path.name for path in Path(squeezenet.model).iterdir() if path.name[:4] in ("conv", "fire")
    }
    path = write_program(tmp_path / "model", [], inputs=[Tensor("a"), Tensor("b", (1, 2))])
    assert program.read(str(path)) == program.Program(
        {"a": (1, 3, 8, 8), "b": (1, 2)}, (), {"out": (1, 3, 8, 8)}
    )
