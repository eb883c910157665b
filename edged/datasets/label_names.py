"""Labels by the names that the API allows, whoever gave them others."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Optional

from edged.datasets.rules import LABEL, MOST_LABEL
from edged.datasets.types import Box, Label

# Letters of the digest in a name: 50 bits.
_DIGEST = 10


def label_name(label: str) -> str:
    """What a label is called in a dataset: as it is, where the API allows that. Else its first
    letters that are allowed, and a digest of all of it.
    """
    if LABEL.fullmatch(label):
        return label
    digest = hashlib.sha256(label.encode("utf-8", "surrogatepass")).digest()
    suffix = base64.b32encode(digest).decode()[:_DIGEST].lower()
    words = re.findall("[0-9A-Za-z_]+", label)
    shown = "-".join(words)[: MOST_LABEL - _DIGEST - 1].rstrip("-")
    return f"{shown}-{suffix}" if shown else suffix


def label_of(name: str, box: Optional[Box] = None, origin: str = "") -> Label:
    """`origin` is what it was called before, where that is known."""
    allowed = label_name(name)
    return Label(allowed, box, origin or ("" if allowed == name else name))
