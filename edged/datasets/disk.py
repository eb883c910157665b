"""Files and folders of the store: private, and of the state folder's owner.

Root may run the commands on another user's state: what it makes is that user's, and no link
takes it elsewhere.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional


def make_folder(path: Path) -> None:
    """With what is missing above it. None of them lasts before the one above it is synced.

    Raises OSError.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    with opened_folder(path) as folder:
        _give(folder, path.parent.stat())


@contextmanager
def opened_folder(path: Path) -> Iterator[int]:
    """Raises OSError, and where it is a link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_private(path: Path, flags: int, folder: Optional[int] = None) -> int:
    """The descriptor of a file, made if need be. `path` is of the open `folder` where one is given.

    Raises OSError, and where it is a link.
    """
    flags |= os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    except FileExistsError:
        return os.open(path, flags, dir_fd=folder)
    try:
        _give(descriptor, os.stat(path.parent, dir_fd=folder))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _give(descriptor: int, owner: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
