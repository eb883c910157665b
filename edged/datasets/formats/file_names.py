"""Names of entities as names of files that every system and every list takes."""

from __future__ import annotations

import re
import unicodedata
from typing import Iterator

# White space, since lists have names and labels side by side; the rest no file of Windows may have.
_UNFIT = re.compile(r'[\s<>:"/\\|?*]')
_DEVICES = re.compile("(con|prn|aux|nul|com[0-9]|lpt[0-9])(?![^.])", re.IGNORECASE)
# Hidden files, options of a command, and the parents of a folder begin so.
_FIRST = (".", "-", "~")
# Of the 255 bytes that a name may have, what is left by a digest and a suffix.
_MOST_BYTES = 160
_SUFFIXES = {".jpg": (".jpg", ".jpeg")}
# How many digits make a name another one; all of them do.
_DIGITS = (8, 16, 64, None)


def safe_name(name: str, suffix: str) -> str:
    """`suffix` is what a file of that content has; a name without it gets it."""
    fit = "".join(sign if sign.isprintable() else "_" for sign in _UNFIT.sub("_", name))
    stem, dot, given = fit.rpartition(".")
    if f".{given.lower()}" not in _SUFFIXES.get(suffix, (suffix,)) or not stem:
        stem, dot, given = fit, "", suffix
    stem = stem.rstrip(".")
    if stem.startswith(_FIRST) or _DEVICES.match(stem) or not stem:
        stem = f"_{stem}"
    return f"{_cut(stem)}{dot}{given}"


def other_names(name: str, digits: str) -> Iterator[str]:
    """What the file is called where there is one of its name: with the first of the digits."""
    stem, dot, suffix = name.rpartition(".")
    for count in _DIGITS:
        yield f"{stem}-{digits[:count]}{dot}{suffix}"


def collision_key(name: str) -> str:
    """The same for names that some system takes for one. The suffix does not count: annotations
    have the name of their picture with a suffix of their own."""
    stem = name.rpartition(".")[0]
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", stem).casefold())


def _cut(stem: str) -> str:
    return stem.encode()[:_MOST_BYTES].decode("utf-8", "ignore")
