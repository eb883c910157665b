"""PaddleX's folders of versions 1 and 2, and what version 3 leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

from edged.registry.spec import (
    CenterCrop,
    ModelFiles,
    ModelSpec,
    Normalize,
    Pad,
    Resize,
    ResizeFit,
    ResizeInside,
    ResizeShort,
    ToFloat,
)
from tests.registry.exporting import MEAN, STD, changed, leave, put, refused, served

V1 = ("__model__", "__params__")
V2 = ("model.pdmodel", "model.pdiparams")
NORM = Normalize("RGB", 1 / 255, MEAN, STD)
RESIZE = {"Resize": {"target_size": [480, 608], "interp": "CUBIC"}}
NORMALIZE: Dict[str, Any] = {"Normalize": {"mean": list(MEAN), "std": list(STD)}}
# What becomes 0.
ZERO: Any = pytest.approx([mean * 255 for mean in MEAN])


def write(
    folder: Path, kind: str, transforms: List[Any], network: Any = V2, **changes: Any
) -> Path:
    attributes = changes.pop("attributes", {})
    config = {
        "Model": "Any",
        "Transforms": transforms,
        "TransformsMode": "RGB",
        "_Attributes": {
            "model_type": kind,
            "labels": ["cat", "dog"],
            "num_classes": 2,
            **attributes,
        },
        "version": "2.0.0",
    }
    put(leave(folder, *network), "model.yml", changed(config, **changes))
    return folder


def read(folder: Path, kind: str, *transforms: Any, **changes: Any) -> ModelSpec:
    return served(write(folder, kind, list(transforms), **changes), "PaddleX")


def test_a_detector(tmp_path: Path) -> None:
    spec = read(tmp_path, "detector", RESIZE, NORMALIZE)
    assert (spec.task, spec.labels, spec.input_size) == ("detection", ("cat", "dog"), (608, 480))
    assert spec.preprocess == (Resize(608, 480, "cubic"), NORM)
    assert spec.files == ModelFiles("combined", *(str(tmp_path / name) for name in V2))


def test_a_classifier(tmp_path: Path) -> None:
    short, crop = {"ResizeByShort": {"short_size": 256, "max_size": -1}}, {"CenterCrop": None}
    spec = read(tmp_path, "classifier", short, crop, NORMALIZE)
    assert spec.task == "classification"
    assert spec.preprocess == (ResizeShort(256), CenterCrop(224, 224), NORM)


def test_version_1_works_on_floats(tmp_path: Path) -> None:
    spec = read(tmp_path, "classifier", RESIZE, NORMALIZE, network=V1)
    assert spec.preprocess == (ToFloat(), Resize(608, 480, "cubic"), NORM)
    assert spec.files.model == str(tmp_path / "__model__")


def test_a_segmenter_with_a_fixed_input(tmp_path: Path) -> None:
    for shape in ([512, 256], [-1, 3, 256, 512]):
        spec = read(tmp_path, "segmenter", NORMALIZE, attributes={"fixed_input_shape": shape})
        assert (spec.task, spec.input_size) == ("segmentation", (512, 256))


def test_resizing_in_proportion(tmp_path: Path) -> None:
    short = {"ResizeByShort": {"short_size": 800, "max_size": 1333, "interp": "LINEAR"}}
    spec = read(tmp_path, "detector", short, {"Padding": {"im_padding_value": [0, 1, 2]}})
    assert spec.preprocess == (ResizeFit(800, 1333, by="size"), Pad(1344, 1344, (0, 1, 2)))
    inside = {"Resize": {"target_size": [480, 608], "keep_ratio": True}}
    pad = {"Padding": {"target_size": [480, 608], "pad_mode": 1}}
    assert read(tmp_path, "detector", inside, pad).preprocess == (
        ResizeInside(608, 480),
        Pad(608, 480, (127.5, 127.5, 127.5), "center"),
    )
    long = {"ResizeByLong": {"long_size": 512}}
    assert read(tmp_path, "segmenter", long).preprocess == (ResizeInside(512, 512), Pad(512, 512))


def test_an_rcnn_of_version_1_normalises_first(tmp_path: Path) -> None:
    short = {"ResizeByShort": {"short_size": 800, "max_size": 1333}}
    pad = {"Padding": {"coarsest_stride": 32}}
    spec = read(tmp_path, "detector", NORMALIZE, short, pad, network=V1)
    steps: Any = spec.preprocess
    first, fit, canvas, norm = steps
    assert (first, fit, norm) == (ToFloat(), ResizeFit(800, 1333, by="size"), NORM)
    assert (canvas.width, canvas.height) == (1344, 1344)
    assert list(canvas.value) == ZERO


def test_padding_of_version_1_is_width_and_height(tmp_path: Path) -> None:
    long, pad = {"ResizeByLong": {"long_size": 256}}, {"Padding": {"target_size": [300, 400]}}
    spec = read(tmp_path, "segmenter", long, pad, network=V1)
    assert spec.preprocess[-1] == Pad(300, 400, (127.5, 127.5, 127.5))
    spec = read(tmp_path / "2", "segmenter", long, pad)
    assert spec.preprocess[-1] == Pad(400, 300, (127.5, 127.5, 127.5))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"is_scale": False}, Normalize("RGB", 1.0, MEAN, STD)),
        (
            {
                "min_val": [0, 10, 0],
                "max_val": [100, 110, 200],
                "mean": [0.5] * 3,
                "std": [0.25] * 3,
            },
            Normalize("RGB", 1.0, (50, 60, 100), (25, 25, 50)),
        ),
    ],
)
def test_normalize(tmp_path: Path, changes: Dict[str, Any], expected: Normalize) -> None:
    norm = {"Normalize": {**NORMALIZE["Normalize"], **changes}}
    assert read(tmp_path, "detector", RESIZE, norm).preprocess[-1] == expected


def test_bgr(tmp_path: Path) -> None:
    spec = read(tmp_path, "detector", RESIZE, NORMALIZE, TransformsMode="BGR")
    assert spec.preprocess[-1] == Normalize("BGR", 1 / 255, MEAN, STD)


def test_what_version_1_writes_too_much(tmp_path: Path) -> None:
    spec = read(
        tmp_path, "detector", RESIZE, {"ArrangeYOLOv3": {"mode": "test"}}, TransformsMode=...
    )
    assert len(spec.preprocess) == 1


def test_a_missing_label_list_makes_numbers(tmp_path: Path) -> None:
    assert read(tmp_path, "detector", RESIZE, attributes={"labels": []}).label(1) == "1"


@pytest.mark.parametrize(
    ("kind", "transforms", "changes", "said"),
    [
        ("detector", [{"Warp": {}}], {}, "transform Warp is not supported"),
        ("gan", [RESIZE], {}, "model_type of gan"),
        ("segmenter", [NORMALIZE], {}, "not fixed"),
        ("segmenter", [NORMALIZE], {"attributes": {"fixed_input_shape": [1]}}, "fixed_input_shape"),
        ("detector", [{"Padding": {"pad_mode": -1}}], {}, "pad_mode -1"),
        ("detector", [{"Resize": {"interp": "RANDOM"}}], {}, "interp RANDOM"),
        ("detector", [{**RESIZE, **NORMALIZE}], {}, "not one operator"),
        ("detector", [RESIZE], {"TransformsMode": "HSV"}, "TransformsMode"),
        ("detector", [RESIZE], {"network": V2[:1]}, "model.pdiparams is missing"),
    ],
)
def test_what_is_refused(
    tmp_path: Path, kind: str, transforms: List[Any], changes: Any, said: str
) -> None:
    assert said in refused(write(tmp_path, kind, transforms, **changes), "PaddleX")


def test_version_3_writes_as_its_suites_do(tmp_path: Path) -> None:
    leave(tmp_path, "inference.json", "inference.pdiparams")
    resize = {"type": "Resize", "target_size": [640, 640], "keep_ratio": False}
    put(tmp_path, "inference.yml", {"Preprocess": [resize], "Global": {"model_name": "PicoDet-S"}})
    assert served(tmp_path, "PaddleDetection").files.model.endswith("inference.json")
    ops = [{"ResizeImage": {"size": 224}}]
    put(tmp_path, "inference.yml", {"PreProcess": {"transform_ops": ops}})
    assert served(tmp_path, "PaddleClas").task == "classification"
