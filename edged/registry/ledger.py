"""Which version of each model is served: a file that is replaced as a whole.

The models' folder is its owner's: what lies there is taken up when it changes, and what the
commands do is written down here. So one rename of one file takes a model from one version
to another, whatever happens meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Dict, Iterator, Optional

import msgspec
from typing_extensions import Annotated

from edged.errors import ConfigError, NotKept
from edged.registry.disk import locked, write

FILE, LOCK = "models.json", "models.lock"

Key = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class Version(msgspec.Struct, frozen=True):
    """`key` is that of the files, see versions.py.

    `mid` and `name` are those that a command gave it, None where the files and the folder's
    name say them.
    """

    key: Key
    mid: Optional[Annotated[int, msgspec.Meta(ge=0)]] = None
    name: Optional[str] = None


class Record(msgspec.Struct, frozen=True):
    """One model.

    `source` is the key of what lay in the models' folder when that was last looked at, None
    for a model that only commands brought. `on_trial`: if `served` fails, `previous` is
    served again.
    """

    source: Optional[Key]
    served: Version
    previous: Optional[Version] = None
    on_trial: bool = False
    disabled: bool = False

    def replaced(self, served: Version, source: Optional[str]) -> Record:
        """By another version, on trial, for which the present one is kept."""
        return msgspec.structs.replace(
            self, source=source, served=served, previous=self.served, on_trial=True
        )

    def rolled_back(self) -> Optional[Record]:
        """To the previous version, None where there is none; the other is kept in its place."""
        if self.previous is None:
            return None
        return msgspec.structs.replace(
            self,
            served=self.previous,
            previous=self.served,
            on_trial=False,
        )


Records = Dict[str, Record]
"""By the path of the folder or zip: several folders of models may share a state directory."""


def load(state: Path) -> Records:
    """Raises ConfigError."""
    path = state / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Records)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigError(
            f"{path} is damaged: restore it, or remove it and let the models be as they lie "
            "in their folder"
        ) from None


@contextlib.contextmanager
def changing(state: Path) -> Iterator[Records]:
    """The records, to be changed: they are on the disk when the block ends without an error.

    Waits for other processes that change them. Raises ConfigError, and NotKept when they
    cannot be written.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(state / LOCK):
            before = load(state)
            records = dict(before)
            yield records
            if records != before:
                write(state / FILE, msgspec.json.format(msgspec.json.encode(records), indent=1))
    except OSError as error:
        raise NotKept(
            f"what is served cannot be kept in the state directory {state}: {error.strerror}"
        ) from None


def tidy(state: Path) -> None:
    """Removes what was written when the power went. To be called while `changing`."""
    for path in state.glob(f"{FILE}?*"):
        with contextlib.suppress(OSError):
            os.unlink(path)
