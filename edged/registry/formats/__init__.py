"""One module for each exporter; a new one is a line in `FORMATS`."""

from __future__ import annotations

from typing import Protocol, Tuple

from edged.registry.folder import Folder
from edged.registry.formats import (
    easyedge,
    edgeboard,
    native,
    paddleclas,
    paddledetection,
    paddleocr,
    paddleseg,
    paddlex,
)
from edged.registry.spec import Description


class Format(Protocol):
    """What a module in `FORMATS` offers. Both functions may raise ModelFolderError."""

    EXPORTER: str

    def recognise(self, folder: Folder) -> bool:
        """Whether the folder is this exporter's, fit to be served or not."""

    def read(self, folder: Folder) -> Description: ...


FORMATS: Tuple[Format, ...] = (
    paddleocr,
    native,
    edgeboard,
    easyedge,
    paddlex,
    paddledetection,
    paddleseg,
    paddleclas,
)
"""In the order in which they are asked; the first that recognises a folder reads it."""
