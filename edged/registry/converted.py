"""The networks that were converted for this machine: known by what they were made from."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Iterable, Sequence

from edged.errors import EngineError
from edged.registry import program
from edged.registry.disk import digest
from edged.registry.spec import ModelFiles

# What no model here uses may be that of another command; one that is used is touched.
_KEPT_SECONDS = 24 * 3600.0


def source_digest(files: ModelFiles, params: Sequence[str]) -> str:
    """Of what is converted. `params` are the names of the parameters, used for a folder with
    a file for each. Raises OSError.
    """
    if files.params is not None:
        return digest([Path(files.model), Path(files.params)])
    folder = Path(files.model)
    return digest([folder / "__model__", *(folder / name for name in sorted(params))])


def tidy(cache: Path, used: Iterable[ModelFiles]) -> None:
    """Removes what was made from none of `used` and has not been loaded for a day."""
    sources = {_source_of(files) for files in used if files.kind != "nb"}
    oldest = time.time() - _KEPT_SECONDS
    for path in cache.glob("*"):
        # `<source>-<target>-<version>…`, before which an unfinished one says so.
        if path.name.replace("unfinished-", "").partition("-")[0] not in sources:
            with contextlib.suppress(OSError):
                if path.stat().st_atime < oldest:
                    path.unlink()


def _source_of(files: ModelFiles) -> str:
    try:
        return source_digest(files, () if files.params else program.of(files).params)
    except (OSError, EngineError):  # it cannot have been converted as it is now
        return ""


def touch(path: Path) -> None:
    """It is used now: not every file system notes that by itself."""
    with contextlib.suppress(OSError):  # another user's
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
