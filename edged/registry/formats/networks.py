"""The files of a network, by the names that exporters give them."""

from __future__ import annotations

from typing import Sequence

from edged.errors import ModelFolderError
from edged.registry.folder import Folder
from edged.registry.spec import ModelFiles

STEMS = ("model", "inference")


def find_network(folder: Folder, stems: Sequence[str] = STEMS) -> ModelFiles:
    """Paddle's exports by their stem, old ones, and an `.nb` made from either.

    A program of the new form (PIR, `.json`) is taken where there is no other: which
    engine can run it is for the engines to say. Raises ModelFolderError naming the file
    that is missing.
    """
    for stem in stems:
        for suffix in (".pdmodel", ".json"):
            model, params = f"{stem}{suffix}", f"{stem}.pdiparams"
            if folder.exists(model):
                return combined(folder, model, params)
    if folder.exists("__model__") or folder.exists("__params__"):
        return combined(folder, "__model__", "__params__")
    for stem in stems:
        if folder.exists(f"{stem}.nb"):
            return ModelFiles("nb", folder.file(f"{stem}.nb"))
    there = (stem for stem in stems if folder.exists(f"{stem}.pdiparams"))
    stem = next(there, stems[0])
    raise ModelFolderError(f"{stem}.pdmodel is missing")


def combined(folder: Folder, model: str, params: str) -> ModelFiles:
    return ModelFiles("combined", folder.file(model), folder.file(params))
