"""The files of a network, by the names that exporters give them."""

from __future__ import annotations

from typing import Optional, Sequence

from edged.errors import ModelFolderError
from edged.registry.folder import Folder
from edged.registry.spec import ModelFiles

STEMS = ("model", "inference")
_MODEL, _PARAMS = "__model__", "__params__"


def find_network(folder: Folder, stems: Sequence[str] = STEMS, part: str = ".") -> ModelFiles:
    """Paddle's exports by their stem, old ones, and an `.nb` made from either; in `part`.

    A program of the new form (PIR, `.json`) is taken where there is no other: which
    engine can run it is for the engines to say. Raises ModelFolderError naming the file
    that is missing.
    """
    inside = "" if part == "." else f"{part}/"
    for stem in stems:
        for suffix in (".pdmodel", ".json"):
            model, params = f"{inside}{stem}{suffix}", f"{inside}{stem}.pdiparams"
            if folder.exists(model):
                return combined(folder, model, params)
    if folder.exists(inside + _PARAMS):
        return combined(folder, inside + _MODEL, inside + _PARAMS)
    if folder.exists(inside + _MODEL):
        folder.file(inside + _MODEL)
        return ModelFiles("separate", folder.inside(part))
    nb = only_file(folder, part, ".nb")
    if nb is not None:
        return ModelFiles("nb", folder.file(nb))
    there = (stem for stem in stems if folder.exists(f"{inside}{stem}.pdiparams"))
    raise ModelFolderError(f"{inside}{next(there, stems[0])}.pdmodel is missing")


def combined(folder: Folder, model: str, params: str) -> ModelFiles:
    return ModelFiles("combined", folder.file(model), folder.file(params))


def only_file(folder: Folder, part: str, suffix: str) -> Optional[str]:
    """The one in the folder `part`, None where there is none. Raises ModelFolderError."""
    names = [name for name in folder.names(part) if name.endswith(suffix)]
    if len(names) > 1:
        where = "the folder" if part == "." else part
        raise ModelFolderError(f"{where} has several {suffix} files: {', '.join(names)}")
    if not names:
        return None
    return names[0] if part == "." else f"{part}/{names[0]}"
