"""What one folder is: a model, or why not.

A model is a folder, or a zip of one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Callable, Optional, Tuple

import msgspec

from edged.errors import ModelFolderError
from edged.registry.folder import Folder
from edged.registry.formats import FORMATS, Format, native
from edged.registry.formats.description import input_size
from edged.registry.ledger import Version
from edged.registry.sample import read_sample
from edged.registry.spec import ModelSpec
from edged.registry.versions import Versions

ZIP = ".zip"

# A longer run of digits is a date or a serial number, and part of the name.
_NUMBERED = re.compile(r"([0-9]{1,15})(?![0-9])-?(.*)", re.DOTALL)
_LONGEST_NAME = 64
_NAME = re.compile(rf"\w[\w.-]{{0,{_LONGEST_NAME - 1}}}")  # what may stand in a URL's path
_UNFIT = re.compile(r"[^\w.-]+")
_MAX_SHOWN = 300
_NO_MID_YET = -1
_NETWORKS = (".nb", ".pdmodel", "__model__")


class Entry(msgspec.Struct, frozen=True):
    """A folder or a zip in the folder of models; `folder` is its name there.

    `spec` is None when `reason` says why it is not served,
    `exporter` is None where no format recognises it, `mid` where it never had one.
    `version` is the key of the files, None where they are served from where they lie;
    `on_trial` is a version that is rolled back from if it fails. `note` says why the files are
    not those that lie in the folder now.
    """

    folder: str
    mid: Optional[int]
    name: str
    exporter: Optional[str]
    spec: Optional[ModelSpec]
    reason: str
    version: Optional[str] = None
    disabled: bool = False
    on_trial: bool = False
    note: str = ""


def look(folder: Path) -> Entry:
    """One folder, wherever it is. Its number may be None, and `spec.mid` -1 then."""
    path = Path(os.path.abspath(folder))
    entry = read_entry(path.name, lambda: path)
    return settled(entry, entry.mid, entry.reason)


def look_into(archive: Path, scratch: Path) -> Entry:
    """As `look`, for a zip. It is unpacked in `scratch`, for as long as the entry is used."""
    path, versions = Path(os.path.abspath(archive)), Versions(scratch)
    entry = read_entry(path.name, lambda: versions.folder(versions.take(path)), of_zip=True)
    return settled(entry, entry.mid, entry.reason)


def read_entry(
    folder: str, read: Callable[[], Path], of_zip: bool = False, version: Optional[Version] = None
) -> Entry:
    """The entry as far as the files that `read` gives themselves tell: `mid` may still be None.

    `folder` is the name of the folder, or of the zip.
    """
    mid, name = _from_name(folder[: -len(ZIP)] if of_zip else folder)
    exporter, spec, reason = None, None, ""
    try:
        files = Folder(read())
        identity = native.identity(files)
        mid = mid if identity.mid is None else identity.mid
        name = name if identity.name is None else identity.name
        if version is not None:
            mid = mid if version.mid is None else version.mid
            name = name if version.name is None else version.name
        format = _recognise(files)
        exporter = format.EXPORTER
        spec = _read(files, format, mid, name)
    except ModelFolderError as error:
        reason = str(error)
    return Entry(folder, mid, name, exporter, spec, reason, version.key if version else None)


def _from_name(name: str) -> Tuple[Optional[int], str]:
    """`10-helmets` is 10, `helmets`; `my model (1)` is `my-model-1`."""
    name = fit_name(name)
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
    if not is_name(name):
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


def fit_name(name: str) -> str:
    """As a URL can have it; the same where nothing in it can be kept."""
    return _UNFIT.sub("-", name).strip("-.")[:_LONGEST_NAME] or name


def is_name(name: str) -> bool:
    """Whether a model may be called so."""
    return _NAME.fullmatch(name) is not None


def settled(entry: Entry, mid: Optional[int], reason: str) -> Entry:
    spec = None if reason else entry.spec
    if spec is not None and mid is not None:
        spec = msgspec.structs.replace(spec, mid=mid)
    return msgspec.structs.replace(
        entry,
        folder=shown(entry.folder),
        mid=mid,
        name=shown(entry.name),
        spec=spec,
        reason=shown(reason),
    )


def shown(text: str) -> str:
    """Fit for a log, a terminal and JSON: much of it comes from whoever made the folder."""
    if len(text) > _MAX_SHOWN:
        text = text[:_MAX_SHOWN] + "…"
    return "".join(character if character.isprintable() else "?" for character in text)
