"""Names that a folder from anywhere gives its files: never one outside of it."""

from __future__ import annotations

import os
from pathlib import Path

from edged.errors import ModelFolderError


def inside(folder: Path, name: str) -> str:
    """The absolute path of `name`, links followed; it need not exist.

    Raises ModelFolderError.
    """
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


def file_inside(folder: Path, name: str) -> str:
    """The absolute path of a file that is there. Raises ModelFolderError."""
    path = inside(folder, name)
    if os.path.isfile(path):  # not a FIFO, which would block whoever opens it
        return path
    raise ModelFolderError(f"{name} is {'not a file' if os.path.lexists(path) else 'missing'}")
