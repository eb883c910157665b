"""Networks for the engine's tests: real ones, and tiny ones written by hand."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Callable, List, NamedTuple, Sequence, Tuple, Union

import numpy as np
import pytest

from edged.registry.spec import ModelFiles, ModelSpec
from edged.wire import EngineOptions
from edged.worker.engines import Array, Network, paddlelite
from tests.support import ROOT

_KINDS = {"int32": 2, "int64": 3, "float32": 5, "float64": 6, "uint8": 20}


class Tensor(NamedTuple):
    name: str
    shape: Tuple[int, ...] = (1, 3, 8, 8)
    dtype: str = "float32"


class Op(NamedTuple):
    type: str
    source: str
    target: str
    attributes: Sequence[Tuple[str, Union[bool, float]]] = ()


IMAGE = Tensor("image")
TWICE = (("scale", 2.0), ("bias", 1.0), ("bias_after_scale", True))
"""Attributes of the operator `scale` for 2 x + 1."""


def write_program(
    path: Path,
    ops: Sequence[Op],
    inputs: Sequence[Tensor] = (IMAGE,),
    outputs: Sequence[Tensor] = (Tensor("out"),),
    params: Sequence[str] = (),
) -> Path:
    """A ProgramDesc, and an empty `params` beside it; no operator takes the `params` it names."""
    block = _field(1, 0) + _field(2, -1) + _variable("feed", 9) + _variable("fetch", 10)
    for tensor in (*inputs, *outputs):
        block += _variable(tensor.name, 7, tensor)
    for name in params:
        block += _variable(name, 7, persistable=True)
    for column, tensor in enumerate(inputs):
        block += _op(Op("feed", "feed", tensor.name), (("col", column),))
    for op in ops:
        block += _op(op, op.attributes)
    for column, tensor in enumerate(outputs):
        block += _op(Op("fetch", tensor.name, "fetch"), (("col", column),))
    path.write_bytes(_field(1, block))
    path.with_name("params").write_bytes(b"")
    return path


def _variable(name: str, kind: int, tensor: Tensor = IMAGE, persistable: bool = False) -> bytes:
    body = _field(1, kind)
    if kind == 7:
        dims = b"".join(_field(2, size) for size in tensor.shape)
        body += _field(3, _field(1, _field(1, _KINDS[tensor.dtype]) + dims) + _field(2, 0))
    return _field(3, _field(1, name) + _field(2, body) + _field(3, int(kind != 7 or persistable)))


def _op(op: Op, attributes: Sequence[Tuple[str, Union[bool, float]]]) -> bytes:
    source = "Condition" if op.type == "where_index" else "X"
    body = _field(3, op.type) + _field(1, _field(1, source) + _field(2, op.source))
    body += _field(2, _field(1, "Out") + _field(2, op.target))
    for name, value in attributes:
        if isinstance(value, bool):
            described = _field(2, 6) + _field(10, int(value))
        elif isinstance(value, int):
            described = _field(2, 0) + _field(3, value)
        else:
            described = _field(2, 1) + _varint(4 << 3 | 5) + struct.pack("<f", value)
        body += _field(4, _field(1, name) + described)
    return _field(4, body)


def _field(number: int, value: Union[int, str, bytes]) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    body = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    groups: List[int] = []
    while True:
        value, group = value >> 7, value & 0x7F
        groups.append(group | (0x80 if value else 0))
        if not value:
            return bytes(groups)


def network_of(files: ModelFiles, size: Tuple[int, int] = (8, 8)) -> Network:
    return Network(files, size)


def spec_of(files: ModelFiles, size: Tuple[int, int] = (8, 8)) -> ModelSpec:
    """A whole model, for what is asked of a worker."""
    return ModelSpec(
        mid=1,
        name="model",
        task="classification",
        exporter="test",
        folder=str(Path(files.model).parent),
        files=files,
        preprocess=(),
        input_size=size,
    )


def options(cache: object, threads: int = 1, engine: str = "paddlelite") -> EngineOptions:
    return EngineOptions(engine, str(cache), threads, power_mode="high")


def combined(model: Path) -> ModelFiles:
    """A program as `write_program` leaves it."""
    return ModelFiles(kind="combined", model=str(model), params=str(model.with_name("params")))


def converted(network: Network, cache: Path) -> str:
    """The path of a network's `.nb`."""
    paddlelite.load(network, options(cache))
    (path,) = cache.glob("*.nb")
    return str(path)


def picture(value: float = 1.0, shape: Tuple[int, ...] = (1, 3, 8, 8)) -> Array:
    return np.full(shape, value, np.float32)


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """In a process of its own, which may crash."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=str(ROOT),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def exported(fixtures: Path) -> Path:
    """The folder of real models, as their exporters left them."""
    return fixtures / "models"


@pytest.fixture
def picodet(exported: Path) -> ModelFiles:
    folder = exported / "picodet_xs_320_coco"
    return ModelFiles(
        kind="combined",
        model=str(folder / "model.pdmodel"),
        params=str(folder / "model.pdiparams"),
    )


@pytest.fixture
def squeezenet(exported: Path) -> ModelFiles:
    return ModelFiles(kind="separate", model=str(exported / "squeezenet_v1_1"))


@pytest.fixture
def twice(tmp_path: Path) -> ModelFiles:
    """A network that answers 2 x + 1 for a picture of 1 x 3 x 8 x 8."""
    program = write_program(tmp_path / "model", [Op("scale", "image", "out", TWICE)])
    return combined(program)


@pytest.fixture
def engine(twice: ModelFiles, tmp_path: Path) -> paddlelite.PaddleLite:
    return paddlelite.load(network_of(twice), options(tmp_path / "cache"))


Copier = Callable[[ModelFiles], ModelFiles]


@pytest.fixture
def copied(tmp_path: Path) -> Copier:
    """Copies a network's files, for a test to damage them."""

    def copy(files: ModelFiles) -> ModelFiles:
        folder = tmp_path / "copy"
        folder.mkdir()
        source = Path(files.model)
        for path in source.iterdir() if files.params is None else (source, Path(files.params)):
            (folder / path.name).write_bytes(path.read_bytes())
        if files.params is None:
            return ModelFiles(kind=files.kind, model=str(folder))
        params = folder / Path(files.params).name
        return ModelFiles(kind=files.kind, model=str(folder / source.name), params=str(params))

    return copy
