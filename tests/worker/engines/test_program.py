"""What is read of a full model's program, before Paddle Lite sees it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edged.errors import EngineError
from edged.registry import program
from edged.registry.spec import ModelFiles
from tests.worker.engines.conftest import Copier, Tensor, run_python, write_program


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
    [b"\x0a\xf5" + 8 * b"\xff" + b"\x01", b"text", b"\x80", b"\x80" * 11 + b"\x01"],
)
def test_other_files_for_a_program(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(EngineError, match="model is cut short, or not a Paddle program"):
        program.read(str(path))


def repeated(field: bytes, size: int) -> bytes:
    """A block of nothing but such fields, as the one message of a program."""
    block = field * (size // len(field))
    length = b"".join(bytes([len(block) >> shift & 0x7F | 0x80]) for shift in (0, 7, 14, 21))
    return b"\x0a" + length + b"\x00" + block


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x0a" * ((16 << 20) + 1), "larger than 16777216 bytes"),
        (repeated(b"\x22\x00", 4 << 20), "not a Paddle program"),  # operators
        (repeated(b"\x1a\x04\x0a\x00\x12\x00", 4 << 20), "not a Paddle program"),  # variables
        (b"\xff" * (4 << 20), "not a Paddle program"),  # a number without an end
    ],
)
def test_a_program_that_would_take_long_is_refused_soon(
    tmp_path: Path, content: bytes, said: str
) -> None:
    """In a process whose time and memory are limited: it is the daemon's own."""
    (tmp_path / "model").write_bytes(content)
    done = run_python(LIMITED, tmp_path / "model")
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


LIMITED = """
import resource, sys
from edged.errors import EngineError
from edged.registry import program
resource.setrlimit(resource.RLIMIT_CPU, (8, 8))
resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))
try:
    program.read(sys.argv[1])
except EngineError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/dev/zero", "the parameter /dev/zero leads out of the model's folder"),
        ("../weights", r"the parameter \.\./weights leads out of the model's folder"),
        ("link", "the parameter link leads out of the model's folder"),
        ("queue", "the parameter queue is not a file"),
        ("gone", "the parameter gone is missing"),
        ("", "the parameter '' is not a file name"),
    ],
)
def test_parameters_are_files_in_the_models_folder(tmp_path: Path, name: str, said: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "weights").touch()
    (folder / "link").symlink_to("../weights")
    os.mkfifo(folder / "queue")
    write_program(folder / "__model__", [], params=[name])
    with pytest.raises(EngineError, match=said):
        program.of(ModelFiles("separate", str(folder)))
    files = ModelFiles("combined", str(folder / "__model__"), str(folder / "params"))
    assert program.of(files).params == (name,)  # of which it names no file


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
