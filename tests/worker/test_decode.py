"""Pixels the way a viewer shows them, whole or not at all; Pillow says what is right."""

from __future__ import annotations

import io
import resource
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edged.errors import BadImage
from edged.image_header import read_header
from edged.worker.decode import decode
from tests.pictures import bgr, encoded, landscape, place, turned

PICTURE = landscape()
JPEG = encoded(PICTURE)
PROGRESSIVE = encoded(PICTURE, progressive=True)
RESTARTS = encoded(PICTURE, restart_marker_rows=1)


def assert_shows(data: bytes, image: Image.Image, tolerance: int = 0) -> None:
    pixels = decode(data)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    expected = bgr(image)
    assert pixels.shape == expected.shape
    assert int(np.abs(pixels.astype(int) - expected).max()) <= tolerance


def shown(data: bytes) -> Image.Image:
    """What Pillow makes of a sound file."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


# -- JPEG


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"subsampling": 0},
        {"subsampling": 1},
        {"quality": 10},
        {"optimize": True},
        {"restart_marker_rows": 1},
        {"restart_marker_blocks": 2},
        {"icc_profile": bytes(70_000)},
        {"comment": b"\xff\xd9 a comment \xff\xda"},
        {"dpi": (300, 300)},
    ],
    ids=repr,
)
def test_jpeg_as_encoders_write_it(options: Any) -> None:
    data = encoded(PICTURE, **options)
    assert_shows(data, shown(data), tolerance=1)


@pytest.mark.parametrize("size", [(1, 1), (1, 99), (99, 1), (8, 8), (17, 15), (500, 3)])
def test_jpeg_of_odd_sizes(size: Any) -> None:
    data = encoded(landscape(*size))
    assert_shows(data, shown(data), tolerance=1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    """At the corners, where nothing but the right turn puts the right colours."""
    data = turned(PICTURE, orientation, quality=100, subsampling=0)
    assert_shows(data, PICTURE, tolerance=6)


def test_grey_jpeg() -> None:
    data = encoded(PICTURE.convert("L"))
    assert_shows(data, shown(data))


def test_cmyk_jpeg() -> None:
    data = encoded(PICTURE.convert("CMYK"), quality=100)
    assert_shows(data, shown(data), tolerance=3)


def test_cmyk_jpeg_cut_short() -> None:
    data = encoded(PICTURE.convert("CMYK"))
    assert_bad(data[: len(data) * 2 // 3])


def test_a_jpeg_of_very_many_scans() -> None:
    """Each is a few bytes, and the decoder's work is that of a whole picture."""
    scan = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
    with pytest.raises(BadImage, match="scans"):
        decode(PROGRESSIVE[:-2] + scan * 200 + PROGRESSIVE[-2:])


def test_a_scan_behind_the_only_one() -> None:
    """libjpeg refuses it at once, so that these need not be counted."""
    assert not read_header(JPEG).in_scans
    assert_bad(JPEG[:-2] + JPEG[JPEG.rindex(b"\xff\xda") : -2] + JPEG[-2:])


def assert_bad(data: bytes) -> None:
    with pytest.raises(BadImage):
        decode(data)


@pytest.mark.parametrize("data", [JPEG, PROGRESSIVE, RESTARTS], ids=["plain", "scans", "restarts"])
class TestEnds:
    """What follows the last pixel may be missing or too much; a pixel may not be missing."""

    def test_without_the_end_marker(self, data: bytes) -> None:
        assert data[-2:] == b"\xff\xd9"
        assert_shows(data[:-2], shown(data), tolerance=1)

    def test_with_half_an_end_marker(self, data: bytes) -> None:
        assert_shows(data[:-1], shown(data), tolerance=1)

    @pytest.mark.parametrize(
        "more", [b"\0", b"\0" * 1000, b"\xff\xd9", b"\xff\xd8\xff", JPEG, b"--boundary--\r\n"]
    )
    def test_trailing_garbage(self, data: bytes, more: bytes) -> None:
        assert_shows(data + more, shown(data), tolerance=1)

    def test_padding_in_front_of_the_end_marker(self, data: bytes) -> None:
        assert_shows(data[:-2] + b"\0" * 64 + data[-2:], shown(data), tolerance=1)

    @pytest.mark.parametrize("share", [0.6, 0.75, 0.9])
    @pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
    def test_a_scan_cut_short(self, data: bytes, share: float, end: bytes) -> None:
        scan = data.rindex(b"\xff\xda")
        assert_bad(data[: scan + int((len(data) - scan) * share)] + end)

    def test_cut_in_the_header(self, data: bytes) -> None:
        for length in range(2, place(data, 0xDA) + 12):
            assert_bad(data[:length])

    @pytest.mark.parametrize("marker", [0xE0, 0xDB, 0xC4, 0xDA])
    def test_padding_between_segments(self, data: bytes, marker: int) -> None:
        at = place(data, marker)
        for padding in (b"\0", b"\0" * 63, b"garbage", b"\xff\xff"):
            assert_shows(data[:at] + padding + data[at:], shown(data), tolerance=1)

    def test_padding_hides_no_cut(self, data: bytes) -> None:
        """libjpeg warns of the padding first, and simplejpeg tells the first warning only."""
        at = place(data, 0xDB)
        padded = data[:at] + b"\0" * 9 + data[at:]
        assert_bad(padded[: len(padded) - (len(data) - data.rindex(b"\xff\xda")) // 3])

    def test_padding_on_both_sides(self, data: bytes) -> None:
        at = place(data, 0xDB)
        padded = data[:at] + b"\0" * 9 + data[at:-2] + b"\0" * 9 + data[-2:]
        assert_shows(padded, shown(data), tolerance=1)


# -- PNG, BMP, WebP


def png_16_bit(image: Image.Image) -> bytes:
    ok, data = cv2.imencode(".png", bgr(image).astype(np.uint16) * 257)
    assert ok
    return data.tobytes()


@pytest.mark.parametrize(
    ("data", "image"),
    [
        pytest.param(encoded(PICTURE, "PNG"), PICTURE, id="PNG"),
        pytest.param(encoded(PICTURE.convert("L"), "PNG"), PICTURE.convert("L"), id="grey PNG"),
        pytest.param(encoded(PICTURE.convert("1"), "PNG"), PICTURE.convert("1"), id="1-bit PNG"),
        pytest.param(encoded(PICTURE.convert("P"), "PNG"), PICTURE.convert("P"), id="palette PNG"),
        pytest.param(encoded(PICTURE.convert("RGBA"), "PNG"), PICTURE, id="PNG with alpha"),
        pytest.param(
            encoded(PICTURE.convert("LA"), "PNG"), PICTURE.convert("L"), id="grey PNG with alpha"
        ),
        pytest.param(png_16_bit(PICTURE), PICTURE, id="16-bit PNG"),
        pytest.param(encoded(PICTURE, "PNG") + b"more", PICTURE, id="PNG and more"),
        pytest.param(encoded(PICTURE, "BMP"), PICTURE, id="BMP"),
        pytest.param(encoded(PICTURE.convert("L"), "BMP"), PICTURE.convert("L"), id="grey BMP"),
        pytest.param(encoded(PICTURE.convert("P"), "BMP"), PICTURE.convert("P"), id="palette BMP"),
        pytest.param(encoded(PICTURE, "WEBP", lossless=True), PICTURE, id="lossless WebP"),
        pytest.param(
            encoded(PICTURE.convert("RGBA"), "WEBP", lossless=True), PICTURE, id="WebP with alpha"
        ),
    ],
)
def test_other_formats(data: bytes, image: Image.Image) -> None:
    assert_shows(data, image)


def test_lossy_webp() -> None:
    data = encoded(PICTURE, "WEBP", quality=90)
    assert_shows(data, shown(data), tolerance=2)


def test_grey_png_of_16_bits() -> None:
    grey = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    ok, data = cv2.imencode(".png", grey)
    assert ok
    assert_shows(data.tobytes(), Image.fromarray((grey >> 8).astype(np.uint8)))


def test_bmp_with_rows_from_the_top() -> None:
    flipped = bytearray(encoded(PICTURE.transpose(Image.Transpose.FLIP_TOP_BOTTOM), "BMP"))
    flipped[22:26] = struct.pack("<i", -PICTURE.height)
    assert_shows(bytes(flipped), PICTURE)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_other_formats_cut_short(kind: str, share: float) -> None:
    data = encoded(landscape(200, 150), kind)
    assert_bad(data[: int(len(data) * share)])


def test_pixels_that_are_not_of_the_size_in_the_header() -> None:
    """The limits are held against the header: here it is the canvas of a smaller WebP."""
    frame = encoded(PICTURE, "WEBP", lossless=True)[12:]
    for width, height in ((10, 10), (PICTURE.width, PICTURE.height + 1)):
        canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        content = b"WEBPVP8X" + struct.pack("<II", 10, 0) + canvas + frame
        lying = b"RIFF" + struct.pack("<I", len(content)) + content
        assert read_header(lying)[1:3] == (width, height)
        assert_bad(lying)


@pytest.mark.parametrize("length", [0xFFFF_FFFF, 0x7FFF_FFFF, 1 << 30, 5000])
@pytest.mark.parametrize("kind", [b"tEXt", b"IDAT", b"acTL", b"IEND"])
def test_a_png_chunk_that_says_it_is_huge(length: int, kind: bytes) -> None:
    """cv2 alone takes that much memory for it before it sees that there is nothing."""
    data = encoded(PICTURE, "PNG")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert_bad(data[:33] + struct.pack(">I", length) + kind + data[33:])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


# -- anything at all

SOUND = {
    "jpeg": JPEG,
    "progressive": PROGRESSIVE,
    "restarts": RESTARTS,
    "turned": turned(PICTURE, 6),
    "cmyk": encoded(PICTURE.convert("CMYK")),
    "grey": encoded(PICTURE.convert("L")),
    "png": encoded(PICTURE, "PNG"),
    "palette": encoded(PICTURE.convert("P"), "PNG"),
    "bmp": encoded(PICTURE, "BMP"),
    "palette bmp": encoded(PICTURE.convert("P"), "BMP"),
    "webp": encoded(PICTURE, "WEBP"),
    "lossless": encoded(PICTURE.convert("RGBA"), "WEBP", lossless=True),
}


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(SOUND)), st.data())
def test_any_damage_is_a_picture_or_a_bad_image(name: str, data: st.DataObject) -> None:
    damaged = bytearray(SOUND[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged)))
        action = data.draw(st.sampled_from(["change", "insert", "cut"]))
        if action == "insert":
            damaged[at:at] = data.draw(st.binary(max_size=20))
        elif action == "cut":
            del damaged[at : at + data.draw(st.integers(0, 50))]
        elif at < len(damaged):
            damaged[at] = data.draw(st.integers(0, 255))
    try:
        header = read_header(bytes(damaged))
        if header.width * header.height > 1_000_000:
            return  # the daemon's limits are for these
        pixels = decode(bytes(damaged))
    except BadImage:
        return
    size = (header.height, header.width)
    assert pixels.shape == (*(size if header.orientation < 5 else size[::-1]), 3)


@pytest.mark.parametrize("options", [{"kind": "PNG"}, {"kind": "WEBP", "lossless": True}])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_other_formats_are_turned_by_their_exif(options: Any, orientation: int) -> None:
    assert_shows(turned(PICTURE, orientation, **options), PICTURE)


@pytest.mark.parametrize("exif", [b"", b"II*", b"Exif", b"II*\0" + b"\xff" * 4, bytes(100_000)])
def test_a_broken_exif_spoils_no_webp(exif: bytes) -> None:
    data = encoded(PICTURE, "WEBP", lossless=True, exif=exif or b"\0")
    assert_shows(data, PICTURE)


def test_a_webp_with_its_exif_as_jpegs_have_it() -> None:
    """Some writers leave the six bytes before it that are a JPEG's."""
    stored = PICTURE.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    tiff = exif.tobytes()[6:]
    data = encoded(stored, "WEBP", lossless=True, exif=b"PLACE!" + tiff)
    assert_shows(data.replace(b"PLACE!", b"Exif\0\0"), PICTURE)
