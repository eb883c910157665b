"""The models of one folder as they are kept, and what the commands do to them on the disk.

A change is one rename of the ledger. What comes before it (unpacking, checking) touches
nothing that is served; what comes after it (removing what is not used any more) may come
at any later time.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path
from typing import (
    AbstractSet,
    ContextManager,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
)

import msgspec

from edged.errors import (
    BadModel,
    BadPackage,
    ConfigError,
    EdgedError,
    InvalidArgument,
    ModelFolderError,
    NotKept,
    NotPossible,
    UnknownModel,
)
from edged.registry import converted, ledger, mids
from edged.registry.disk import sync
from edged.registry.entry import Entry, is_name, settled
from edged.registry.ledger import Record, Records, Version
from edged.registry.registry import UNPACKED, Found, look_at, origin, survey, versions_in
from edged.registry.spec import ModelSpec
from edged.registry.versions import Versions, is_key

_log = logging.getLogger(__name__)

POISON = "poison"
"""Pictures that crash a model: in a folder for each mid, one for each version."""
_REMOVED = ".removed-"
# Another command may be looking at what it unpacked.
_LOOKED_AT_SECONDS = 24 * 3600.0


class Place(NamedTuple):
    """Which model an archive is to become: the one in `folder` (its name in the models'
    folder, whether it lies there or not), with a number and a name of its own if they are said.
    """

    folder: str
    mid: Optional[int] = None
    name: Optional[str] = None


class Staged(NamedTuple):
    """A version that is whole and can be read, but is not served: `record` would make it so."""

    entry: Entry
    record: Record


class Library:
    """Every method blocks on the disk; other processes may do the same at the same time.

    Raises ConfigError where the state directory cannot be used.
    """

    def __init__(self, models: Path, state: Path) -> None:
        self._models = models
        self._state = state
        self._versions = versions_in(state)

    def open(self) -> List[Entry]:
        """At the start of whoever serves them: what lies in the folder is taken up, and what
        an interrupted change left is removed.
        """
        found: Optional[List[Found]] = None
        try:
            with self._changing() as records:
                found = survey(self._models, self._state)
                self._write_down(records, found)
                self._tidy(records)
                return [one.entry for one in found]
        except (ConfigError, NotKept) as error:
            if found is None:
                found = survey(self._models, self._state)
            _log.warning("models are served, but cannot be changed: %s", error)
            return [one.entry for one in found]

    def survey(self) -> List[Found]:
        """What lies in the folder now, and what the ledger would say of it."""
        return survey(self._models, self._state)

    def stage(self, archive: Path, place: Place, others: Sequence[Entry]) -> Staged:
        """Unpacks and reads a new version. `others` are all entries there are.

        Raises BadPackage, BadModel, InvalidArgument, NotKept.
        """
        if place.name is not None and not is_name(place.name):
            raise InvalidArgument(f"{place.name[:64]!r} is no name of a model")
        try:
            key = self._versions.take(archive)
        except NotKept:
            raise
        except ModelFolderError as error:
            raise BadPackage(str(error)) from None
        record = self._record(place.folder)
        version = Version(key, place.mid, place.name)
        if record is None:
            record = Record(source=self._source(place.folder), served=version)
        elif record.served.key != key:
            record = record.replaced(version, record.source)
        else:
            record = msgspec.structs.replace(record, served=version)
        entry = self._numbered(look_at(self._versions, place.folder, record), others)
        _refuse_misfit(entry, others)
        return Staged(entry, record)

    def keep(self, folder: str, record: Record) -> None:
        """From here on the record's version is what is served. Raises NotKept."""
        with self._changing() as records:
            if record.served.key not in self._versions:
                raise NotKept("the version was removed meanwhile")
            records[self._origin(folder)] = record

    def set_disabled(self, folder: str, disabled: bool) -> None:
        """Raises NotPossible."""
        self._change(folder, disabled=disabled)

    def end_trial(self, folder: str, version: str) -> None:
        """Of the version with this key, if it is still the one that is served."""
        record = self._record(folder)
        if record is not None and record.served.key == version and record.on_trial:
            self._change(folder, on_trial=False)

    def previous(self, folder: str) -> Staged:
        """The version before, as it would be served. Raises NotPossible."""
        record = self._record(folder)
        back = record.rolled_back() if record else None
        if back is None or back.served.key not in self._versions:
            raise NotPossible("no version before this one is kept")
        entry = look_at(self._versions, folder, back)
        return Staged(settled(entry, entry.mid, entry.reason), back)

    def remove(self, folder: str, mid: Optional[int]) -> None:
        """The model, its kept versions, and what lies in the models' folder. Its mid stays its
        own. Raises ConfigError, and NotKept when a folder cannot be written.
        """
        if mid is not None:
            mids.reserve(self._state, folder, mid)
        path, aside = self._models / folder, self._models / f"{_REMOVED}{folder}"
        try:
            if os.path.lexists(path):
                _delete(aside)
                os.rename(path, aside)
                sync(self._models)
        except OSError as error:
            raise NotKept(f"{path} cannot be removed: {error.strerror}") from None
        try:
            self.forget(folder)
        except EdgedError:
            with contextlib.suppress(OSError):  # it was not there
                os.rename(aside, path)
            raise
        _delete(aside)

    def forget(self, folder: str) -> None:
        """What the ledger says of it. Raises NotKept."""
        with self._changing() as records:
            records.pop(self._origin(folder), None)

    def tidy(self, serving: Iterable[ModelSpec]) -> None:
        """Removes the versions and converted networks that nothing uses. `serving` are those
        that are loaded, whatever the ledger says of them.
        """
        specs = list(serving)
        with contextlib.suppress(ConfigError, NotKept), self._changing() as records:
            used = {os.path.basename(spec.folder) for spec in specs}
            self._versions.tidy(_keys(records) | used)
            self._tidy_poison(_keys(records) | used)
            entries = [look_at(self._versions, "", record) for record in _versions_of(records)]
            specs += [entry.spec for entry in entries if entry.spec is not None]
            networks = [files for spec in specs for files in spec.networks]
            converted.tidy(self._state / "converted", networks)

    def _tidy(self, records: Records) -> None:
        ledger.tidy(self._state)
        self._versions.tidy(_keys(records))
        self._tidy_poison(_keys(records))
        Versions(self._state / UNPACKED).tidy(set(), _LOOKED_AT_SECONDS)
        for path in self._models.glob(f"{_REMOVED}*"):
            _delete(path)

    def _tidy_poison(self, used: AbstractSet[str]) -> None:
        """Without its version a picture crashes nothing."""
        for path in self._state.glob(f"{POISON}/*/*"):
            if is_key(path.name) and path.name not in used:
                shutil.rmtree(path, ignore_errors=True)
                with contextlib.suppress(OSError):  # another version's are there
                    path.parent.rmdir()

    def _write_down(self, records: Records, found: Sequence[Found]) -> None:
        root = os.path.realpath(self._models)
        here = {path for path in records if os.path.dirname(path) == root}
        for one in found:
            path = self._origin(one.entry.folder)
            here.discard(path)
            if one.entry.spec is None:  # nothing to be held on to
                continue
            if one.record is not None:
                records[path] = one.record
            else:
                records.pop(path, None)
        for path in here:
            del records[path]

    def _source(self, folder: str) -> Optional[str]:
        """The key of what lies in the models' folder, if something does."""
        try:
            return self._versions.key(self._models / folder)
        except ModelFolderError:
            return None

    def _numbered(self, entry: Entry, others: Sequence[Entry]) -> Entry:
        if entry.mid is not None or entry.spec is None:
            return settled(entry, entry.mid, entry.reason)
        claimed = {other.mid for other in others if other.mid is not None}
        return settled(entry, mids.numbers(self._state, [entry.folder], claimed)[entry.folder], "")

    def _record(self, folder: str) -> Optional[Record]:
        return ledger.load(self._state).get(self._origin(folder))

    def _change(self, folder: str, **changes: bool) -> None:
        with self._changing() as records:
            record = records.get(self._origin(folder))
            if record is None:
                raise NotPossible("it is served from where it lies: it cannot be kept in the state")
            records[self._origin(folder)] = msgspec.structs.replace(record, **changes)

    def _changing(self) -> ContextManager[Records]:
        return ledger.changing(self._state)

    def _origin(self, folder: str) -> str:
        return origin(self._models, folder)


def find(entries: Sequence[Entry], mid: int) -> Entry:
    """The one with that number. Raises UnknownModel, and NotPossible where there are several."""
    found = [entry for entry in entries if entry.mid == mid]
    if not found:
        raise UnknownModel(f"there is no model with mid {mid}")
    found = [entry for entry in found if entry.spec is not None] or found
    if len(found) > 1:
        folders = ", ".join(entry.folder for entry in found)
        raise NotPossible(f"mid {mid} is that of {folders}: remove all but one by hand")
    return found[0]


def _refuse_misfit(entry: Entry, others: Sequence[Entry]) -> None:
    """Raises BadModel for what cannot be served, or not beside the others."""
    if entry.spec is None:
        raise BadModel(entry.reason)
    for other in others:
        if other.folder == entry.folder:
            if other.spec is not None and other.spec.task != entry.spec.task:
                raise BadModel(
                    f"it is for {entry.spec.task}, and model {entry.mid} for {other.spec.task}"
                )
        elif other.exporter is not None and other.mid == entry.mid:
            raise BadModel(f"mid {entry.mid} is that of {other.folder}")
        elif other.exporter is not None and other.name == entry.name:
            raise BadModel(f"the name {entry.name} is that of mid {other.mid}")


def _versions_of(records: Records) -> Iterator[Record]:
    """Each that is kept, as one that is served."""
    for record in records.values():
        yield record
        if record.previous is not None:
            yield msgspec.structs.replace(record, served=record.previous)


def _keys(records: Records) -> AbstractSet[str]:
    return {record.served.key for record in _versions_of(records)}


def _delete(path: Path) -> None:
    """What cannot be removed now is tried again at the next start."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)
