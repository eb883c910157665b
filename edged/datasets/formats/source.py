"""A folder or a zip that datasets are imported from. Nothing in it is believed."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import (
    Callable,
    DefaultDict,
    Dict,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
)

import msgspec

from edged.errors import BadImport, ModelFolderError
from edged.registry import archive
from edged.registry.formats.labels import decode

MOST_FILES = 250_000
"""Of a folder or a zip: room for a hundred thousand pictures and an annotation of each."""
MOST_TEXT = 128 << 20
"""Bytes of a list or a JSON document: it is read at once."""

_ZIP = archive.Limits(bytes=1 << 38, files=MOST_FILES, list=64 << 20)
_MOST_TOLD = 20
_AT_BYTE = re.compile(r"\(byte ([0-9]+)\)")
# Folders that a format begins with; any other that holds all of a zip is left out of its paths.
_OURS = {
    *("train", "val", "test", "unlabelled", "images", "sounds", "texts"),
    *("annotations", "Annotations", "JPEGImages"),
}

Document = TypeVar("Document")


class Source:
    """`files` is the size of each in bytes, by its path, sorted. What is wrong is gathered in
    `problems`, so that all of it is told at once."""

    def __init__(
        self, name: str, sizes: Dict[str, int], read: Callable[[str], Iterator[bytes]]
    ) -> None:
        self.name = name
        self.files = {path: sizes[path] for path in sorted(sizes)}
        self._read = read
        self.problems: List[str] = []
        self.problem_count = 0

    def refuse(self, where: str, reason: str) -> None:
        self.problem_count += 1
        if len(self.problems) < _MOST_TOLD:
            self.problems.append(f"{where}: {reason}")

    def check(self) -> None:
        """Raises BadImport when something was refused."""
        if self.problem_count:
            more = self.problem_count - len(self.problems)
            raise BadImport("\n".join([*self.problems, *([f"and {more} more"] if more else [])]))

    def read(self, path: str, most: int) -> bytes:
        """Raises BadImport where it has more than `most` bytes, or cannot be read."""
        if self.files[path] > most:
            raise BadImport(f"it has {self.files[path]} bytes, more than {most}")
        try:
            return b"".join(self._read(path))
        except ModelFolderError as error:
            raise BadImport(str(error)) from None
        except OSError as error:
            raise BadImport(f"it cannot be read: {error.strerror}") from None

    def lines(self, path: str) -> List[Tuple[str, str]]:
        """(where it stands, the line) of each that is not empty. None of them, and refused, where
        it is no text."""
        text = self.text(path, MOST_TEXT)
        # Not splitlines(): it breaks lines at characters that may stand in a label.
        lines = [line.rstrip("\r") for line in text.split("\n")] if text else []
        return [(f"{path}, line {at}", line) for at, line in enumerate(lines, 1) if line.strip()]

    def text(self, path: str, most: int) -> Optional[str]:
        """None, and refused, where it is none."""
        try:
            return decode(self.read(path, most), path)
        except (BadImport, ModelFolderError) as error:
            self.refuse(path, str(error))
            return None

    def json(self, path: str, kind: Type[Document]) -> Optional[Document]:
        """None, and refused, where it is not of that kind."""
        try:
            data = self.read(path, MOST_TEXT)
        except BadImport as error:
            self.refuse(path, str(error))
            return None
        where, data = path, data[3:] if data[:3] == b"\xef\xbb\xbf" else data
        return self.parsed(data, kind, where)

    def parsed(self, data: bytes, kind: Type[Document], where: str) -> Optional[Document]:
        """JSON that stands at `where`. None, and refused, where it is not of that kind."""
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.ValidationError as error:
            self.refuse(where, str(error))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            at = _AT_BYTE.search(str(error))
            line = data.count(b"\n", 0, int(at[1])) + 1 if at else 0
            self.refuse(f"{where}, line {line}" if line > 1 else where, f"it is no JSON: {error}")
        return None

    def find(self, name: str, folders: Sequence[str], where: str) -> Optional[str]:
        """The file that is called so at `where`: in one of the folders, or the only one whose
        path ends so. None, and refused, where there is none."""
        path = name.replace("\\", "/")
        if path.startswith("./"):
            path = path[2:]
        if path.startswith("/") or ".." in path.split("/"):
            self.refuse(where, f"{name!r} leads out of the dataset")
            return None
        for folder in ("", *folders):
            placed = f"{folder}/{path}" if folder else path
            if placed in self.files:
                return placed
        found = [one for one in self._by_name[path.rpartition("/")[2]] if one.endswith(f"/{path}")]
        if len(found) == 1:
            return found[0]
        some = f"{len(found)} files are" if found else "no file is"
        self.refuse(where, f"{some} called {name!r}")
        return None

    @cached_property
    def _by_name(self) -> DefaultDict[str, List[str]]:
        names = defaultdict(list)
        for path in self.files:
            names[path.rpartition("/")[2]].append(path)
        return names


@contextmanager
def opened_source(path: Path) -> Iterator[Source]:
    """Raises BadImport for what is neither a zip nor a folder, or not one that is read."""
    try:
        if path.is_dir():
            yield Source(path.name, _sizes(path), lambda name: _chunks(path / name))
            return
        with archive.opened(path, _ZIP) as members:
            top = _top(members.sizes)
            sizes = {name[len(top) :]: size for name, size in members.sizes.items()}
            yield Source(path.name, sizes, lambda name: members.read(top + name))
    except ModelFolderError as error:
        raise BadImport(f"{path.name}: {error}") from None


def _sizes(folder: Path) -> Dict[str, int]:
    """Raises OSError, and BadImport for links and devices: they may lead anywhere."""
    sizes: Dict[str, int] = {}
    waiting = [""]
    while waiting:
        at = waiting.pop()
        with os.scandir(folder / at) as entries:
            for entry in entries:
                name = f"{at}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                elif not entry.is_file(follow_symlinks=False):
                    what = "a link" if entry.is_symlink() else "neither a file nor a folder"
                    raise BadImport(f"{name!r} is {what}")
                elif not name.isprintable():
                    raise BadImport(f"{name!r} is not the name of a file")
                else:
                    sizes[name] = entry.stat(follow_symlinks=False).st_size
                if len(sizes) > MOST_FILES:
                    raise BadImport(f"there are more than {MOST_FILES} files")
    return sizes


def _chunks(path: Path) -> Iterator[bytes]:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        yield file.read()


def _top(sizes: Dict[str, int]) -> str:
    """The one folder that all are in, with its `/`; not where it is that of the only label."""
    first, *others = {path.partition("/")[0] for path in sizes}
    deep = any(path.count("/") > 1 for path in sizes)
    return f"{first}/" if deep and not others and first not in _OURS else ""
