"""Forms, multipart/form-data and application/x-www-form-urlencoded.

Both readers are bounded in the work they do: the loop waits meanwhile, and a body of
16 MiB may hold millions of whatever separates its parts.
"""

from __future__ import annotations

import binascii
import mmap
import re
from typing import Dict, Union

from edged.errors import InvalidArgument

# A form of the contracts has a handful of parts, each with some hundred bytes of headers.
_MOST_PARTS = 64
_MOST_HEADER_BYTES = 8192
# A parameter of a header: its name, its value in quotes or bare.
_PARAMETER = re.compile(rb';\s*([\w*-]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^;\s]*))')
_DISPOSITION = b"content-disposition:"
_MOST_BARE_EQUALS = 64


def parse_multipart(body: bytes, boundary: bytes) -> Dict[str, bytes]:
    """The parts of `body` by their names; those without a name are left out.

    By the bytes, where aiohttp's reader takes 0.2 ms of the loop for each part and holds
    no limit on what is not in a part. Raises InvalidArgument.
    """
    found = find_parts(body, boundary)
    return {name: body[part.start : part.stop] for name, part in found.items()}


def find_parts(body: Union[bytes, mmap.mmap], boundary: bytes) -> Dict[str, range]:
    """As `parse_multipart`: where in `body` they are."""
    parts: Dict[str, range] = {}
    number = 0
    delimiter = b"\r\n--" + boundary
    # The first boundary may have no line before it.
    at = -2 if body[: len(delimiter) - 2] == delimiter[2:] else body.find(delimiter)
    while at != -1:
        start = at + len(delimiter)
        if body[start : start + 2] == b"--":
            return parts
        at = body.find(delimiter, start)
        end = len(body) if at == -1 else at
        if number == _MOST_PARTS:
            raise InvalidArgument(f"the form has more than {_MOST_PARTS} fields")
        head = body.find(b"\r\n\r\n", start, min(end, start + _MOST_HEADER_BYTES))
        if head < 0:
            raise _not_a_form(f"a part's headers do not end within {_MOST_HEADER_BYTES} bytes")
        name = _name(body[start:head].strip())
        if name in parts:
            raise InvalidArgument(f"the form has more than one field `{name[:64]}`")
        number += 1
        if name:
            parts[name] = range(head + 4, end)
    raise _not_a_form("its closing boundary is missing")


def boundary_of(content_type: str) -> bytes:
    """Raises InvalidArgument when it is not the Content-Type of such a form."""
    header = content_type.encode("utf-8", "surrogateescape")
    if not header.lower().startswith(b"multipart/"):
        raise _not_a_form("its Content-Type says otherwise")
    boundary = _parameter(header, b"boundary")
    if not boundary:
        raise _not_a_form("its Content-Type names no boundary")
    return boundary


def _name(headers: bytes) -> str:
    """The field's name from its Content-Disposition, empty when it has none."""
    for line in headers.split(b"\r\n"):
        if line[: len(_DISPOSITION)].lower() == _DISPOSITION:
            return _parameter(line, b"name").decode(errors="replace")
    return ""


def _parameter(header: bytes, name: bytes) -> bytes:
    for key, quoted, bare in _PARAMETER.findall(header):
        if key.lower() == name:
            value: bytes = quoted or bare
            return value
    return b""


def _not_a_form(reason: str) -> InvalidArgument:
    return InvalidArgument(f"the body is not multipart/form-data: {reason}")


def parse_urlencoded(body: bytes) -> Dict[str, bytes]:
    """The fields by their names; of a repeated name the last. Raises InvalidArgument.

    A bare `+` stays: no field of the contracts has a space, and clients forget to escape
    the `+` of base64.
    """
    pieces = body.strip(b"\r\n").split(b"&", _MOST_PARTS)
    if len(pieces) > _MOST_PARTS:
        raise InvalidArgument(f"the form has more than {_MOST_PARTS} fields")
    fields = {}
    for piece in pieces:
        name, _, value = piece.partition(b"=")
        fields[_unescape(name).decode(errors="replace")] = _unescape(value)
    return fields


def _unescape(value: bytes) -> bytes:
    """What urllib's `unquote_to_bytes` gives, which takes 25 ms of the loop for a megabyte.

    Quoted-printable is the same code with another sign, and in the library in C; it is
    more lenient. Raises InvalidArgument for a `%` that escapes nothing.
    """
    if b"%" not in value:
        return value
    if value.count(b"=") > _MOST_BARE_EQUALS:
        raise InvalidArgument("a field of the form has `=` all over it")
    bare = value.replace(b"=", b"%3D")
    plain = binascii.a2b_qp(bare.replace(b"%", b"="))
    # An escape is two characters longer than what it stands for; what is none is shortened
    # by less, except before the end of a line.
    if len(bare) - len(plain) != 2 * bare.count(b"%") or b"%\n" in value or b"%\r" in value:
        raise InvalidArgument("a field of the form has a `%` that escapes nothing")
    return plain
