"""Which models there are: a folder of models to entries, each served or refused with a reason.

A model is a folder, or a zip of one.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path
from typing import DefaultDict, Dict, Hashable, List, Mapping, Optional, Sequence, Tuple

import msgspec

from edged.errors import ConfigError, ModelFolderError
from edged.registry import mids
from edged.registry.folder import Folder
from edged.registry.formats import FORMATS, Format, native
from edged.registry.formats.description import input_size
from edged.registry.sample import read_sample
from edged.registry.spec import ModelSpec
from edged.registry.unpacked import Unpacked

# A longer run of digits is a date or a serial number, and part of the name.
_NUMBERED = re.compile(r"([0-9]{1,15})(?![0-9])-?(.*)", re.DOTALL)
_LONGEST_NAME = 64
_NAME = re.compile(rf"\w[\w.-]{{0,{_LONGEST_NAME - 1}}}")  # what may stand in a URL's path
_UNFIT = re.compile(r"[^\w.-]+")
_ZIP = ".zip"
_MAX_SHOWN = 300
_NO_MID_YET = -1
_NETWORKS = (".nb", ".pdmodel", "__model__")


class Entry(msgspec.Struct, frozen=True):
    """A folder or a zip in the folder of models; `folder` is its name there.

    `spec` is None when `reason` says why it is not served,
    `exporter` is None where no format recognises it, `mid` where it never had one.
    """

    folder: str
    mid: Optional[int]
    name: str
    exporter: Optional[str]
    spec: Optional[ModelSpec]
    reason: str


def scan(models: Path, state: Path, tidy: bool = False) -> List[Entry]:
    """Ordered by mid, those without one last. Zips are unpacked. Blocks on the disk.

    `tidy`: what was unpacked of zips that are gone is removed, see `Unpacked.tidy`.
    Raises ConfigError when `models` cannot be read.
    """
    unpacked = Unpacked(state)
    found = [_look(path, unpacked if _is_zip(path) else None) for path in _models(models)]
    if tidy:
        unpacked.tidy(models)
    numbers, unnumbered = _numbers(found, state)
    # A folder that no format recognises may be anything: it claims nothing.
    claims = [entry.folder for entry in found if entry.exporter is not None]
    same_mid = _rivals({folder: numbers[folder] for folder in claims if folder in numbers})
    same_name = _rivals({entry.folder: entry.name for entry in found if entry.folder in claims})
    entries = []
    for entry in found:
        mid, reason = numbers.get(entry.folder), entry.reason
        if not reason and mid is None:
            reason = unnumbered
        if not reason and entry.folder in same_mid:
            reason = f"mid {mid} is also that of {same_mid[entry.folder]}"
        if not reason and entry.folder in same_name:
            reason = f"the name {entry.name} is also that of {same_name[entry.folder]}"
        entries.append(_settled(entry, mid, reason))
    return sorted(entries, key=_order)


def look(folder: Path) -> Entry:
    """One folder, wherever it is. Its number may be None, and `spec.mid` -1 then."""
    entry = _look(Path(os.path.abspath(folder)), None)
    return _settled(entry, entry.mid, entry.reason)


def look_into(archive: Path, scratch: Path) -> Entry:
    """As `look`, for a zip. It is unpacked in `scratch`, for as long as the entry is used."""
    entry = _look(Path(os.path.abspath(archive)), Unpacked(scratch))
    return _settled(entry, entry.mid, entry.reason)


def _order(entry: Entry) -> Tuple[bool, int, bool, str]:
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
    return path.suffix.lower() == _ZIP and os.path.isfile(path)


def _look(path: Path, unpacked: Optional[Unpacked]) -> Entry:
    """The entry as far as the folder itself tells: `mid` may still be None.

    `unpacked` is for a zip, None for a folder.
    """
    mid, name = _from_name(path.stem if unpacked else path.name)
    exporter, spec, reason = None, None, ""
    try:
        folder = Folder(unpacked.folder(path) if unpacked else path)
        identity = native.identity(folder)
        mid = mid if identity.mid is None else identity.mid
        name = name if identity.name is None else identity.name
        format = _recognise(folder)
        exporter = format.EXPORTER
        spec = _read(folder, format, mid, name)
    except ModelFolderError as error:
        reason = str(error)
    return Entry(path.name, mid, name, exporter, spec, reason)


def _from_name(name: str) -> Tuple[Optional[int], str]:
    """`10-helmets` is 10, `helmets`; `my model (1)` is `my-model-1`."""
    name = _UNFIT.sub("-", name).strip("-.")[:_LONGEST_NAME] or name
    match = _NUMBERED.fullmatch(name)
    return (int(match[1]), match[2] or name) if match else (None, name)


def _recognise(folder: Folder) -> Format:
    for format in FORMATS:
        if format.recognise(folder):
            return format
    raise ModelFolderError(
        f"no exporter is recognised, and no model.yaml names a model{_hint(folder)}"
    )


def _hint(folder: Folder) -> str:
    """What is there instead, of what people copy."""
    names = folder.names()
    networks = [name for name in names if name.endswith(_NETWORKS)]
    if networks:
        return f": nothing says how pictures are prepared for {networks[0]}"
    inner = [name for name in names if os.path.isdir(folder.inside(name))]
    return f": is the model in the folder {inner[0]}?" if inner else ""


def _read(folder: Folder, format: Format, mid: Optional[int], name: str) -> ModelSpec:
    if not _NAME.fullmatch(name):
        raise ModelFolderError(
            f"the name {name!r} may have letters, digits, '-', '_' and '.' only, 64 at most"
        )
    description = native.override(folder, format.read(folder))
    read_sample(folder.path)  # a broken one is the folder's fault too
    return ModelSpec(
        **msgspec.structs.asdict(description),
        mid=_NO_MID_YET if mid is None else mid,
        name=name,
        exporter=format.EXPORTER,
        folder=folder.inside("."),
        input_size=None if description.reading else input_size(description.preprocess),
    )


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


def _rivals(values: Mapping[str, Hashable]) -> Dict[str, str]:
    """Folder -> the others with the same value, for those that are not alone with it."""
    groups: DefaultDict[Hashable, List[str]] = defaultdict(list)
    for folder, value in values.items():
        groups[value].append(folder)
    return {
        folder: ", ".join(other for other in group if other != folder)
        for group in groups.values()
        if len(group) > 1
        for folder in group
    }


def _settled(entry: Entry, mid: Optional[int], reason: str) -> Entry:
    spec = None if reason else entry.spec
    if spec is not None and mid is not None:
        spec = msgspec.structs.replace(spec, mid=mid)
    return Entry(
        folder=_shown(entry.folder),
        mid=mid,
        name=_shown(entry.name),
        exporter=entry.exporter,
        spec=spec,
        reason=_shown(reason),
    )


def _shown(text: str) -> str:
    """Fit for a log, a terminal and JSON: much of it comes from whoever made the folder."""
    if len(text) > _MAX_SHOWN:
        text = text[:_MAX_SHOWN] + "…"
    return "".join(character if character.isprintable() else "?" for character in text)
