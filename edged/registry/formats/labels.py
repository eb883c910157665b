"""Label files: one label a line."""

from __future__ import annotations

import re
from typing import List, Tuple

from edged.errors import ModelFolderError
from edged.registry.folder import Folder

_LIMIT = 1 << 20
_COLON = re.compile(r"[0-9]+\s*:")
_NUMBERED = re.compile(r"([0-9]{1,9})(?:\s*:|\s)\s*(.*)")


def read_labels(folder: Folder, name: str) -> Tuple[str, ...]:
    """As `label_lines`."""
    return label_lines(decode(folder.read(name, _LIMIT), name))


def label_lines(text: str) -> Tuple[str, ...]:
    """Empty lines count inside the text, not at its end.

    `281 tabby, tabby cat` or `281:tabby, tabby cat` is `tabby, tabby cat` when every line
    begins with a number of its own, from 0 on (or from 1, before a colon); their order does
    not matter then.
    """
    # Not splitlines(): it breaks lines at characters that may stand in a label.
    lines = [line.strip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return tuple(_without_numbers(lines))


def labels_beside(folder: Folder, *names: str) -> Tuple[str, ...]:
    """As `read_labels`, of the first of these files that is there; () where none is."""
    for name in names:
        if folder.exists(name):
            return read_labels(folder, name)
    return ()


def decode(data: bytes, name: str) -> str:
    """The text of the file `name`, whichever of two encodings it is in."""
    for encoding in ("utf-8-sig", "gb18030"):  # Chinese exporters on Windows write GBK
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:  # UTF-16, or no text at all
            return text
    raise ModelFolderError(f"{name} is neither UTF-8 nor GBK text")


def _without_numbers(lines: List[str]) -> List[str]:
    labels = {}
    for line in lines:
        match = _NUMBERED.fullmatch(line)
        if match is None:
            return lines
        labels[int(match[1])] = match[2]
    numbers = sorted(labels)
    first = 1 if numbers[:1] == [1] and all(_COLON.match(line) for line in lines) else 0
    if numbers == list(range(first, first + len(lines))):
        return [labels[number] for number in numbers]
    return lines
