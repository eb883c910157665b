"""Label files: one label a line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List, Tuple

from edged.errors import ModelFolderError
from edged.registry.files import read_inside

_LIMIT = 1 << 20
_NUMBERED = re.compile(r"([0-9]{1,9})\s+(.*)")


def read_labels(folder: Path, name: str) -> Tuple[str, ...]:
    """Empty lines count inside the file, not at its end.

    `281 tabby, tabby cat` is `tabby, tabby cat` when every line begins with its own number.
    """
    text = _decode(read_inside(folder, name, _LIMIT), name)
    # Not splitlines(): it breaks lines at characters that may stand in a label.
    lines = [line.strip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return tuple(_without_numbers(lines))


def _decode(data: bytes, name: str) -> str:
    for encoding in ("utf-8-sig", "gb18030"):  # Chinese exporters on Windows write GBK
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:  # UTF-16, or no text at all
            return text
    raise ModelFolderError(f"{name} is neither UTF-8 nor GBK text")


def _without_numbers(lines: List[str]) -> List[str]:
    labels = []
    for index, line in enumerate(lines):
        match = _NUMBERED.fullmatch(line)
        if match is None or int(match[1]) != index:
            return lines
        labels.append(match[2])
    return labels
