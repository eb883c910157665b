"""The program of a full Paddle model: what it takes, and which parameters it has.

Paddle Lite reads a program that was cut short as a shorter one, without a word, and
aborts the process on the newer JSON form. The file is a protobuf (`framework.proto`),
of which a handful of fields are read here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

from edged.errors import EngineError
from edged.registry.spec import ModelFiles

_FEED_LIST, _FETCH_LIST, _RAW = 9, 10, 17  # kinds of variables that are no tensors


class Program(NamedTuple):
    """`inputs` and `outputs` are name -> shape, -1 for what is free.

    `params` are the names of the parameters, and of their files where each has one.
    """

    inputs: Dict[str, Tuple[int, ...]]
    params: Tuple[str, ...]
    outputs: Dict[str, Tuple[int, ...]]


def of(files: ModelFiles) -> Program:
    """As `read`. The program of files that are not an `.nb`."""
    separate = files.kind == "separate"
    return read(f"{files.model}/__model__" if separate else files.model)


def read(path: str) -> Program:
    """Raises EngineError when the file cannot be read or is not such a program."""
    name = Path(path).name
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise EngineError(f"cannot read {name}: {error.strerror}") from error
    if data.startswith(b"{"):
        raise EngineError(
            f"{name} is in the PIR format, which Paddle Lite cannot read:"
            " re-export with FLAGS_enable_pir_api=0, or use the paddle engine"
        )
    try:
        program = _parse(memoryview(data))
    except (IndexError, KeyError, ValueError):
        raise EngineError(f"{name} is cut short, or not a Paddle program") from None
    if not program.inputs:
        raise EngineError(f"{name} has no inputs")
    return program


def picture_size(inputs: Mapping[str, Sequence[int]]) -> Tuple[int, int]:
    """(width, height) of the one picture that is taken, 0 for what is free or not to be known."""
    shapes = list(inputs.values())
    if len(shapes) != 1 or len(shapes[0]) != 4:
        return 0, 0
    *_, height, width = shapes[0]
    return max(width, 0), max(height, 0)


def _parse(data: memoryview) -> Program:
    main = _bodies(data, 1)[0]
    kinds: Dict[str, memoryview] = {}
    params = []
    for variable in _bodies(main, 3):
        fields = {number: (value, body) for number, value, body in _fields(variable)}
        name, kind = str(fields[1][1], "utf-8"), fields[2][1]
        kinds[name] = kind
        persistable = 3 in fields and fields[3][0]
        if persistable and _numbers(kind, 1)[0] not in (_FEED_LIST, _FETCH_LIST, _RAW):
            params.append(name)
    # Most operators are dismissed by a search: to walk through them takes long.
    ops = [op for op in _bodies(main, 4) if b"feed" in bytes(op) or b"fetch" in bytes(op)]
    inputs = [_text(_bodies(op, 2)[0], 2) for op in ops if _text(op, 3) == "feed"]
    outputs = [_text(_bodies(op, 1)[0], 2) for op in ops if _text(op, 3) == "fetch"]
    return Program(
        {name: _shape(kinds[name]) for name in inputs},
        tuple(params),
        {name: _shape(kinds[name]) for name in outputs},
    )


def _shape(kind: memoryview) -> Tuple[int, ...]:
    tensor = _bodies(kind, 3)[0]
    return tuple(_numbers(_bodies(tensor, 1)[0], 2))


def _bodies(message: memoryview, field: int) -> List[memoryview]:
    return [body for number, _, body in _fields(message) if number == field]


def _numbers(message: memoryview, field: int) -> List[int]:
    return [value for number, value, _ in _fields(message) if number == field]


def _text(message: memoryview, field: int) -> str:
    """The first of them: what comes after is not looked at."""
    for number, _, body in _fields(message):
        if number == field:
            return str(body, "utf-8")
    raise ValueError


def _fields(message: memoryview) -> Iterator[Tuple[int, int, memoryview]]:
    """(field number, value of a varint, body of a message or text)."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        value, size = 0, {1: 8, 5: 4}.get(kind, 0)
        if kind == 0:
            value, at = _varint(message, at)
        elif kind == 2:
            size, at = _varint(message, at)
        elif not size:
            raise ValueError(kind)
        if not 0 <= size <= len(message) - at:
            raise ValueError(size)
        yield number, value, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> Tuple[int, int]:
    """(signed 64-bit value, where the next thing begins)."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value - (1 << 64) if value >> 63 else value, at
