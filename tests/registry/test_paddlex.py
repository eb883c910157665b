"""PaddleX's folders of versions 1 and 2, and what version 3 leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest
import yaml

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
# Operators with all that the exporters write of each, in Python's types as they have them.
SCALE: Dict[str, Any] = {"min_val": [0, 0, 0], "max_val": [255.0, 255.0, 255.0]}
NORMALIZE: Dict[str, Any] = {
    "Normalize": {"mean": list(MEAN), "std": list(STD), **SCALE, "is_scale": True}
}
RESIZE = {"Resize": {"target_size": (480, 608), "interp": "CUBIC", "keep_ratio": False}}
SHORT = {"ResizeByShort": {"short_size": 800, "max_size": 1333, "interp": "LINEAR"}}
CROP = {"CenterCrop": {"crop_size": 224}}
PADDING: Dict[str, Any] = {
    "target_size": None,
    "size_divisor": 32,
    "pad_mode": 0,
    "offsets": None,
    "im_padding_value": (127.5, 127.5, 127.5),
    "label_padding_value": 255,
}
V1_NORMALIZE: Dict[str, Any] = {"Normalize": {"mean": list(MEAN), "std": list(STD), **SCALE}}
V1_RESIZE = {"Resize": {"target_size": [608, 480], "interp": "CUBIC"}}
V1_SHORT = {"ResizeByShort": {"short_size": 800, "max_size": 1333}}
TASKS = {"classifier": "classification", "detector": "detection", "segmenter": "segmentation"}
# What becomes 0.
ZERO: Any = pytest.approx([mean * 255 for mean in MEAN])


def write(
    folder: Path, kind: str, transforms: List[Any], network: Any = V2, **changes: Any
) -> Path:
    attributes = {
        "model_type": kind,
        "num_classes": 2,
        "labels": ["cat", "dog"],
        "fixed_input_shape": None if network == V1 else [None, 3, -1, -1],
        **changes.pop("attributes", {}),
    }
    config = {
        "Model": "Any",
        "version": "1.3.7" if network == V1 else "2.1.0",
        "_Attributes": attributes,
        "_init_params": {"num_classes": 2},
        "Transforms": transforms,
        "TransformsMode": "RGB" if network == V1 else ...,
        "status": "Infer",
        "completed_epochs": 0,
    }
    put(leave(folder, *network), "model.yml", yaml.dump(changed(config, **changes)))
    return folder


def read(folder: Path, kind: str, *transforms: Any, **changes: Any) -> ModelSpec:
    return served(write(folder, kind, list(transforms), **changes), "PaddleX")


FLOATS = ToFloat()
FULL = (127.5, 127.5, 127.5)


@pytest.mark.parametrize(
    ("kind", "network", "transforms", "steps"),
    [
        ("detector", V1, [V1_RESIZE, V1_NORMALIZE], [FLOATS, Resize(608, 480, "cubic"), NORM]),
        ("detector", V2, [RESIZE, NORMALIZE], [Resize(608, 480, "cubic"), NORM]),
        (
            "classifier",
            V1,
            [{"ResizeByShort": {"short_size": 256, "max_size": -1}}, CROP, V1_NORMALIZE],
            [FLOATS, ResizeShort(256), CenterCrop(224, 224), NORM],
        ),
        (
            "classifier",
            V2,
            [
                {"ResizeByShort": {"short_size": 256, "max_size": -1, "interp": "AREA"}},
                CROP,
                NORMALIZE,
            ],
            [ResizeShort(256, "area"), CenterCrop(224, 224), NORM],
        ),
        ("segmenter", V1, [V1_RESIZE, V1_NORMALIZE], [FLOATS, Resize(608, 480, "cubic"), NORM]),
        ("segmenter", V2, [RESIZE, NORMALIZE], [Resize(608, 480, "cubic"), NORM]),
    ],
)
def test_what_each_version_exports(
    tmp_path: Path, kind: str, network: Any, transforms: List[Any], steps: List[Any]
) -> None:
    """Version 1 has sizes as [w, h] and resizes floats, 2 has them as [h, w]."""
    spec = read(tmp_path, kind, *transforms, network=network)
    assert (spec.task, spec.labels) == (TASKS[kind], ("cat", "dog"))
    assert list(spec.preprocess) == steps
    assert spec.files == ModelFiles("combined", *(str(tmp_path / name) for name in network))


def test_what_is_no_plain_value(tmp_path: Path) -> None:
    """Measures come as numpy has them, and a list that is named twice is written once."""
    half = [0.5, 0.5, 0.5]
    metrics = {"best_accuracy": np.float64(0.9), "eval_metrics": {"acc1": np.float32(0.5)}}
    norm = {"Normalize": {"mean": half, "std": half, **SCALE, "is_scale": True}}
    spec = read(tmp_path, "detector", RESIZE, norm, attributes={**metrics, "thread": b"\0\xff"})
    written = (tmp_path / "model.yml").read_text()
    for tag in ("python/tuple", "apply:numpy", "binary", "*id"):
        assert tag in written
    assert spec.preprocess[-1] == Normalize("RGB", 1 / 255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_a_value_that_matters_must_be_plain(tmp_path: Path) -> None:
    short = {"ResizeByShort": {"short_size": np.int64(800), "max_size": 1333}}
    assert "short_size: expected `int`, got `null`" in refused(
        write(tmp_path, "detector", [short]), "PaddleX"
    )


def test_a_segmenter_with_a_fixed_input(tmp_path: Path) -> None:
    for shape in ([512, 256], [-1, 3, 256, 512], [None, 3, 256, 512]):
        spec = read(tmp_path, "segmenter", NORMALIZE, attributes={"fixed_input_shape": shape})
        assert (spec.task, spec.input_size) == ("segmentation", (512, 256))


def test_resizing_in_proportion(tmp_path: Path) -> None:
    """The network is told of the sizes that came out, which were rounded."""
    rgb = {"Padding": {**PADDING, "im_padding_value": [0, 1, 2]}}
    spec = read(tmp_path, "detector", SHORT, rgb)
    assert spec.preprocess == (ResizeFit(800, 1333, by="size"), Pad(1344, 1344, (0, 1, 2)))
    inside = {"Resize": {"target_size": (480, 608), "interp": "LINEAR", "keep_ratio": True}}
    pad = {"Padding": {**PADDING, "target_size": (480, 608), "pad_mode": 1}}
    assert read(tmp_path, "detector", inside, pad).preprocess == (
        ResizeInside(608, 480, by="size"),
        Pad(608, 480, FULL, "center"),
    )
    long = {"ResizeByLong": {"long_size": 512, "interp": "LINEAR"}}
    assert read(tmp_path, "segmenter", long).preprocess == (
        ResizeInside(512, 512, by="size"),
        Pad(512, 512),
    )


def test_a_segmenter_of_version_1_takes_the_nearest_pixels(tmp_path: Path) -> None:
    """By its ResizeByShort alone; that of version 2, and of detectors, says what it takes."""
    spec = read(tmp_path, "segmenter", V1_SHORT, V1_NORMALIZE, network=V1)
    assert spec.preprocess[1] == ResizeFit(800, 1333, "nearest", by="size")
    spec = read(tmp_path, "detector", V1_SHORT, V1_NORMALIZE, network=V1)
    assert spec.preprocess[1] == ResizeFit(800, 1333, "linear", by="size")
    spec = read(tmp_path / "2", "segmenter", SHORT, NORMALIZE)
    assert spec.preprocess[0] == ResizeFit(800, 1333, "linear", by="size")


def test_an_rcnn_of_version_1_normalises_first(tmp_path: Path) -> None:
    pad = {"Padding": {"coarsest_stride": 32, "target_size": None}}
    spec = read(tmp_path, "detector", V1_NORMALIZE, V1_SHORT, pad, network=V1)
    steps: Any = spec.preprocess
    first, fit, canvas, norm = steps
    assert (first, fit, norm) == (ToFloat(), ResizeFit(800, 1333, by="size"), NORM)
    assert (canvas.width, canvas.height) == (1344, 1344)
    assert list(canvas.value) == ZERO


def test_padding_of_version_1_is_width_and_height(tmp_path: Path) -> None:
    long = {"ResizeByLong": {"long_size": 256}}
    pad = {"im_padding_value": list(FULL), "label_padding_value": 255, "target_size": [300, 400]}
    spec = read(tmp_path, "segmenter", long, {"Padding": pad}, network=V1)
    assert spec.preprocess[-1] == Pad(300, 400, FULL)
    pad = {**PADDING, "target_size": (300, 400)}
    spec = read(tmp_path / "2", "segmenter", long, {"Padding": pad})
    assert spec.preprocess[-1] == Pad(400, 300, FULL)


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
        ("segmenter", [NORMALIZE], {}, "export with --fixed_input_shape"),
        ("segmenter", [NORMALIZE], {"network": V1}, "export with --fixed_input_shape"),
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
