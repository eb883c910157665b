"""Zips of models' folders, for the tests, sound ones and others."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Dict, Union

MODEL_YAML = """\
task: classification
model: net.nb
preprocess: [{op: resize, width: 32, height: 24}]
"""
Files = Dict[Union[str, zipfile.ZipInfo], bytes]

SMALL: Files = {"model.yaml": MODEL_YAML.encode(), "net.nb": b"network"}


def pack(
    archive: Path,
    files: Files,
    method: int = zipfile.ZIP_DEFLATED,
) -> Path:
    with zipfile.ZipFile(archive, "w", method) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return archive


def pack_model(archive: Path, top: str = "", **more: bytes) -> Path:
    """A model that is served, in the folder `top` of the zip; `more` by name with `_` for `.`."""
    files: Files = {**SMALL, **{name.replace("_", "."): content for name, content in more.items()}}
    return pack(archive, {f"{top}{name}": content for name, content in files.items()})


def pack_folder(archive: Path, folder: Path, top: str = "") -> Path:
    """A zip of what is in `folder`."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return pack(archive, {f"{top}{path.relative_to(folder)}": path.read_bytes() for path in files})
