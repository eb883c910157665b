"""Files of a model's folder: never one outside of it, never more than a limit.

A folder may come from anywhere, so nothing in it is believed: not its links, not its
sizes, not that a file is a file.
"""

from __future__ import annotations

import os
from pathlib import Path

from edged.errors import ModelFolderError


def inside(folder: Path, name: str) -> str:
    """The absolute path of `name`, links followed; it need not exist."""
    if not name or not name.isprintable():  # NUL and lone surrogates are not printable
        raise ModelFolderError(f"{name!r} is not a file name")
    root = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(root, name))
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ModelFolderError(f"the path of {name} is not UTF-8") from None
    if os.path.isabs(name) or os.path.commonpath([root, path]) != root:
        raise ModelFolderError(f"{name} leads out of the model's folder")
    return path


def exists(folder: Path, name: str) -> bool:
    """Whether anything of that name stands there, even a link to nowhere."""
    return os.path.lexists(folder / name)


def file_inside(folder: Path, name: str) -> str:
    """The absolute path of a file that is there."""
    path = inside(folder, name)
    if os.path.isfile(path):  # not a FIFO, which would block whoever opens it
        return path
    raise ModelFolderError(f"{name} is {'not a file' if os.path.lexists(path) else 'missing'}")


def read_inside(folder: Path, name: str, limit: int) -> bytes:
    """The whole of a file of at most `limit` bytes."""
    path = file_inside(folder, name)
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ModelFolderError(f"{name} cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise ModelFolderError(f"{name} is larger than {limit} bytes")
    return data
