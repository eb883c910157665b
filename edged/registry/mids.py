"""Numbers of the folders that bring none, kept so that they never change.

A folder that has gone keeps its number: a client must not meet another model under it.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import AbstractSet, Dict, Sequence

import msgspec
from typing_extensions import Annotated

from edged.errors import ConfigError, NotKept
from edged.registry.disk import write

FILE = "mids.json"

_Mid = Annotated[int, msgspec.Meta(ge=0)]


def numbers(state: Path, newcomers: Sequence[str], claimed: AbstractSet[int]) -> Dict[str, int]:
    """Folder -> number, for all there ever were.

    A newcomer without one gets the lowest that is neither in `claimed` nor another's.
    """
    known = _load(state / FILE)
    strangers = [folder for folder in newcomers if folder not in known]
    if strangers:
        taken = claimed | set(known.values())
        free = (mid for mid in itertools.count() if mid not in taken)
        known.update(zip(strangers, free))
        _save(state / FILE, known)
    return known


def reserve(state: Path, folder: str, mid: int) -> None:
    """A number that the folder brought itself: no newcomer gets it when the folder has gone.

    Raises ConfigError, and NotKept when it cannot be written.
    """
    known = _load(state / FILE)
    if mid in known.values():
        return
    known[f"{folder}/"] = mid  # no folder has such a name
    try:
        _save(state / FILE, known)
    except ConfigError as error:
        raise NotKept(str(error)) from None


def _load(path: Path) -> Dict[str, int]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Dict[str, _Mid])
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigError(
            f"{path} is damaged: restore it, or remove it and let the models be numbered anew"
        ) from None


def _save(path: Path, known: Dict[str, int]) -> None:
    try:
        write(path, msgspec.json.format(msgspec.json.encode(known), indent=1))
    except OSError as error:
        raise ConfigError(
            f"the models' numbers cannot be kept in the state directory {path.parent}: "
            f"{error.strerror}"
        ) from None
