"""Values that are read when somebody asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Optional, Tuple

Labels = Tuple[str, ...]
"""The values of a metric's labels, in their order."""

Samples = Dict[str, Dict[Labels, float]]
"""Name of a metric -> labels -> value."""


def read_text(path: Path) -> Optional[str]:
    """None for a file that is not there or not to be read; sensors may answer with an error."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def read_number(path: Path, base: int = 10) -> Optional[int]:
    """As `read_text`; None for what is not a number, too."""
    try:
        return int(read_text(path) or "", base)
    except ValueError:
        return None
