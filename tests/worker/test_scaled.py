"""`decode: scaled`: less of a large JPEG is decoded, and everything is told of the whole."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import cv2
import numpy as np
import pytest
from PIL import Image

from edged.errors import BadImage
from edged.registry.spec import (
    AnyStep,
    CenterCrop,
    Pad,
    Resize,
    ResizeFit,
    ResizeInside,
    ResizeShort,
    ToFloat,
)
from edged.worker.decode import decode, decode_reduced
from edged.worker.engines import TensorInfo
from edged.worker.geometry import reduction
from tests.pictures import bgr, encoded, landscape, turned
from tests.worker.steps import NORM, preprocess

LARGE = landscape(403, 301)


def halve(size: Tuple[int, int]) -> int:
    return 2


# -- by how much


@pytest.mark.parametrize(
    ("step", "size", "part"),
    [
        # Twice 224 x 224 are 448 x 448 pixels.
        (Resize(224, 224), (640, 480), 1),
        (Resize(224, 224), (894, 2000), 1),
        (Resize(224, 224), (896, 896), 2),
        (Resize(224, 224), (1920, 1080), 2),
        (Resize(224, 224), (1792, 1789), 4),  # 447.25, of which libjpeg makes 448
        (Resize(224, 224), (1792, 1788), 2),
        (Resize(224, 224), (3840, 2160), 4),
        (Resize(224, 224), (8000, 6000), 8),
        (Resize(224, 224), (40000, 30000), 8),
        (Resize(320, 320), (1920, 1080), 1),
        (Resize(320, 320), (3840, 2160), 2),
        # 455 x 256: the crop after it is not what counts.
        (ResizeShort(256), (1920, 1080), 2),
        (ResizeShort(256), (1817, 1022), 1),
        # 320 x 180 in a square of 320.
        (ResizeInside(320, 320), (1920, 1080), 2),
        (ResizeInside(320, 320), (2560, 1440), 4),
        (ResizeFit(180, 320), (2560, 1440), 4),
    ],
)
def test_down_to_twice_the_input(step: Any, size: Tuple[int, int], part: int) -> None:
    assert reduction([step, NORM], size) == part
    assert reduction([ToFloat(), step, CenterCrop(100, 100), NORM], size) == part


@pytest.mark.parametrize("step", [CenterCrop(64, 64), Pad(9000, 9000)])
def test_pixels_that_are_taken_as_they_are(step: AnyStep) -> None:
    assert reduction([step, Resize(10, 10), NORM], (4000, 4000)) == 1
    assert reduction([NORM], (4000, 4000)) == 1


# -- the picture


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("part", [2, 4, 8])
def test_orientation(orientation: int, part: int) -> None:
    asked = []

    def reduce(size: Tuple[int, int]) -> int:
        asked.append(size)
        return part

    data = turned(LARGE, orientation, quality=100, subsampling=0)
    pixels, size = decode_reduced(data, reduce)
    assert asked == [(403, 301)]
    assert size == (403, 301)
    height, width = pixels.shape[:2]
    assert (width, height) == (-(-403 // part), -(-301 // part))
    # Smooth: any way of making it smaller shows the same.
    expected = cv2.resize(bgr(LARGE), (width, height), interpolation=cv2.INTER_AREA)
    inner = np.abs(pixels.astype(int) - expected)[1:-1, 1:-1]
    assert inner.max() <= 8


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_only_jpeg_is_reduced(kind: str) -> None:
    data = encoded(LARGE, kind)
    pixels, size = decode_reduced(data, halve)
    assert size == (403, 301)
    assert np.array_equal(pixels, decode(data))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours(mode: str) -> None:
    data = encoded(LARGE.convert(mode))
    pixels, size = decode_reduced(data, halve)
    assert size == (403, 301)
    expected = cv2.resize(decode(data), pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(pixels.astype(int) - expected)[1:-1, 1:-1].max() <= 8


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_broken_one_is_refused_all_the_same(options: Any) -> None:
    data = encoded(LARGE, **options)
    assert decode_reduced(data[:-2], halve).pixels.shape == (151, 202, 3)  # only its end marker
    for cut in (len(data) // 2, len(data) - 40):
        with pytest.raises(BadImage):
            decode_reduced(data[:cut], halve)


# -- what the network gets


@pytest.mark.parametrize(
    "steps",
    [
        [Resize(50, 37, "cubic")],
        [ToFloat(), Resize(50, 37)],
        [Resize(50, 37, "pillow_bilinear")],
        [ResizeShort(40), CenterCrop(32, 24)],
        [ResizeFit(30, 41), Pad(41, 41)],
        [ResizeFit(30, 41, by="size"), Pad(41, 41)],
        [ResizeInside(40, 40), Pad(40, 40, align="center")],
    ],
    ids=repr,
)
def test_it_sees_the_same_and_is_told_of_the_whole(steps: Any) -> None:
    data = encoded(LARGE, quality=100, subsampling=0)
    told = [TensorInfo(name, (1, 2), "float32") for name in ("scale_factor", "im_shape")]
    call = preprocess([*steps, NORM], *told)
    whole, (pixels, size) = decode(data), decode_reduced(data, halve)
    assert pixels.shape != whole.shape
    expected: Dict[str, Any] = dict(call(whole))
    got: Dict[str, Any] = dict(call(pixels, size))
    assert np.array_equal(got["scale_factor"], expected["scale_factor"])
    assert np.array_equal(got["im_shape"], expected["im_shape"])
    np.testing.assert_allclose(got["image"], expected["image"], atol=0.1)  # of some 4.5 in all


def test_without_scaling_it_is_not_touched() -> None:
    data = encoded(Image.effect_noise((403, 301), 90))
    pixels, size = decode_reduced(data, lambda size: 1)
    assert size == (403, 301)
    assert np.array_equal(pixels, decode(data))
