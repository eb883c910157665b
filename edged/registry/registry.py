"""Which models there are: a folder of models to entries, each served or refused with a reason.

A model is a folder, or a zip of one.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from pathlib import Path
from typing import (
    Callable,
    DefaultDict,
    Dict,
    FrozenSet,
    Hashable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import msgspec

from edged.errors import ConfigError, ModelFolderError
from edged.registry import ledger, mids
from edged.registry.entry import ZIP, Entry, read_entry, settled, shown
from edged.registry.ledger import Record, Version
from edged.registry.versions import Versions

UNPACKED = "unpacked"

_log = logging.getLogger(__name__)


class Found(NamedTuple):
    """`record` is what the ledger is to say of the entry from now on: that it is served from
    where it lies, if it is None.
    """

    entry: Entry
    record: Optional[Record]


def scan(models: Path, state: Path) -> List[Entry]:
    """Ordered by mid, those without one last. Zips are unpacked. Blocks on the disk.

    Raises ConfigError when `models` cannot be read.
    """
    return [found.entry for found in survey(models, state, take=False)]


def survey(models: Path, state: Path, take: bool = True) -> List[Found]:
    """As `scan`. What is new or has changed in the folder is taken into `Versions`, if `take`."""
    surveyor = _Surveyor(models, state, take)
    found = surveyor.found()
    entries = _numbered([one.entry for one in found], state, surveyor.known)
    pairs = (Found(entry, one.record) for entry, one in zip(entries, found))
    return sorted(pairs, key=lambda one: order(one.entry))


def versions_in(state: Path) -> Versions:
    """What is served, or was before."""
    return Versions(state / "versions")


def origin(models: Path, folder: str) -> str:
    """What the ledger calls the folder or zip of that name, whichever links lead there."""
    return os.path.join(os.path.realpath(models), folder)


def _numbered(found: Sequence[Entry], state: Path, known: FrozenSet[str]) -> List[Entry]:
    """Each with its mid, if it can have one, and refused if another has its mid or name: only
    what was served before, of which the folders are `known`, goes before what is new.
    """
    numbers, unnumbered = _numbers(found, state)
    # A folder that no format recognises may be anything: it claims nothing.
    claims = [entry.folder for entry in found if entry.exporter is not None]
    mids_of = {folder: numbers[folder] for folder in claims if folder in numbers}
    same_mid = _rivals(mids_of, known)
    names_of = {entry.folder: entry.name for entry in found if entry.folder in claims}
    same_name = _rivals(names_of, known)
    entries = []
    for entry in found:
        mid, reason = numbers.get(entry.folder), entry.reason
        if not reason and mid is None:
            reason = unnumbered
        if not reason and entry.folder in same_mid:
            reason = f"mid {mid} is also that of {same_mid[entry.folder]}"
        if not reason and entry.folder in same_name:
            reason = f"the name {entry.name} is also that of {same_name[entry.folder]}"
        entries.append(settled(entry, mid, reason))
    return entries


class _Surveyor:
    """What lies in the folder `models`, and what the ledger says of it."""

    def __init__(self, models: Path, state: Path, take: bool) -> None:
        self._models = models
        self._take = take
        self._versions = versions_in(state)
        # A zip that is only looked at belongs to nobody, and is unpacked all the same.
        self._unpacked = self._versions if take else Versions(state / UNPACKED)
        self._records = _records(models, state)
        self.known = frozenset(self._records)

    def found(self) -> List[Found]:
        there = {path.name: path for path in _models(self._models)}
        brought = [
            _found_version(self._versions, name, record)
            for name, record in self._records.items()
            if name not in there and record.source is None
        ]
        return [self._one(path) for path in there.values()] + brought

    def _one(self, path: Path) -> Found:
        record = self._records.get(path.name)
        if record is None or record.served.key not in self._versions:
            return self._newcomer(path)
        entry = look_at(self._versions, path.name, record)
        try:
            if self._versions.key(path) == record.source:
                return Found(entry, record)
            changed = self._newcomer(path, record)
        except ModelFolderError as error:
            note = f"what lies in its folder now is not served: {error}"
            return Found(msgspec.structs.replace(entry, note=shown(note)), record)
        if changed.record is None and changed.entry.reason:
            note = f"what lies in its folder now is not served: {changed.entry.reason}"
            return Found(msgspec.structs.replace(entry, note=shown(note)), record)
        return changed

    def _newcomer(self, path: Path, before: Optional[Record] = None) -> Found:
        """Raises ModelFolderError when it cannot be taken in the place of what was there
        `before`: what is kept is better than what may change.
        """
        entry = read_entry(path.name, self._reader(path), _is_zip(path))
        if entry.spec is None or not self._take or not path.name.isprintable():
            return Found(entry, None)
        try:
            key = self._versions.take(path)
        except ModelFolderError as error:
            if before is not None:
                raise
            _log.warning("%s is served from where it lies: %s", entry.folder, error)
            return Found(entry, None)
        record = Record(source=key, served=Version(key))
        if before is not None and before.served.key != key:
            record = before.replaced(Version(key), source=key)
        elif before is not None:
            record = msgspec.structs.replace(before, source=key)
        return _found_version(self._versions, path.name, record)

    def _reader(self, path: Path) -> Callable[[], Path]:
        if _is_zip(path):
            return lambda: self._unpacked.folder(self._unpacked.take(path))
        return lambda: path


def _records(models: Path, state: Path) -> Dict[str, Record]:
    """Those of the folder `models`, by the names in it."""
    try:
        records = ledger.load(state)
    except ConfigError as error:
        _log.error("%s", error)
        return {}
    root = os.path.realpath(models)
    return {
        os.path.basename(path): record
        for path, record in records.items()
        if os.path.dirname(path) == root
    }


def look_at(versions: Versions, folder: str, record: Record) -> Entry:
    """The version that is served. Its number may be None, and `spec.mid` -1 then."""
    entry = read_entry(
        folder,
        lambda: versions.folder(record.served.key),
        folder.lower().endswith(ZIP),
        record.served,
    )
    return msgspec.structs.replace(entry, disabled=record.disabled, on_trial=record.on_trial)


def _found_version(versions: Versions, folder: str, record: Record) -> Found:
    return Found(look_at(versions, folder, record), record)


def order(entry: Entry) -> Tuple[bool, int, bool, str]:
    """What is served stands before what merely has the same number in its name."""
    return entry.mid is None, entry.mid or 0, entry.spec is None, entry.folder


def _models(models: Path) -> List[Path]:
    try:
        names = os.listdir(models)
    except OSError as error:
        raise ConfigError(f"the models' folder {models}: {error.strerror}") from None
    visible = (models / name for name in sorted(names) if not name.startswith("."))
    return [path for path in visible if os.path.isdir(path) or _is_zip(path)]


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ZIP and os.path.isfile(path)


def _numbers(found: Sequence[Entry], state: Path) -> Tuple[Dict[str, int], str]:
    """Folder -> mid, and why the others have none. Only one that can be served gets a new one."""
    own = {entry.folder: entry.mid for entry in found if entry.mid is not None}
    if len(own) == len(found):
        return own, ""
    newcomers = [entry.folder for entry in found if entry.mid is None and entry.spec is not None]
    try:
        return {**mids.numbers(state, newcomers, set(own.values())), **own}, ""
    except ConfigError as error:  # the others are served all the same
        return own, f"it has no mid of its own, and {error}"


def _rivals(values: Mapping[str, Hashable], known: FrozenSet[str]) -> Dict[str, str]:
    """Folder -> the others with the same value, for those that are not alone with it, and not
    alone among the `known` either.
    """
    groups: DefaultDict[Hashable, List[str]] = defaultdict(list)
    for folder, value in values.items():
        groups[value].append(folder)
    return {
        folder: ", ".join(other for other in group if other != folder)
        for group in groups.values()
        for folder in group
        if len(group) > 1 and known.intersection(group) != {folder}
    }
