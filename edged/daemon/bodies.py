"""What stands in a body: JSON, and pictures in base64."""

from __future__ import annotations

import re
from typing import Optional, Type, TypeVar

import msgspec
import pybase64

from edged.errors import (
    BadBase64,
    BadMid,
    BodyTooLarge,
    ImageMissing,
    InvalidArgument,
    NotJson,
    UnknownModel,
)

Fields = TypeVar("Fields")

# More digits than any mid has; beyond them an integer does not travel in JSON or msgpack.
MOST_DIGITS = 18

_BOM = b"\xef\xbb\xbf"


def parse_json(body: bytes, kind: Type[Fields]) -> Fields:
    """Of a name that is there twice the last holds. Raises ImageMissing for an empty body,
    NotJson, and InvalidArgument for JSON of another kind.
    """
    if not body.strip():
        raise ImageMissing("the body is empty: it must be JSON")
    try:
        return msgspec.json.decode(body[3:] if body[:3] == _BOM else body, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"the body is JSON of another kind: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJson(f"the body is not valid JSON: {error}") from None


def parse_mid(text: str) -> int:
    """Raises BadMid, and UnknownModel for a number that no model has."""
    if not re.fullmatch("[0-9]+", text):
        raise BadMid(f"mid must be a number, not {text[:32]!r}")
    if len(text) > MOST_DIGITS:
        raise UnknownModel(f"there is no model with mid {text[:32]}")
    return int(text)


def decode_base64(text: Optional[str], field: str, most: Optional[int] = None) -> bytes:
    """Strict, but line breaks may stand in it, as MIME encoders make them.

    Raises ImageMissing, BodyTooLarge where there are over `most` characters, and BadBase64;
    all of them name the `field`.
    """
    if text and ("\n" in text or "\r" in text):
        text = text.replace("\n", "").replace("\r", "")
    if not text:
        raise ImageMissing(f"the field `{field}` is missing or empty")
    if most is not None and len(text) > most:
        raise BodyTooLarge(f"the field `{field}` has over {most} characters of base64")
    if text.startswith("data:"):
        raise BadBase64(f"the field `{field}` must not have a `data:...;base64,` header")
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError as error:
        raise BadBase64(f"the field `{field}` is not base64: {error}") from None
