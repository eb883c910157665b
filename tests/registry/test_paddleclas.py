"""PaddleClas's folders, with and without `inference.yml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

from edged.registry.entry import look
from edged.registry.spec import (
    CenterCrop,
    Classes,
    ModelFiles,
    ModelSpec,
    Normalize,
    Resize,
    ResizeShort,
)
from tests.registry.exporting import MEAN, STD, leave, put, refused, served

NETWORK = ("inference.pdmodel", "inference.pdiparams")
RESIZE: Dict[str, Any] = {"ResizeImage": {"resize_short": 256}}
CROP: Dict[str, Any] = {"CropImage": {"size": 224}}
NORMALIZE: Dict[str, Any] = {
    "NormalizeImage": {
        "channel_num": 3,
        "mean": list(MEAN),
        "order": "",
        "scale": "1.0/255.0",
        "std": list(STD),
    }
}
OPS = [RESIZE, CROP, NORMALIZE, {"ToCHWImage": None}]
DEFAULT = (ResizeShort(256), CenterCrop(224, 224), Normalize("RGB", 1 / 255, MEAN, STD))


def write(folder: Path, ops: List[Any], **post: Any) -> Path:
    config: Dict[str, Any] = {"PreProcess": {"transform_ops": ops}}
    if post:
        config["PostProcess"] = post
    return leave(folder, *NETWORK, inference_yml=config)


def read(folder: Path, ops: List[Any], **post: Any) -> ModelSpec:
    return served(write(folder, ops, **post), "PaddleClas")


def test_a_whole_folder(tmp_path: Path) -> None:
    spec = read(tmp_path, OPS, Topk={"topk": 5, "label_list": ["cat", "dog"]})
    assert (spec.task, spec.input_size) == ("classification", (224, 224))
    assert spec.preprocess == DEFAULT
    assert spec.labels == ("cat", "dog")
    assert spec.classes == Classes()
    assert spec.files == ModelFiles("combined", *(str(tmp_path / name) for name in NETWORK))


def test_a_bare_pair_is_done_as_paddleclas_does_by_default(tmp_path: Path) -> None:
    spec = served(leave(tmp_path, *NETWORK), "PaddleClas")
    assert (spec.task, spec.preprocess, spec.labels) == ("classification", DEFAULT, ())
    assert spec.label(3) == "3"
    (tmp_path / "label_list.txt").write_text("0 cat\n1 dog\n")
    assert served(tmp_path, "PaddleClas").labels == ("cat", "dog")


def test_half_a_pair_is_nothing(tmp_path: Path) -> None:
    assert look(leave(tmp_path, NETWORK[0])).exporter is None


@pytest.mark.parametrize(
    ("options", "step"),
    [
        ({"size": [320, 160]}, Resize(320, 160)),
        ({"size": 224}, Resize(224, 224)),
        ({"resize_short": 224, "interpolation": "bicubic"}, ResizeShort(224, "cubic")),
        ({"resize_short": 224, "interpolation": None, "backend": "cv2"}, ResizeShort(224)),
        ({"size": 8, "interpolation": "nearest"}, Resize(8, 8, "nearest")),
        ({"size": 8, "interpolation": "area"}, Resize(8, 8, "area")),
        ({"size": 8, "interpolation": "lanczos"}, Resize(8, 8, "lanczos")),
        (
            {"resize_short": 9, "interpolation": "Bicubic", "backend": "CV2"},
            ResizeShort(9, "cubic"),
        ),
        ({"size": 8, "backend": "pil"}, Resize(8, 8, "pillow_bilinear")),
        ({"size": 8, "backend": "PIL", "interpolation": "BOX"}, Resize(8, 8, "pillow_box")),
        (
            {"resize_short": 256, "interpolation": "bicubic", "backend": "pil"},
            ResizeShort(256, "pillow_bicubic"),
        ),
    ],
)
def test_resize_image(tmp_path: Path, options: Dict[str, Any], step: Any) -> None:
    assert (
        read(tmp_path, [{"ResizeImage": options}, {"CropImage": {"size": 8}}]).preprocess[0] == step
    )


def test_crop_image_is_width_and_height(tmp_path: Path) -> None:
    spec = read(tmp_path, [RESIZE, {"CropImage": {"size": [192, 224]}}])
    assert spec.preprocess[1] == CenterCrop(192, 224)
    assert spec.input_size == (192, 224)


@pytest.mark.parametrize(
    ("scale", "value"),
    [
        ("1.0/255.0", 1 / 255),
        ("1/255", 1 / 255),
        (" 1. / 255. ", 1 / 255),
        ("0.00392", 0.00392),
        ("1e-2", 0.01),
        (0.5, 0.5),
        (1, 1.0),
        (None, 1 / 255),
    ],
)
def test_scale_is_read_and_never_evaluated(tmp_path: Path, scale: Any, value: float) -> None:
    spec = read(tmp_path, [RESIZE, CROP, {"NormalizeImage": {"scale": scale}}])
    assert spec.preprocess[2] == Normalize("RGB", value, MEAN, STD)


@pytest.mark.parametrize(
    "scale",
    ["1/0", "__import__('os')", "1/255/1", "", "/", "2**9", "-1", "0x1", "1/0e5", "9" * 999],
)
def test_a_scale_that_is_no_number(tmp_path: Path, scale: str) -> None:
    write(tmp_path, [RESIZE, CROP, {"NormalizeImage": {"scale": scale}}])
    assert "scale" in refused(tmp_path, "PaddleClas")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.txt", "0 cat\n1 big dog\n"),
        ("label_list.txt", "cat\nbig dog\n"),
        ("names.txt", "1 big dog\n0 cat\n"),
    ],
)
def test_labels_in_a_file(tmp_path: Path, name: str, text: str) -> None:
    put(tmp_path, name, text)
    spec = read(tmp_path, OPS, Topk={"topk": 1, "class_id_map_file": "../../ppcls/utils/names.txt"})
    assert spec.labels == ("cat", "big dog")


def test_a_missing_label_list_makes_numbers(tmp_path: Path) -> None:
    spec = read(tmp_path, OPS, Topk={"topk": 1, "class_id_map_file": "/etc/passwd"})
    assert spec.labels == ()
    assert spec.label(7) == "7"


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.3, (0.3, ())),
        ([0.1, 0.2], (0.5, (0.1, 0.2))),
        ({"default": 0.4, "2": 0.9}, (0.4, (0.4, 0.4, 0.9))),
        ({"default": 1}, (1.0, ())),
    ],
)
def test_several_labels(tmp_path: Path, threshold: Any, expected: Any) -> None:
    spec = read(tmp_path, OPS, MultiLabelThreshOutput={"threshold": threshold})
    assert spec.classes.answer == "each"
    assert (spec.threshold, spec.classes.thresholds) == expected


@pytest.mark.parametrize("threshold", [2, -1, [2], {"default": 7}, {"x": 0.5}, {"99999": 0.5}])
def test_thresholds_that_are_none(tmp_path: Path, threshold: Any) -> None:
    write(tmp_path, OPS, MultiLabelThreshOutput={"threshold": threshold})
    assert "threshold" in refused(tmp_path, "PaddleClas")


def test_one_of_two(tmp_path: Path) -> None:
    spec = read(
        tmp_path, OPS, ThreshOutput={"threshold": 0.9, "label_0": "nobody", "label_1": "someone"}
    )
    assert (spec.labels, spec.threshold) == (("nobody", "someone"), 0.9)
    assert spec.classes == Classes("either")


@pytest.mark.parametrize(
    ("ops", "said"),
    [
        ([{"ResizeImage": {"size": 8, "backend": "skimage"}}], "backend skimage is not known"),
        (
            [{"ResizeImage": {"size": 8, "backend": "pil", "interpolation": "area"}}],
            "pil has no interpolation area",
        ),
        ([{"ResizeImage": {"size": 8, "interpolation": "box"}}], "cv2 has no interpolation box"),
        (
            [{"NormalizeImage": {}}, {"ResizeImage": {"size": 8, "backend": "pil"}}],
            "not resized with Pillow",
        ),
        ([{"ResizeImage": {"size": 8, "interpolation": "random"}}], "random"),
        ([{"ResizeImage": {}}], "neither size nor resize_short"),
        ([RESIZE], "not fixed"),
        ([*OPS, {"Warp": {}}], "preprocess step Warp is not supported"),
        ([RESIZE, CROP, {"NormalizeImage": {"channel_num": 4}}], "channel_num 4"),
        ([{**RESIZE, **CROP}], "not one operator"),
        ([RESIZE, {"CropImage": {"size": 300}}], "larger than the picture"),
    ],
)
def test_what_is_refused(tmp_path: Path, ops: List[Any], said: str) -> None:
    assert said in refused(write(tmp_path, ops), "PaddleClas")


def test_an_inference_yml_of_paddleocr_is_not_its(tmp_path: Path) -> None:
    ops = [
        {"DecodeImage": {"channel_first": False}},
        {"RecResizeImg": {"image_shape": [3, 48, 320]}},
    ]
    assert look(write(tmp_path, ops)).exporter is None
