"""The readers of forms: what was put in comes back, and anything else is refused."""

from __future__ import annotations

import contextlib
from typing import Dict
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.daemon.forms import parse_multipart, parse_urlencoded
from edged.errors import InvalidArgument
from tests.daemon.contract import form

names = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=8)


@given(st.dictionaries(names, st.binary(), max_size=8))
def test_what_a_form_is_made_of_comes_back(fields: Dict[str, bytes]) -> None:
    clean = {name: content for name, content in fields.items() if b"\r\n--edge" not in content}
    assert parse_multipart(form(*clean.items()), b"edge") == clean


@given(st.binary(), st.binary(min_size=1, max_size=4))
def test_any_bytes_are_a_form_or_an_invalid_argument(body: bytes, boundary: bytes) -> None:
    for text in (body, b"--" + boundary + b"\r\n" + body, form(("x", body))):
        with contextlib.suppress(InvalidArgument):
            parse_multipart(text, boundary)


@given(
    st.dictionaries(st.text(min_size=1, max_size=8), st.text("ab+/= %é\n", max_size=40), max_size=4)
)
def test_a_form_that_is_escaped_gives_its_values_back(fields: Dict[str, str]) -> None:
    body = "&".join(f"{quote(name, '')}={quote(value, '')}" for name, value in fields.items())
    values = parse_urlencoded(body.encode())
    assert {name: values[name].decode() for name in fields} == fields


@given(st.text("%=+2Bbfzé\r\n", max_size=12).map(str.encode))
def test_escapes_are_urllibs_or_the_form_is_refused(value: bytes) -> None:
    with contextlib.suppress(InvalidArgument):
        body = b"image=" + value + b"."
        assert parse_urlencoded(body) == {"image": unquote_to_bytes(value) + b"."}


@pytest.mark.parametrize("value", [b"abc%", b"a%%b", b"a%zz", b"a%\nb", b"%", b"a%4"])
def test_a_percent_sign_that_escapes_nothing_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidArgument):
        parse_urlencoded(b"image=" + value + b"&x=1")


@pytest.mark.parametrize("body", [b"&" * 100, b"image=%3D" + b"=" * 100])
def test_a_form_that_would_hold_up_the_others_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidArgument):
        parse_urlencoded(body)


def test_a_plus_that_was_not_escaped_stays() -> None:
    assert parse_urlencoded(b"image=ab+/cd==&x=1\n") == {"image": b"ab+/cd==", "x": b"1"}
