"""Colours and sizes that boxes and panels share."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
import pytest

from edged.worker.style import Color, class_color, sizes_for, text_color


def luminance(color: Color) -> float:
    """Relative luminance by WCAG 2 of BGR."""
    shares = [part / 255 for part in color]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return float(0.0722 * linear[0] + 0.7152 * linear[1] + 0.2126 * linear[2])


def test_text_has_contrast_with_every_class() -> None:
    for index in range(1000):
        color = class_color(index)
        light, dark = sorted([luminance(color), luminance(text_color(color))])[::-1]
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_colors_differ_between_classes() -> None:
    colors = np.array([[class_color(index) for index in range(80)]], np.uint8)
    lab = cv2.cvtColor(colors.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    # CIE76: 2.3 is just noticeable; 25 is told apart at a glance.
    assert min(apart[i, j] for i in range(80) for j in range(i)) > 5
    assert min(apart[i, j] for i in range(20) for j in range(i)) > 10
    assert min(apart[i, i + step] for step in (1, 2, 3) for i in range(77)) > 25
    for index in range(79):
        a, b = (colorsys.rgb_to_hsv(*class_color(i)[::-1])[0] for i in (index, index + 1))
        assert 0.3 < (a - b) % 1 < 0.7


def test_a_color_stays_what_it_is() -> None:
    # Changing these recolours the pictures of every user: do it on purpose or not at all.
    assert [class_color(index) for index in (0, 1, 79)] == [
        (255, 83, 13),
        (115, 255, 197),
        (136, 184, 46),
    ]


def test_any_index_has_a_color() -> None:
    assert len({class_color(index) for index in (-1, 0, 10**9)}) == 3


def test_sizes_grow_with_the_picture() -> None:
    areas = [(15, 15), (100, 100), (640, 480), (1920, 1080), (3840, 2160), (8000, 6000)]
    sizes = [sizes_for(*area) for area in areas]
    assert sizes == sorted(sizes)
    for smaller, larger in zip(sizes[3], sizes[4]):
        assert larger == pytest.approx(2 * smaller, rel=0.15)


def test_sizes_do_not_depend_on_which_way_up_the_picture_is() -> None:
    assert sizes_for(1920, 1080) == sizes_for(1080, 1920)
