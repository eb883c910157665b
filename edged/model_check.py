"""A model's folder in words, for the commands."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import msgspec

from edged.daemon.engines import readers
from edged.errors import EngineError
from edged.network_tool import Described, describe
from edged.registry.entry import Entry, look, look_into
from edged.registry.spec import ModelFiles, ModelSpec, Reading, Step

_MOST_LABELS = 5


@contextmanager
def looked_at(path: Path) -> Iterator[Entry]:
    """The folder `path`, or the zip, which is unpacked for as long as the command takes."""
    if path.is_dir():
        yield look(path)
        return
    with tempfile.TemporaryDirectory(prefix="edged-") as scratch:
        yield look_into(path, Path(scratch))


def described(entry: Entry) -> List[Optional[Described]]:
    """What each network says of itself, in the order of `ModelSpec.networks`.

    None when that cannot be had: serving it says why.
    """
    return [_described(files) for files in entry.spec.networks] if entry.spec else []


def _described(files: ModelFiles) -> Optional[Described]:
    try:
        return describe(files)
    except EngineError:
        return None


def report(entry: Entry, networks: Sequence[Optional[Described]]) -> List[str]:
    """Lines for a person, one of what was recognised and one for each part of it."""
    spec = entry.spec
    if spec is None:
        return [f"{entry.name}: from {entry.exporter or 'no known exporter'}"]
    rows = [
        *(
            row
            for files, network in zip(spec.networks, networks)
            for row in _network_rows(spec, files, network)
        ),
        ("labels", "" if spec.reading else _labels(spec.labels)),
        *(_reading_rows(spec.reading) if spec.reading else ()),
        ("threshold", "" if spec.task == "segmentation" else f"{spec.threshold:g}"),
        *((f"step {number}", step_text(step)) for number, step in enumerate(spec.preprocess, 1)),
    ]
    head = f"{entry.name}: {spec.task}, input {size_text(spec)}, from {spec.exporter}"
    return [head, *(f"  {name:<10} {text}" for name, text in rows if text)]


def size_text(spec: ModelSpec) -> str:
    return "any" if spec.input_size is None else "{}x{}".format(*spec.input_size)


def step_text(step: Step) -> str:
    """`resize width 320, height 320, interp cubic`"""
    options: Dict[str, Any] = msgspec.to_builtins(step)
    op = options.pop("op")
    said = ", ".join(f"{name} {_value(value)}" for name, value in options.items())
    return f"{op} {said}".rstrip()


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(_value, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _network_rows(
    spec: ModelSpec, files: ModelFiles, network: Optional[Described]
) -> List[Tuple[str, str]]:
    return [
        ("network", ", ".join(_names(Path(spec.folder), files))),
        ("made for", _made_for(files, network)),
        ("inputs", _shapes(network.inputs) if network else ""),
        ("outputs", _shapes(network.outputs) if network else ""),
    ]


def _names(folder: Path, files: ModelFiles) -> List[str]:
    """Of the files, from the model's folder on."""
    root = os.path.realpath(folder)
    if files.kind == "separate":
        path = os.path.relpath(os.path.join(files.model, "__model__"), root)
        return [f"{path} and a file for each parameter"]
    paths = (files.model, files.params)
    return [os.path.relpath(path, root) for path in paths if path is not None]


def _reading_rows(reading: Reading) -> List[Tuple[str, str]]:
    height = reading.line_height
    return [
        ("letters", str(len(reading.letters))),
        ("lines", "as high as the network says" if height is None else f"{height} pixels high"),
        ("languages", ", ".join(reading.languages)),
    ]


def _made_for(files: ModelFiles, network: Optional[Described]) -> str:
    if files.kind != "nb":
        return f"any machine with {' or '.join(readers(files))}"
    if network is None:
        return ""
    kinds = ", ".join(network.precisions)
    return f"{' and '.join(network.targets)} ({kinds}), by Paddle Lite {network.version}"


def _shapes(shapes: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())


def _labels(labels: Sequence[str]) -> str:
    if not labels:
        return "none: classes are numbers"
    more = ", ..." if len(labels) > _MOST_LABELS else ""
    return f"{len(labels)}: " + ", ".join(labels[:_MOST_LABELS]) + more
