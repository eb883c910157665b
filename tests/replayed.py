"""Files and folders of a disk that is replayed: what of them lasts, and what waits to."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

Write = Union[int, Tuple[int, bytes]]
"""A new size, or data at an offset."""


class Node:
    """A file or a folder: what of it lasts, what it is, and the changes between the two."""

    def __init__(self) -> None:
        self.waiting: List[Any] = []
        self._lasting = 0
        self._marks: Dict[int, int] = {}

    def mark(self, thread: int) -> None:
        """An fsync begins in that thread."""
        self._marks[thread] = self._lasting + len(self.waiting)

    def sync(self, thread: int) -> None:
        mark = self._marks.pop(thread, self._lasting + len(self.waiting))
        while self._lasting < mark:
            self.apply_lasting(self.waiting.pop(0))
            self._lasting += 1

    def apply_lasting(self, change: Any) -> None:
        raise NotImplementedError

    def part(self, chance: Optional[random.Random]) -> List[Any]:
        """Of the changes that wait: none, or some by chance."""
        return [change for change in self.waiting if chance and chance.random() < 0.5]


class File(Node):
    def __init__(self, data: bytes = b"") -> None:
        super().__init__()
        self.lasting, self.live = bytearray(data), bytearray(data)

    def change(self, change: Write) -> None:
        _write(self.live, change)
        self.waiting.append(change)

    def apply_lasting(self, change: Write) -> None:
        _write(self.lasting, change)


def _write(data: bytearray, change: Write) -> None:
    size = change if isinstance(change, int) else change[0]
    data.extend(bytes(max(0, size - len(data))))
    if isinstance(change, int):
        del data[size:]
    else:
        data[size : size + len(change[1])] = change[1]


Names = Dict[str, Optional[Node]]
"""None: no longer there."""


class Folder(Node):
    def __init__(self) -> None:
        super().__init__()
        self.lasting: Dict[str, Node] = {}
        self.live: Dict[str, Node] = {}

    def change(self, names: Names) -> None:
        _rename(self.live, names)
        self.waiting.append(names)

    def apply_lasting(self, names: Names) -> None:
        _rename(self.lasting, names)


def _rename(there: Dict[str, Node], names: Names) -> None:
    for name, node in names.items():
        if node is None:
            there.pop(name, None)
        else:
            there[name] = node


def read(path: Path) -> Node:
    """As it is on the disk, all of it lasting."""
    if not path.is_dir():
        return File(path.read_bytes())
    folder = Folder()
    folder.live = {entry.name: read(entry) for entry in path.iterdir()}
    folder.lasting = dict(folder.live)
    return folder


def build(node: Node, path: Path, chance: Optional[random.Random]) -> None:
    if isinstance(node, Folder):
        path.mkdir()
        names = dict(node.lasting)
        for change in node.part(chance):
            _rename(names, change)
        for name, child in names.items():
            build(child, path / name, chance)
    elif isinstance(node, File):
        data = bytearray(node.lasting)
        for write in node.part(chance):
            _write(data, write)
        path.write_bytes(data)
