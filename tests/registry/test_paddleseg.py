"""PaddleSeg's folders: `deploy.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import pytest

from edged.registry.spec import ModelFiles, ModelSpec, Normalize, Pad, Resize, ToFloat
from tests.registry.exporting import leave, put, refused, served

NETWORK = ("model.pdmodel", "model.pdiparams")
HALF = (0.5, 0.5, 0.5)
RESIZE = {"type": "Resize", "target_size": [320, 160]}


def write(folder: Path, transforms: List[Any], name: str = "deploy.yaml", **more: Any) -> Path:
    deploy = {"model": NETWORK[0], "params": NETWORK[1], "transforms": transforms, **more}
    put(leave(folder, *NETWORK), name, {"Deploy": deploy})
    return folder


def read(folder: Path, transforms: List[Any], **more: Any) -> ModelSpec:
    return served(write(folder, transforms, **more), "PaddleSeg")


def test_target_size_is_width_and_height(tmp_path: Path) -> None:
    spec = read(tmp_path, [RESIZE, {"type": "Normalize"}], output_op="softmax")
    assert (spec.task, spec.input_size, spec.labels) == ("segmentation", (320, 160), ())
    assert spec.preprocess == (ToFloat(), Resize(320, 160), Normalize("RGB", 1 / 255, HALF, HALF))
    assert spec.files == ModelFiles("combined", *(str(tmp_path / name) for name in NETWORK))


def test_normalize_always_divides_by_255(tmp_path: Path) -> None:
    norm = {"type": "Normalize", "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    expected = Normalize("RGB", 1 / 255, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert read(tmp_path, [RESIZE, norm]).preprocess[-1] == expected


def test_a_fixed_input_without_a_resize(tmp_path: Path) -> None:
    spec = read(tmp_path, [{"type": "Normalize"}], input_shape=[1, 3, 512, 1024])
    assert spec.input_size == (1024, 512)


def test_padding_after_normalising(tmp_path: Path) -> None:
    pad = {"type": "Padding", "target_size": [400, 200], "im_padding_value": 0}
    spec = read(tmp_path, [RESIZE, {"type": "Normalize"}, pad])
    assert spec.preprocess[2] == Pad(400, 200, (127.5, 127.5, 127.5))


def test_newer_exports_have_inference_yml(tmp_path: Path) -> None:
    leave(tmp_path, "inference.json", "inference.pdiparams")
    put(tmp_path, "inference.yml", {"Deploy": {"transforms": [RESIZE]}, "Global": {}})
    spec = served(tmp_path, "PaddleSeg")
    assert spec.files.model == str(tmp_path / "inference.json")


def test_labels_may_lie_beside_it(tmp_path: Path) -> None:
    put(tmp_path, "label_list.txt", "background\nperson\n")
    assert read(tmp_path, [RESIZE]).labels == ("background", "person")


@pytest.mark.parametrize(
    ("transforms", "more", "said"),
    [
        ([{"type": "Normalize"}], {}, "--input_shape"),
        ([{"type": "Normalize"}], {"input_shape": [-1, 3, -1, -1]}, "--input_shape"),
        ([{"type": "Warp"}], {}, "transform Warp is not supported"),
        ([{"target_size": [1, 1]}], {}, "has no type"),
        ([{**RESIZE, "interp": "RANDOM"}], {}, "interp RANDOM"),
        ([{**RESIZE, "keep_ratio": True}], {}, "keep_ratio"),
        ([{**RESIZE, "target_size": 320}], {}, "target_size"),
        ([RESIZE], {"output_op": "topk"}, "output_op"),
    ],
)
def test_what_is_refused(tmp_path: Path, transforms: List[Any], more: Any, said: str) -> None:
    assert said in refused(write(tmp_path, transforms, **more), "PaddleSeg")


def test_files_under_names_of_their_own(tmp_path: Path) -> None:
    leave(tmp_path, "net.pdmodel", "net.pdiparams")
    config = {"model": "net.pdmodel", "params": "net.pdiparams", "transforms": [RESIZE]}
    put(tmp_path, "deploy.yaml", {"Deploy": config})
    assert served(tmp_path, "PaddleSeg").files.model == str(tmp_path / "net.pdmodel")
    put(tmp_path, "deploy.yaml", {"Deploy": {**config, "model": "../net.pdmodel"}})
    (tmp_path.parent / "net.pdmodel").touch()
    assert "leads out" in refused(tmp_path, "PaddleSeg")


def test_a_real_export(fixtures: Path) -> None:
    spec = served(fixtures / "models" / "pphumanseg_lite_192", "PaddleSeg")
    assert spec.input_size == (192, 192)
    assert spec.preprocess[-1] == Normalize("RGB", 1 / 255, HALF, HALF)
