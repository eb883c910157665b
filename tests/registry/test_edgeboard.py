"""Folders of the EdgeBoard platform."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

from edged.registry.spec import ModelFiles, Normalize, Resize
from tests.registry.exporting import changed, leave, put, refused, served

NETWORK = ("model/model", "model/params")
RESIZE = {"action": "Resize", "width": 608, "height": 416, "interpolation": "bilinear"}
NORMALIZE = {
    "action": "Normalize",
    "mean": [123.675, 116.28, 103.53],
    "scale": [0.5, 0.25, 0.125],
}
CONFIG: Dict[str, Any] = {
    "version": 1.0,
    "networkType": "detection",
    "networkName": "yolov3",
    "threshold": 0.35,
    "transforms": [RESIZE, NORMALIZE, {"action": "ConvertFormat", "format": "RGB"}],
}


def write(folder: Path, **changes: Any) -> Path:
    put(leave(folder, *NETWORK), "config/config.json", changed(CONFIG, **changes))
    return folder


def test_a_whole_folder(tmp_path: Path) -> None:
    put(tmp_path, "model/label_list.txt", "cat\r\ndog\r\n")
    spec = served(write(tmp_path), "EdgeBoard")
    assert (spec.task, spec.threshold, spec.labels) == ("detection", 0.35, ("cat", "dog"))
    assert spec.preprocess == (
        Resize(608, 416),
        Normalize("RGB", 1.0, (123.675, 116.28, 103.53), (2.0, 4.0, 8.0)),
    )
    assert spec.files == ModelFiles("combined", *(str(tmp_path / name) for name in NETWORK))


def test_without_labels_and_in_bgr(tmp_path: Path) -> None:
    transforms = [{"action": "ConvertFormat", "format": "BGR"}, RESIZE, NORMALIZE]
    spec = served(
        write(tmp_path, networkType="classification", transforms=transforms, threshold=...),
        "EdgeBoard",
    )
    assert (spec.task, spec.labels, spec.threshold) == ("classification", (), 0.5)
    assert spec.preprocess[1] == Normalize("BGR", 1.0, (123.675, 116.28, 103.53), (2.0, 4.0, 8.0))


@pytest.mark.parametrize(
    ("transforms", "said"),
    [
        ([{"action": "Warp"}], "transform Warp is not supported"),
        ([{"width": 1}], "transform None is not supported"),
        ([{**RESIZE, "interpolation": "magic"}], "interpolation magic"),
        ([RESIZE, {**NORMALIZE, "scale": [0, 1, 1]}], "scale must not be 0"),
        ([RESIZE, {"action": "ConvertFormat", "format": "HSV"}], "format"),
        ([NORMALIZE], "not fixed"),
    ],
)
def test_transforms_that_are_refused(tmp_path: Path, transforms: List[Any], said: str) -> None:
    assert said in refused(write(tmp_path, transforms=transforms), "EdgeBoard")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"networkType": "pose"}, "networkType"),
        ({"threshold": 1.5}, "threshold"),
        ({"transforms": ...}, "transforms"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, changes: Any, said: str) -> None:
    assert said in refused(write(tmp_path, **changes), "EdgeBoard")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not usable JSON"),
        ("[]", "does not hold keys and values"),
        ("[" * 100_000, "nested too deeply"),
        ('{"threshold": ' + "9" * 400 + "}", "a number is too large"),
        ('{"a": ' + "9" * 25 + "}", "a number is too large"),
        ('{"a": NaN}', "not usable JSON"),
        ('{"a": "\\ud800"}', "JSON"),
        (" " * (1 << 20) + "{}", "larger than"),
    ],
)
def test_hostile_json_is_a_reason(tmp_path: Path, text: str, said: str) -> None:
    put(leave(tmp_path, *NETWORK), "config/config.json", text)
    assert said in refused(tmp_path, "EdgeBoard")


def test_a_missing_network_is_named(tmp_path: Path) -> None:
    put(leave(tmp_path, NETWORK[0]), "config/config.json", CONFIG)
    assert refused(tmp_path, "EdgeBoard") == "model/params is missing"
