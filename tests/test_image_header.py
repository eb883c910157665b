"""Sizes and orientations from headers alone, and from headers that lie or end."""

from __future__ import annotations

import contextlib
import struct
from typing import Any, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import BadImage
from edged.image_header import ImageHeader, jpeg_segments, read_header
from tests.pictures import encoded, landscape, place, turned

WIDTH, HEIGHT = 61, 43
PICTURE = landscape(WIDTH, HEIGHT)
SOUND = {
    "jpeg": encoded(PICTURE),
    "progressive": encoded(PICTURE, progressive=True),
    "cmyk": encoded(PICTURE.convert("CMYK")),
    "png": encoded(PICTURE, "PNG"),
    "bmp": encoded(PICTURE, "BMP"),
    "webp": encoded(PICTURE, "WEBP"),
    "lossless webp": encoded(PICTURE, "WEBP", lossless=True),
    "webp with alpha": encoded(PICTURE.convert("RGBA"), "WEBP", exif=b"Exif\0\0"),
}


@pytest.mark.parametrize("name", SOUND)
def test_sizes(name: str) -> None:
    header = read_header(SOUND[name])
    assert (header.width, header.height, header.orientation) == (WIDTH, HEIGHT, 1)
    assert header.format in name or header.format == "jpeg"


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16383, 1), (1, 16383), (300, 257)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
def test_odd_sizes(kind: str, width: int, height: int) -> None:
    header = read_header(encoded(PICTURE.resize((width, height)), kind))
    assert (header.width, header.height) == (width, height)


def test_bmp_of_other_makes() -> None:
    """Rows from the top have a negative height; OS/2's header is short."""
    top_down = b"BM" + bytes(12) + struct.pack("<Iii", 40, WIDTH, -HEIGHT)
    assert read_header(top_down) == ImageHeader("bmp", WIDTH, HEIGHT, 1)
    short = b"BM" + bytes(12) + struct.pack("<IHH", 12, WIDTH, HEIGHT)
    assert read_header(short) == ImageHeader("bmp", WIDTH, HEIGHT, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xda\0\x02",
        b"\xff\xd8\xff\xe0\0\0",
        b"\xff\xd8\xff\xe0\xff\xff",
        b"\xff\xd8\xff\xc0\0\x0b\x08\0\0\0\0",
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIDAT" + bytes(20),
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + bytes(20),
        b"BM",
        b"BM" + bytes(12) + struct.pack("<Iii", 40, -5, 5),
        b"RIFF\0\0\0\0WEBP",
        b"RIFF\0\0\0\0WEBPVP9 " + bytes(40),
        b"RIFF\0\0\0\0WAVE" + bytes(40),
        b"GIF89a" + bytes(40),
        b"II*\0" + bytes(40),
        b"hello, world",
        b"{}",
    ],
    ids=repr,
)
def test_what_is_no_picture(data: bytes) -> None:
    with pytest.raises(BadImage):
        read_header(data)


def test_every_cut_of_a_header_is_a_bad_image() -> None:
    for name, data in SOUND.items():
        whole = read_header(data)
        for length in range(min(len(data), 2000)):
            with contextlib.suppress(BadImage):
                assert read_header(data[:length])[:4] == whole[:4], (name, length)


@pytest.mark.parametrize(
    "end",
    [b"", b"\xff", b"\xff" * 3, b"\xff\xe0", b"\xff\xe0\0", b"\xff\xe0\0\4\0\0\0", b"no marker"],
)
def test_segments_that_end_early_are_a_bad_image(end: bytes) -> None:
    with pytest.raises(BadImage, match="cut short"):
        list(jpeg_segments(b"\xff\xd8" + end))


def test_what_stands_between_segments_is_skipped() -> None:
    jpeg = SOUND["jpeg"]
    for between in (b"\0", b"\xff" * 1_000_000, b"\0\xff\xff"):
        assert read_header(jpeg[:2] + between + jpeg[2:]) == read_header(jpeg)


# -- EXIF


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int) -> None:
    header = read_header(turned(PICTURE, orientation))
    stored = (WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH)
    assert (header.width, header.height, header.orientation) == (*stored, orientation)


def with_exif(tiff: bytes, prefix: bytes = b"Exif\0\0") -> bytes:
    content = prefix + tiff
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(content) + 2) + content + SOUND["jpeg"][2:]


def tiff(order: str, orientation: int, before: int = 3, kind: int = 3, at: int = 8) -> bytes:
    """An IFD at byte `at` with some other tags in front of the orientation."""
    mark = b"II" if order == "<" else b"MM"
    entries = [struct.pack(order + "HHII", 0x0100 + tag, 4, 1, 7) for tag in range(before)]
    entries.append(struct.pack(order + "HHIHH", 0x0112, kind, 1, orientation, 0))
    head = mark + struct.pack(order + "HI", 42, at)
    return head.ljust(at, b"\0") + struct.pack(order + "H", len(entries)) + b"".join(entries)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_both_byte_orders(order: str, orientation: int) -> None:
    for data in (tiff(order, orientation), tiff(order, orientation, before=0, at=99)):
        assert read_header(with_exif(data)).orientation == orientation


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"II",
        b"XX" + tiff("<", 6)[2:],
        tiff("<", 0),
        tiff("<", 9),
        tiff(">", 6, kind=4),
        tiff("<", 6)[:-6],
        b"II*\0\xff\xff\xff\xff" + bytes(40),
        b"MM\0*\0\0\0\x08\xff\xff" + bytes(40),
    ],
    ids=repr,
)
def test_broken_exif_spoils_no_picture(data: bytes) -> None:
    assert read_header(with_exif(data)) == ImageHeader("jpeg", WIDTH, HEIGHT, 1)


def test_another_application_segment_is_not_exif() -> None:
    xmp = with_exif(tiff("<", 6), prefix=b"http://ns.adobe.com/xap/1.0/\0")
    assert read_header(xmp).orientation == 1


# -- what may stand between a JPEG's segments


@pytest.mark.parametrize("padding", [b"\0", b"\0" * 99, b"abc", b"\xff\xff\xff", b"\xff\0\xff\0"])
@pytest.mark.parametrize("marker", [0xE0, 0xDB, 0xC0])
def test_padding_is_skipped_as_decoders_do(padding: bytes, marker: int) -> None:
    at = place(SOUND["jpeg"], marker)
    padded = SOUND["jpeg"][:at] + padding + SOUND["jpeg"][at:]
    assert read_header(padded) == read_header(SOUND["jpeg"])


@pytest.mark.parametrize("filling", [b"\xff\xe0\0\2", b"\xff\xd0", b"\xff\0"])
def test_nothing_but_markers(filling: bytes) -> None:
    """The loop of the daemon walks them, so it must stop early."""
    with pytest.raises(BadImage, match="too many"):
        read_header(b"\xff\xd8" + filling * 5000 + SOUND["jpeg"][2:])


def test_a_frame_inside_another_segment_is_none() -> None:
    """A thumbnail lies whole in the EXIF segment; its size is not the picture's."""
    thumbnail = encoded(PICTURE.resize((8, 8)))
    assert read_header(with_exif(tiff("<", 3) + thumbnail)).width == WIDTH


# -- anything at all

PREFIXES: List[bytes] = [
    b"",
    b"\xff\xd8",
    b"\xff\xd8\xff\xe1\0\x40Exif\0\0II*\0\x08\0\0\0",
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
    b"BM",
    b"RIFF\0\0\0\0WEBP",
    b"RIFF\0\0\0\0WEBPVP8 ",
    b"RIFF\0\0\0\0WEBPVP8L",
    b"RIFF\0\0\0\0WEBPVP8X",
]


def check(data: bytes) -> None:
    with contextlib.suppress(BadImage):
        header = read_header(data)
        assert header.width >= 1
        assert header.height >= 1
        assert 1 <= header.orientation <= 8


@given(st.sampled_from(PREFIXES), st.binary(max_size=200))
def test_any_bytes_are_a_header_or_a_bad_image(prefix: bytes, data: bytes) -> None:
    check(prefix + data)


@given(st.sampled_from(sorted(SOUND)), st.data())
def test_any_damage_is_a_header_or_a_bad_image(name: str, data: st.DataObject) -> None:
    damaged = bytearray(SOUND[name])
    places = st.integers(0, min(len(damaged), 700) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(places)] = data.draw(st.integers(0, 255))
    check(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


def test_a_webp_is_not_searched_without_end() -> None:
    """The EXIF is behind the pixels; a body of nothing but chunks has millions."""
    data = turned(PICTURE, 6, kind="WEBP")
    at = data.index(b"EXIF")
    assert read_header(data).orientation == 6
    assert read_header(data[:at] + (b"XMP " + bytes(4)) * 100 + data[at:]).orientation == 6
    assert read_header(data[:at] + (b"XMP " + bytes(4)) * 5000 + data[at:]).orientation == 1


@pytest.mark.parametrize(
    ("options", "in_scans"),
    [({}, False), ({"progressive": True}, True), ({"restart_marker_rows": 1}, False)],
)
def test_whether_a_jpeg_comes_in_scans(options: Any, in_scans: bool) -> None:
    assert read_header(encoded(PICTURE, **options)).in_scans is in_scans


def test_a_colour_in_a_scan_of_its_own() -> None:
    data = bytearray(encoded(PICTURE))
    scan = data.index(b"\xff\xda")
    assert data[scan + 4] == 3
    data[scan + 4] = 1
    assert read_header(bytes(data)).in_scans
