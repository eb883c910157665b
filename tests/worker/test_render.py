"""Drawn pictures, held to what a viewer may expect of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edged.results import BBox, Result
from edged.worker import fonts
from edged.worker.render import draw
from edged.worker.rle import encode
from edged.worker.style import class_color, sizes_for

Picture = NDArray[np.uint8]
Texts = List[str]
Corners = List[Tuple[int, int]]

GREY = 128
ODD_LABELS = (
    "",
    "a" * 300,
    "很长的标签" * 60,
    "line\nbreak\ttab\x00\x1b[31m\x7f",
    "\ud800 half a pair",
    "\u202eright to left",
    "خوذة الأمان",
    "🦺",
    "helmet 🦺\ufe0f",
    "e" + "\u0301" * 50,
    "\u200b\u200d",
)


@pytest.fixture(autouse=True)
def _fresh_fonts() -> Iterator[None]:
    fonts.forget()
    yield
    fonts.forget()


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "FONT_DIRS", ())


@pytest.fixture
def latin_font(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine whose only usable font, Pillow's own, knows no Chinese."""
    image_font = pytest.importorskip("PIL.ImageFont")
    source = image_font.load_default(20).path
    if not isinstance(source, io.BytesIO):
        pytest.skip("this Pillow carries no font of its own")
    (tmp_path / "latin.ttf").write_bytes(source.getvalue())
    (tmp_path / "broken.ttf").write_bytes(b"no font at all")
    monkeypatch.setattr(fonts, "FONT_DIRS", (str(tmp_path),))


@pytest.fixture
def chinese_font() -> None:
    if fonts.face_for("安全帽") is None:
        pytest.skip("no font with Chinese glyphs here (Debian: fonts-wqy-microhei)")


@pytest.fixture
def put_texts(monkeypatch: pytest.MonkeyPatch) -> Texts:
    """What cv2 was asked to write, in order."""
    texts: Texts = []
    put_text = cv2.putText

    def spy(picture: Any, text: str, *rest: Any) -> Any:
        texts.append(text)
        return put_text(picture, text, *rest)

    monkeypatch.setattr(cv2, "putText", spy)
    return texts


def grey(width: int, height: int, value: int = GREY) -> Picture:
    return np.full((height, width, 3), value, np.uint8)


def noise(width: int, height: int) -> Picture:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3)).astype(np.uint8)


def found(
    label: str,
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    index: int = 0,
    score: float = 0.9,
) -> Result:
    return Result(index, label, score, BBox(x, y, width, height))


def answer(label: str, score: float, index: int = 0) -> Result:
    return Result(index, label, score, BBox(0, 0, 100, 100))


def luminance(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Relative luminance by WCAG 2 of (..., 3) of 0..255, BGR."""
    share = np.asarray(pixels, np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.0722, 0.7152, 0.2126]))


def contrast(pixels: NDArray[Any]) -> float:
    """Between the lightest and the darkest of (..., 3)."""
    light = luminance(pixels)
    return float((light.max() + 0.05) / (light.min() + 0.05))


def tag_of(result: Result, width: int, height: int) -> Picture:
    """The pixels of a result's tag, drawn where it has all the room it needs."""
    canvas = grey(width, height)
    middle = BBox(width // 4, height // 2, 1, 1)
    draw(canvas, [Result(result.index, result.label, result.score, middle)], "detection")
    sizes = sizes_for(width, height)
    bottom = height // 2 - sizes.line // 2
    changed = np.nonzero((canvas[bottom - sizes.text : bottom] != GREY).any(axis=(0, 2)))[0]
    return canvas[bottom - sizes.text : bottom, changed[0] : changed[-1] + 1]


def where(picture: Picture, patch: Picture) -> Tuple[int, int]:
    """x, y of a patch that is in the picture whole and unharmed."""
    difference = cv2.matchTemplate(picture, patch, cv2.TM_SQDIFF)
    y, x = np.unravel_index(int(difference.argmin()), difference.shape)
    rows, columns = patch.shape[:2]
    assert np.array_equal(picture[y : y + rows, x : x + columns], patch), "not there whole"
    return int(x), int(y)


@pytest.mark.parametrize("x", [-50, 0, 290, 600, 639])
@pytest.mark.parametrize("y", [-40, 0, 3, 200, 455, 479])
@pytest.mark.parametrize("side", [1, 30, 120])
def test_a_label_is_whole_and_in_the_frame_wherever_its_box_is(x: int, y: int, side: int) -> None:
    result = found("person", x, y, side, side)
    picture = grey(640, 480)
    draw(picture, [result], "detection")
    if x + side >= 0 and y + side >= 0:
        where(picture, tag_of(result, 640, 480))


def test_a_label_sits_on_its_box_and_inside_it_at_the_top_edge() -> None:
    on_top, inside = found("low", 100, 200, 200, 150), found("high", 100, 0, 200, 150, index=1)
    picture = grey(640, 480)
    draw(picture, [on_top, inside], "detection")
    sizes = sizes_for(640, 480)
    x, y = where(picture, tag_of(on_top, 640, 480))
    assert abs(x - 100) <= sizes.line
    assert abs(y + sizes.text - 200) <= sizes.line
    assert where(picture, tag_of(inside, 640, 480))[1] == 0


def test_a_label_reads_the_same_on_any_background() -> None:
    result = found("person", 200, 200, 100, 100)
    tag = tag_of(result, 640, 480)
    for picture in (grey(640, 480, 0), grey(640, 480, 255), noise(640, 480)):
        draw(picture, [result], "detection")
        where(picture, tag)


@pytest.mark.parametrize("size", [(100, 80), (640, 480), (1920, 1080)])
def test_text_stands_out_from_its_label(size: Tuple[int, int]) -> None:
    for index in range(80):
        tag = tag_of(found("person", 0, 0, 1, 1, index=index), *size)
        assert contrast(tag) >= 4.5


def test_a_class_has_the_same_color_in_every_picture() -> None:
    other = found("dog", 400, 300, 50, 50, index=4)
    for results in ([], [other]):
        picture = grey(640, 480)
        draw(picture, [*results, found("person", 100, 100, 80, 80, index=3)], "detection")
        assert tuple(picture[150, 100]) == class_color(3)


def test_sizes_are_in_proportion() -> None:
    for smaller, larger in zip(sizes_for(1920, 1080), sizes_for(3840, 2160)):
        assert larger == pytest.approx(2 * smaller, rel=0.15)
    small, large = grey(1920, 1080), grey(3840, 2160)
    draw(small, [found("person", 400, 400, 400, 300)], "detection")
    draw(large, [found("person", 800, 800, 800, 600)], "detection")
    shrunk = cv2.resize(large, (1920, 1080), interpolation=cv2.INTER_AREA)
    drawn = np.count_nonzero((small != GREY).any(axis=2))
    assert np.count_nonzero((np.abs(shrunk - 128.0) > 20).any(axis=2)) == pytest.approx(
        drawn, rel=0.2
    )


def test_the_score_has_two_digits(put_texts: Texts) -> None:
    draw(grey(640, 480), [found("person", 9, 99, 99, 99, score=0.92678)], "detection")
    assert put_texts == ["0.93", "person"]


def test_a_long_label_is_shortened_and_keeps_its_score(put_texts: Texts) -> None:
    picture = grey(640, 480)
    draw(picture, [found("excavator " * 20, 600, 99, 30, 30)], "detection")
    assert {"0.90", "..."} < set(put_texts)
    assert any(text.startswith("excavator e") for text in put_texts)


@pytest.mark.parametrize("label", ODD_LABELS)
@pytest.mark.parametrize("task", ["detection", "classification"])
@pytest.mark.parametrize("size", [(15, 15), (640, 480)])
def test_any_label_is_survived(
    label: str, task: str, size: Tuple[int, int], put_texts: Texts
) -> None:
    draw(grey(*size), [found(label, 2, 2, 9, 9)], task)
    assert all(" " <= char <= "~" and char != "?" for text in put_texts for char in text)


@pytest.mark.parametrize("size", [(1, 1), (2, 40), (40, 2), (15, 15), (4000, 20), (8000, 6000)])
@pytest.mark.parametrize("task", ["detection", "classification"])
def test_any_size_of_picture_is_survived(size: Tuple[int, int], task: str) -> None:
    boxes = [(0, 0, 1, 1), (-5, -5, 1e5, 1e5), (size[0] - 1, size[1] - 1, 0, 0), (3, 3, 5, 5)]
    draw(grey(*size), [found("person", *box) for box in boxes], task)


def test_a_box_outside_or_without_numbers_is_left_out() -> None:
    picture = grey(640, 480)
    nan = float("nan")
    boxes = [(700, 10, 5, 5), (-50, 10, 5, 5), (9, -99, 5, 5), (nan, 9, 9, 9), (9, 9, 9, nan)]
    draw(picture, [found("person", *box) for box in boxes], "detection")
    assert (picture == GREY).all()


def test_a_box_that_leaves_the_frame_keeps_a_line_on_every_side() -> None:
    picture = grey(640, 480)
    draw(picture, [found("person", -30, -30, 700, 540)], "detection")
    for edge in (picture[-1], picture[:, 0], picture[:, -1], picture[0, 320:]):
        assert (edge == class_color(0)).all(axis=1).mean() > 0.9


def test_the_surest_box_is_drawn_over_the_others() -> None:
    sure, unsure = (
        found("a", 99, 99, 200, 200, index=1, score=0.9),
        found("b", 99, 99, 200, 200, index=2, score=0.6),
    )
    for results in ([sure, unsure], [unsure, sure]):
        picture = grey(640, 480)
        draw(picture, results, "detection")
        assert tuple(picture[250, 99]) == class_color(1)
        for result in results:  # and neither label covers the other
            where(picture, tag_of(result, 640, 480))


def test_in_a_crowd_the_surest_label_stays_whole() -> None:
    crowd = [found("x", 99, 99, 60, 60, index=i, score=i / 100) for i in range(100)]
    picture = grey(640, 480)
    draw(picture, crowd, "detection")
    where(picture, tag_of(crowd[-1], 640, 480))


def test_only_boxes_and_labels_are_painted() -> None:
    picture = noise(640, 480)
    before = picture.copy()
    draw(picture, [found("person", 100, 100, 200, 200)], "detection")
    changed = np.argwhere((picture != before).any(axis=2))
    assert changed.min(axis=0).tolist() >= [70, 95]
    assert changed.max(axis=0).tolist() <= [305, 305]
    assert np.array_equal(picture[110:290, 110:290], before[110:290, 110:290])
    draw(before, [], "classification")
    assert np.array_equal(before, noise(640, 480))


def test_without_a_font_the_index_is_drawn(no_fonts: None, put_texts: Texts) -> None:
    draw(grey(640, 480), [found("安全帽", 99, 99, 99, 99, index=12)], "detection")
    assert sorted(put_texts) == ["#12", "0.90"]


def test_a_font_without_the_glyphs_counts_as_none(latin_font: None, put_texts: Texts) -> None:
    draw(grey(640, 480), [found("安全帽", 99, 99, 99, 99, index=12)], "detection")
    assert sorted(put_texts) == ["#12", "0.90"]


def test_a_font_with_the_glyphs_draws_the_label(latin_font: None, put_texts: Texts) -> None:
    tags = [tag_of(found(label, 0, 0, 1, 1), 640, 480) for label in ("30 °C", "30 ±C", "30 °C")]
    assert put_texts == []
    assert np.array_equal(tags[0], tags[2])
    assert not np.array_equal(tags[0], tags[1])
    assert all(contrast(tag) >= 4.5 for tag in tags)


@pytest.mark.usefixtures("chinese_font")
def test_chinese_labels_are_drawn_in_their_own_glyphs(put_texts: Texts) -> None:
    labels = ("安全帽", "反光衣", "灭火器")  # as many glyphs each, so as wide
    tags = [tag_of(found(label, 0, 0, 1, 1, index=7), 640, 480) for label in labels]
    assert put_texts == []
    assert len({tag.shape for tag in tags}) == 1
    assert len({tag.tobytes() for tag in tags}) == 3
    assert all(contrast(tag) >= 4.5 for tag in tags)


def masked(mask: NDArray[np.bool_], index: int = 0) -> Result:
    rows, columns = np.nonzero(mask)
    box = BBox(int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)
    code = {"size": list(mask.shape), "counts": encode(mask)}
    return Result(index, "person", 0.9, box, {"mask": code, "area": int(mask.sum())})


def ring() -> NDArray[np.bool_]:
    """In a picture of 640 x 480, with a hole of 100 x 100 in the middle."""
    mask = np.zeros((480, 640), np.bool_)
    mask[140:340, 220:420] = True
    mask[190:290, 270:370] = False
    return mask


def test_a_mask_is_translucent() -> None:
    picture = noise(640, 480)
    before = picture.copy()
    draw(picture, [masked(ring())], "segmentation")
    inside = np.s_[150:180, 230:410]
    expected = 0.55 * before[inside] + 0.45 * np.array(class_color(0))
    assert np.abs(picture[inside] - expected).max() <= 1
    assert np.array_equal(picture[200:280, 280:360], before[200:280, 280:360])  # the hole
    assert np.array_equal(picture[350:, :200], before[350:, :200])


def test_a_mask_is_outlined_and_has_no_box() -> None:
    picture = grey(640, 480)
    mask = ring()
    mask[400:440, 10:40] = True
    draw(picture, [masked(mask)], "segmentation")
    edge = picture[145:335, 220]
    assert (edge == class_color(0)).all()
    assert (picture[200:380, 10] == GREY).all()  # where the side of a box would be


def test_the_label_of_a_mask_is_by_its_largest_part() -> None:
    mask = ring()
    mask[5:9, 5:9] = True
    picture = grey(640, 480)
    result = masked(mask)
    draw(picture, [result], "segmentation")
    x, y = where(picture, tag_of(Result(0, "person", 0.9, result.location), 640, 480))
    assert abs(x - 220) <= 3
    assert abs(y + sizes_for(640, 480).text - 140) <= 3


def test_a_mask_of_another_size_is_a_box() -> None:
    result = masked(ring())
    picture = grey(320, 640)
    draw(picture, [result], "segmentation")
    assert (picture[200, 220] == class_color(0)).all()
    assert (picture[200, 230:310] == GREY).all()


def test_an_empty_mask_is_survived() -> None:
    code = {"size": [480, 640], "counts": encode(np.zeros((480, 640), np.bool_))}
    draw(grey(640, 480), [Result(0, "x", 0.9, BBox(5, 5, 9, 9), {"mask": code})], "segmentation")


def line_of_text(text: str, corners: Corners, score: float = 0.9) -> Result:
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    box = BBox(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
    return Result(0, text, score, box, {"quad": [list(corner) for corner in corners]})


def upright(x: int, y: int, width: int = 200, height: int = 40) -> Corners:
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def test_text_stands_beside_its_quad_which_is_drawn_as_it_lies(put_texts: Texts) -> None:
    picture = grey(640, 480)
    slanted = [(200, 300), (400, 200), (420, 240), (220, 340)]
    draw(picture, [line_of_text("EXIT 42", slanted)], "ocr")
    assert sorted(put_texts) == ["0.90", "EXIT 42"]
    for x, y in [(300, 250), (410, 220), (320, 290), (210, 320)]:  # the middles of its sides
        assert (picture[y - 3 : y + 4, x - 3 : x + 4] == class_color(0)).all(axis=2).any()
    inside = np.array([(230, 310), (390, 230), (400, 240), (230, 325)], np.int32)
    mask = cv2.fillConvexPoly(np.zeros((480, 640), np.uint8), inside, (1,))
    assert (picture[mask == 1] == GREY).all()


def test_each_line_of_text_has_a_colour_of_its_own() -> None:
    picture = grey(640, 480)
    lines = [line_of_text("A", upright(50, y)) for y in (100, 200, 300)]
    draw(picture, lines, "ocr")
    for number, y in enumerate((100, 200, 300)):
        assert tuple(picture[y + 20, 50]) == class_color(number)


def test_while_there_is_room_no_tag_covers_another_line_of_text() -> None:
    picture = grey(1000, 700)
    places = [(50, y) for y in range(40, 640, 56)]
    draw(picture, [line_of_text("SOME TEXT", upright(x, y)) for x, y in places], "ocr")
    for x, y in places:
        assert (picture[y + 5 : y + 35, x + 5 : x + 195] == GREY).all()


@pytest.mark.parametrize("label", ODD_LABELS)
@pytest.mark.parametrize("size", [(15, 15), (640, 480)])
def test_any_text_is_survived(label: str, size: Tuple[int, int]) -> None:
    quads = [upright(2, 2, 9, 9), upright(0, 0, *size), upright(size[0], size[1], 0, 0)]
    draw(grey(*size), [line_of_text(label, quad) for quad in quads], "ocr")
    draw(grey(*size), [], "ocr")
