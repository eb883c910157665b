"""The network's inputs against plain numpy, written the slow and obvious way."""

from __future__ import annotations

from typing import Any, Dict, Sequence, Tuple

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edged.errors import BadImage, ImageTooLarge
from edged.registry.spec import (
    AnyStep,
    CenterCrop,
    Color,
    Interp,
    ModelFiles,
    ModelSpec,
    Normalize,
    Resize,
    ResizeShort,
)
from edged.worker.engines import TensorInfo
from edged.worker.preprocess import Preprocess

Pixels = npt.NDArray[np.uint8]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SIZES = [(1, 1), (7, 5), (61, 43), (320, 320), (333, 501)]


def noise(width: int, height: int) -> Pixels:
    generator = np.random.default_rng(width * 10_007 + height)
    return generator.integers(0, 256, (height, width, 3)).astype(np.uint8)


def make(*steps: AnyStep, inputs: Sequence[str] = ("image",)) -> Preprocess:
    spec = ModelSpec(
        mid=1,
        name="x",
        task="detection",
        exporter="native",
        folder="/x",
        files=ModelFiles("nb", "/x/x.nb"),
        preprocess=steps,
        input_size=(8, 8),
    )
    return Preprocess(spec, [TensorInfo(name, (), "float32") for name in inputs])


def run(picture: Pixels, *steps: AnyStep) -> npt.NDArray[np.float32]:
    feeds = make(*steps)(picture)
    assert set(feeds) == {"image"}
    assert feeds["image"].dtype == np.float32
    assert feeds["image"].flags.c_contiguous
    blob: npt.NDArray[np.float32] = feeds["image"].astype(np.float32, copy=False)
    return blob


def normalized(picture: Pixels, step: Normalize) -> npt.NDArray[np.float64]:
    """(x * scale - mean) / std, channel by channel, as NCHW."""
    order = (2, 1, 0) if step.color == "RGB" else (0, 1, 2)
    planes = [
        (picture[:, :, channel].astype(np.float64) * step.scale - mean) / std
        for channel, mean, std in zip(order, step.mean, step.std)
    ]
    stacked: npt.NDArray[np.float64] = np.stack(planes)[np.newaxis]
    return stacked


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("color", ["RGB", "BGR"])
@pytest.mark.parametrize(
    ("scale", "mean", "std"),
    [
        (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        (1 / 255, *IMAGENET),
        (1.0, (104.0, 117.0, 123.0), (1.0, 1.0, 1.0)),
        (1.0, (127.5, 127.5, 127.5), (127.5, 120.0, 60.0)),
        (1 / 255, (0.0, 0.5, 1.0), (1.0, 0.5, 0.25)),
    ],
)
def test_normalize(size: Tuple[int, int], color: Color, scale: float, mean: Any, std: Any) -> None:
    picture = noise(*size)
    step = Normalize(color=color, scale=scale, mean=mean, std=std)
    np.testing.assert_allclose(run(picture, step), normalized(picture, step), 1e-5, 1e-5)


def test_without_normalize_it_is_rgb_as_it_is() -> None:
    picture = noise(9, 7)
    assert np.array_equal(run(picture), normalized(picture, Normalize()))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("target", [(1, 1), (32, 24), (61, 43), (227, 113)])
def test_resize_nearest(size: Tuple[int, int], target: Tuple[int, int]) -> None:
    picture = noise(*size)
    width, height = target
    rows = np.arange(height) * size[1] // height
    columns = np.arange(width) * size[0] // width
    expected = normalized(picture[rows][:, columns], Normalize())
    assert np.array_equal(run(picture, Resize(width, height, "nearest")), expected)


def bilinear(picture: Pixels, width: int, height: int) -> npt.NDArray[np.float64]:
    """Pixel centres at halves, edges repeated."""

    def weights(count: int, of: int) -> npt.NDArray[np.float64]:
        matrix = np.zeros((count, of))
        for target in range(count):
            source = min(max((target + 0.5) * of / count - 0.5, 0.0), of - 1.0)
            low = min(int(source), max(of - 2, 0))
            matrix[target, low] += 1 - (source - low)
            matrix[target, min(low + 1, of - 1)] += source - low
        return matrix

    down, across = weights(height, picture.shape[0]), weights(width, picture.shape[1])
    planes = picture.transpose(2, 0, 1).astype(np.float64)
    resized: npt.NDArray[np.float64] = down @ planes @ across.T
    return resized


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("target", [(32, 24), (113, 227), (640, 1)])
def test_resize_linear_is_within_a_level(size: Tuple[int, int], target: Tuple[int, int]) -> None:
    picture = noise(*size)
    resized = run(picture, Resize(*target, "linear"), Normalize(color="BGR"))
    assert np.abs(resized[0] - bilinear(picture, *target)).max() <= 1.0


@pytest.mark.parametrize(
    ("interp", "flag"),
    [("cubic", cv2.INTER_CUBIC), ("area", cv2.INTER_AREA), ("lanczos", cv2.INTER_LANCZOS4)],
)
def test_other_interpolations_are_cv2s(interp: Interp, flag: int) -> None:
    picture = noise(61, 43)
    expected = cv2.resize(picture, (29, 31), interpolation=flag).transpose(2, 0, 1)
    resized = run(picture, Resize(29, 31, interp), Normalize(color="BGR"))
    assert np.array_equal(resized[0], expected)


@pytest.mark.parametrize("size", [(61, 43), (43, 61), (50, 50), (333, 100), (1, 2), (300, 301)])
def test_resize_short(size: Tuple[int, int]) -> None:
    width, height = size
    resized = run(noise(*size), ResizeShort(256))
    assert min(resized.shape[2:]) == 256
    assert resized.shape[2] == round(height * 256 / min(size))
    assert resized.shape[3] == round(width * 256 / min(size))


@pytest.mark.parametrize("size", [(61, 43), (60, 44), (40, 31), (40, 30), (41, 30)])
def test_center_crop(size: Tuple[int, int]) -> None:
    picture = noise(*size)
    top, left = (size[1] - 30) // 2, (size[0] - 40) // 2
    expected = normalized(picture[top : top + 30, left : left + 40], Normalize())
    assert np.array_equal(run(picture, CenterCrop(40, 30)), expected)


def test_a_crop_of_more_than_there_is() -> None:
    with pytest.raises(BadImage, match="40 x 30"):
        run(noise(39, 31), CenterCrop(40, 30))


def test_steps_in_their_order() -> None:
    picture = noise(333, 501)
    resized = cv2.resize(picture, (256, round(501 * 256 / 333)), interpolation=cv2.INTER_LINEAR)
    top = (resized.shape[0] - 227) // 2
    cropped = resized[top : top + 227, 14 : 14 + 227].astype(np.uint8)
    step = Normalize(color="BGR", mean=(104, 117, 123))
    blob = run(picture, ResizeShort(256), CenterCrop(227, 227), step)
    np.testing.assert_allclose(blob, normalized(cropped, step), 1e-5, 1e-5)


@pytest.mark.parametrize("size", [(16384, 1), (1, 16384)])
def test_a_strip_is_refused_before_it_fills_the_memory(size: Tuple[int, int]) -> None:
    with pytest.raises(ImageTooLarge, match=f"{size[0]} x {size[1]}"):
        run(np.zeros((size[1], size[0], 3), np.uint8), ResizeShort(256), CenterCrop(227, 227))


def test_the_picture_itself_is_left_as_it_is() -> None:
    """It may be drawn upon afterwards."""
    picture = noise(61, 43)
    before = picture.copy()
    run(picture, Resize(61, 43), Normalize(scale=1 / 255, mean=IMAGENET[0], std=IMAGENET[1]))
    assert np.array_equal(picture, before)


# -- the inputs beside the picture


def test_what_paddledetection_asks_for_beside_the_picture() -> None:
    feeds: Dict[str, Any] = make(Resize(320, 160), inputs=("im_shape", "image", "scale_factor"))(
        noise(640, 480)
    )
    assert feeds["image"].shape == (1, 3, 160, 320)
    assert feeds["im_shape"].tolist() == [[160.0, 320.0]]
    assert feeds["scale_factor"] == pytest.approx(np.array([[160 / 480, 320 / 640]]))
    assert {feed.dtype for feed in feeds.values()} == {np.dtype(np.float32)}
