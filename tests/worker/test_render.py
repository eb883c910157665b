"""Boxes and labels drawn, held to what a viewer may expect of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Tuple

import cv2
import numpy as np
import pytest

from edged.worker import fonts
from edged.worker.render import draw
from edged.worker.style import class_color, sizes_for
from tests.worker.drawn import (
    GREY,
    ODD_LABELS,
    Texts,
    contrast,
    found,
    grey,
    noise,
    tag_of,
    where,
)

pytestmark = pytest.mark.usefixtures("fresh_fonts")


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
