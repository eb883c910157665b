"""The corner panel of a classification, and the picture that goes out."""

from __future__ import annotations

from typing import List, Tuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edged.results import BBox, Result
from edged.worker import fonts
from edged.worker.render import draw, encode_jpeg
from edged.worker.style import class_color

Picture = NDArray[np.uint8]

SCORES = (0.61, 0.2, 0.1, 0.05, 0.02, 0.01)


def answers(count: int, label: str = "class") -> List[Result]:
    frame = BBox(0, 0, 640, 480)
    return [Result(i, f"{label} {i}", SCORES[i], frame) for i in range(count)]


def plain(width: int, height: int, value: int = 255) -> Picture:
    return np.full((height, width, 3), value, np.uint8)


def bar(picture: Picture, index: int) -> int:
    """Pixels in the longest row of exactly a class's colour."""
    return int((picture == class_color(index)).all(axis=2).sum(axis=1).max())


def extent(before: Picture, after: Picture) -> Tuple[int, int, int, int]:
    """x1, y1, x2, y2 (inclusive) of what has changed."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


@pytest.mark.parametrize("size", [(64, 48), (224, 224), (640, 480), (1920, 1080)])
@pytest.mark.parametrize("label", ["cat", "a very long name of a class " * 5])
def test_the_panel_stays_in_its_corner(size: Tuple[int, int], label: str) -> None:
    picture = plain(*size)
    draw(picture, answers(5, label), "classification")
    x1, y1, x2, y2 = extent(plain(*size), picture)
    width, height = size
    assert x1 <= width / 10
    assert y1 <= height / 10
    assert x2 < width - x1
    assert y2 <= height * 2 / 3
    if min(size) >= 480:
        assert x2 <= width / 2


def test_text_is_readable_on_any_picture() -> None:
    for ground in (plain(640, 480), plain(640, 480, 0)):
        draw(ground, answers(1), "classification")
        pixels, counts = np.unique(ground[9:40, 9:140].reshape(-1, 3), axis=0, return_counts=True)
        panel = pixels[counts.argmax()]
        # 4.5 to 1 against white by WCAG 2 is reached at a grey of 118 and darker.
        assert panel.max() <= 118
        assert (ground[9:40, 9:140] > 240).all(axis=2).any()


def test_bars_are_as_long_as_the_scores() -> None:
    picture = plain(640, 480)
    draw(picture, answers(5), "classification")
    lengths = [bar(picture, i) for i in range(5)]
    whole = lengths[0] / SCORES[0]
    assert lengths == pytest.approx([whole * score for score in SCORES[:5]], abs=1.5)


def test_the_top_five_are_shown_in_order_of_score() -> None:
    picture = plain(640, 480)
    draw(picture, answers(6)[::-1], "classification")
    tops = [int(np.nonzero((picture == class_color(i)).all(axis=2))[0][0]) for i in range(5)]
    assert tops == sorted(tops)
    assert bar(picture, 5) == 0


def test_rows_that_do_not_fit_are_dropped_but_the_first() -> None:
    small, flat = plain(64, 48), plain(400, 24)
    for picture in (small, flat):
        draw(picture, answers(5), "classification")
        assert bar(picture, 0) > 0
        assert bar(picture, 4) == 0


def test_a_picture_too_small_for_any_text_is_left_as_it_is() -> None:
    picture = plain(15, 15)
    draw(picture, answers(5), "classification")
    assert (picture == 255).all()


def test_without_a_font_the_index_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "FONT_DIRS", ())
    fonts.forget()
    frame = BBox(0, 0, 640, 480)
    by_label, by_index = plain(640, 480), plain(640, 480)
    draw(by_label, [Result(3, "虎斑猫", 0.8, frame)], "classification")
    draw(by_index, [Result(3, "#3", 0.8, frame)], "classification")
    fonts.forget()
    assert np.array_equal(by_label, by_index)


def test_a_score_that_is_no_number_is_survived() -> None:
    draw(plain(640, 480), [Result(0, "cat", float("nan"), BBox(0, 0, 9, 9))], "classification")


def test_the_jpeg_is_the_picture() -> None:
    ramp = np.linspace(0, 255, 200).astype(np.uint8)
    picture = np.stack([np.tile(ramp, (100, 1)), np.full((100, 200), 90, np.uint8)] * 2, 2)[..., :3]
    encoded = encode_jpeg(np.ascontiguousarray(picture))
    assert encoded[:2] == b"\xff\xd8"
    assert encoded[-2:] == b"\xff\xd9"
    decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert cv2.PSNR(picture, decoded) > 35
