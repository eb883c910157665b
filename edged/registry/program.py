"""The program of a full Paddle model: what it takes, and which parameters it has.

Paddle Lite reads a program that was cut short as a shorter one, without a word, and
aborts the process on the newer JSON form. The file is a protobuf (`framework.proto`),
of which a handful of fields are read here. It may come from anywhere, and the daemon
itself reads it: so there are limits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

from edged.errors import EngineError, ModelFolderError
from edged.registry.paths import file_inside
from edged.registry.spec import ModelFiles

_LIMIT = 16 << 20  # bytes; programs of hundreds of operators have 0.1 to 2 MB
_MOST_FIELDS = 300_000  # that are looked at; of those programs 3,000 to 6,000
_FEED_LIST, _FETCH_LIST, _RAW = 9, 10, 17  # kinds of variables that are no tensors


class Program(NamedTuple):
    """`inputs` and `outputs` are name -> shape, -1 for what is free.

    `params` are the names of the parameters, and of their files where each has one.
    """

    inputs: Dict[str, Tuple[int, ...]]
    params: Tuple[str, ...]
    outputs: Dict[str, Tuple[int, ...]]


def of(files: ModelFiles) -> Program:
    """As `read`. The program of files that are not an `.nb`.

    Raises EngineError too when a parameter's own file is not one in the model's folder.
    """
    if files.kind != "separate":
        return read(files.model)
    program = read(f"{files.model}/__model__")
    try:
        for name in program.params:
            file_inside(Path(files.model), name)
    except ModelFolderError as error:
        raise EngineError(f"the parameter {error}") from None
    return program


def read(path: str) -> Program:
    """Raises EngineError when the file cannot be read or is not such a program."""
    name = Path(path).name
    try:
        with open(path, "rb") as file:
            data = file.read(_LIMIT + 1)
    except OSError as error:
        raise EngineError(f"cannot read {name}: {error.strerror}") from error
    if len(data) > _LIMIT:
        raise EngineError(f"{name} is larger than {_LIMIT} bytes")
    if data.startswith(b"{"):
        raise EngineError(
            f"{name} is in the PIR format, which Paddle Lite cannot read:"
            " re-export with FLAGS_enable_pir_api=0, or use the paddle engine"
        )
    try:
        program = _Parser().program(memoryview(data))
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


class _Parser:
    """Of one program. Raises IndexError, KeyError or ValueError for what is not one."""

    def __init__(self) -> None:
        self._fields_left = _MOST_FIELDS

    def program(self, data: memoryview) -> Program:
        main = self._bodies(data, 1)[0]
        kinds: Dict[str, memoryview] = {}
        params = []
        ops = []
        for number, _, body in self._fields(main):
            if number == 3:
                name, kinds[name], persistable = self._variable(body)
                if persistable:
                    params.append(name)
            # Most operators are dismissed by a search: to walk through them takes long.
            elif number == 4 and (b"feed" in bytes(body) or b"fetch" in bytes(body)):
                ops.append(body)
        feeds = [op for op in ops if self._text(op, 3) == "feed"]
        fetches = [op for op in ops if self._text(op, 3) == "fetch"]
        inputs = [self._text(self._bodies(op, 2)[0], 2) for op in feeds]
        outputs = [self._text(self._bodies(op, 1)[0], 2) for op in fetches]
        return Program(
            {name: self._shape(kinds[name]) for name in inputs},
            tuple(params),
            {name: self._shape(kinds[name]) for name in outputs},
        )

    def _variable(self, message: memoryview) -> Tuple[str, memoryview, bool]:
        """(name, kind, whether it is a parameter)"""
        fields = {number: (value, body) for number, value, body in self._fields(message)}
        name, kind = str(fields[1][1], "utf-8"), fields[2][1]
        persistable = 3 in fields and fields[3][0]
        no_tensor = (_FEED_LIST, _FETCH_LIST, _RAW)
        return name, kind, bool(persistable) and self._numbers(kind, 1)[0] not in no_tensor

    def _shape(self, kind: memoryview) -> Tuple[int, ...]:
        tensor = self._bodies(kind, 3)[0]
        return tuple(self._numbers(self._bodies(tensor, 1)[0], 2))

    def _bodies(self, message: memoryview, field: int) -> List[memoryview]:
        return [body for number, _, body in self._fields(message) if number == field]

    def _numbers(self, message: memoryview, field: int) -> List[int]:
        return [value for number, value, _ in self._fields(message) if number == field]

    def _text(self, message: memoryview, field: int) -> str:
        """The first of them: what comes after is not looked at."""
        for number, _, body in self._fields(message):
            if number == field:
                return str(body, "utf-8")
        raise ValueError

    def _fields(self, message: memoryview) -> Iterator[Tuple[int, int, memoryview]]:
        """(field number, value of a varint, body of a message or text)."""
        at = 0
        while at < len(message):
            self._fields_left -= 1
            if self._fields_left < 0:
                raise ValueError
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
        if shift > 63:
            raise ValueError
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value - (1 << 64) if value >> 63 else value, at
