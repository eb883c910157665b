"""The fields of a JSON body, each read on its own: what is wrong with it is told by its name."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import Any, List, Optional, TypeVar, Union

import msgspec

from edged.datasets.types import Box, Label
from edged.errors import BadParam

Raw = msgspec.Raw
"""A field as it stands in the body; empty where it does not."""

T = TypeVar("T")
_Number = Union[int, float, str]

_INTEGER = re.compile("[+-]?[0-9]{1,24}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{0,32})?")
MOST_LABELS = 10_000
"""Of an entity. What an object takes in memory, and of the loop's time, is many times its text."""
_MOST_LABEL_BYTES = 1 << 20
_NULL = b"null"


class _Label(msgspec.Struct):
    label_name: Optional[str] = None
    left: Optional[_Number] = None
    top: Optional[_Number] = None
    width: Optional[_Number] = None
    height: Optional[_Number] = None


def text_of(raw: Raw, name: str) -> str:
    """Raises BadParam, here and below."""
    text: str = _decode(raw, str, name)
    return text


def number_of(raw: Raw, name: str, default: Optional[int] = None) -> int:
    """A whole number, or one written as text, or as 5.0: some languages know no other."""
    if default is not None and _is_missing(raw):
        return default
    value: _Number = _decode(raw, _Number, name)
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, (int, float)) and value == math.floor(value):
        return int(value)
    raise BadParam(f"param[{name}] is no whole number")


def flag_of(raw: Raw, name: str, default: bool) -> bool:
    """true or false, or one of them as text."""
    if _is_missing(raw):
        return default
    value: Union[bool, str] = _decode(raw, Union[bool, str], name)
    if isinstance(value, str):
        if value.strip().lower() not in ("true", "false"):
            raise BadParam(f"param[{name}] is neither true nor false")
        return value.strip().lower() == "true"
    return value


def labels_of(raw: Raw, boxes: bool) -> List[Label]:
    """The list `labels`. With `boxes`, each has one; else what there is of one is passed over."""
    if memoryview(raw).nbytes > _MOST_LABEL_BYTES:
        raise BadParam(f"param[labels] is over {_MOST_LABEL_BYTES >> 20} MiB")
    # Counted before they are made; no name may have a brace.
    if bytes(raw).count(b"{") > MOST_LABELS:
        raise BadParam(f"param[labels] has over {MOST_LABELS} labels")
    given: List[_Label] = _decode(raw, List[_Label], "labels")
    return [_label(one, boxes) for one in given]


def _label(given: _Label, boxes: bool) -> Label:
    if given.label_name is None:
        raise BadParam("param[label_name] is missing in labels")
    if not boxes:
        return Label(given.label_name)
    sides = (given.left, given.top, given.width, given.height)
    names = ("left", "top", "width", "height")
    return Label(given.label_name, Box(*map(_pixels, sides, names)))


def _pixels(value: Optional[_Number], name: str) -> float:
    if isinstance(value, str) and not _DECIMAL.fullmatch(value.strip()):
        value = None
    with suppress(OverflowError):  # of an integer that no float is as large as
        if value is not None:
            return float(value)
    raise BadParam(f"param[{name}] of a label must be a number of pixels")


def _is_missing(raw: Raw) -> bool:
    view = memoryview(raw)  # of a picture there are megabytes
    return not view.nbytes or view == _NULL


def _decode(raw: Raw, kind: Any, name: str) -> Any:
    if _is_missing(raw):
        raise BadParam(f"param[{name}] is missing")
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadParam(f"param[{name}] is not of its kind") from None
