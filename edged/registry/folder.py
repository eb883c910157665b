"""A model's folder: never a file outside of it, never more than a limit.

A folder may come from anywhere, so nothing in it is believed: not its links, not its
sizes, not that a file is a file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Dict, List

from edged.errors import ModelFolderError
from edged.registry.document import Document, parse_json, parse_yaml, parse_yaml_dump
from edged.registry.paths import file_inside, inside

_DOCUMENT_LIMIT = 1 << 20


class Folder:
    """For as long as one looks at it: a document that several ask for is read once.

    Names are relative to `path`. What is said to raise raises ModelFolderError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._documents: Dict[str, Document] = {}

    def inside(self, name: str) -> str:
        """The absolute path of `name`, links followed; it need not exist. Raises."""
        return inside(self.path, name)

    def exists(self, name: str) -> bool:
        """Whether anything of that name stands there, even a link to nowhere."""
        return os.path.lexists(self.path / name)

    def names(self, part: str = ".") -> List[str]:
        """Of what stands in it, or in the folder `part` of it. Raises."""
        path = self.inside(part)
        if not os.path.isdir(path):
            raise ModelFolderError(f"the folder {part} is missing")
        try:
            return sorted(os.listdir(path))
        except OSError as error:
            name = "the folder" if part == "." else part
            raise ModelFolderError(f"{name} cannot be read: {error.strerror}") from None

    def file(self, name: str) -> str:
        """The absolute path of a file that is there. Raises."""
        return file_inside(self.path, name)

    def read(self, name: str, limit: int) -> bytes:
        """The whole of a file of at most `limit` bytes. Raises."""
        path = self.file(name)
        try:
            with open(path, "rb") as file:
                data = file.read(limit + 1)
        except OSError as error:
            raise ModelFolderError(f"{name} cannot be read: {error.strerror}") from None
        if len(data) > limit:
            raise ModelFolderError(f"{name} is larger than {limit} bytes")
        return data

    def yaml(self, name: str) -> Document:
        """The mapping in file `name`, {} if the file is empty. Raises."""
        return self._document(name, parse_yaml)

    def yaml_dump(self, name: str) -> Document:
        """As `yaml`, of a file that a program wrote of whatever it had: exporters' all are.
        Raises.
        """
        return self._document(name, parse_yaml_dump)

    def json(self, name: str) -> Document:
        """The object in file `name`. Raises."""
        return self._document(name, parse_json)

    def _document(self, name: str, parse: Callable[[bytes, str], Document]) -> Document:
        if name not in self._documents:
            self._documents[name] = parse(self.read(name, _DOCUMENT_LIMIT), name)
        return self._documents[name]
