"""`model.yaml` as its schema says, and every way in which it may not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest
import yaml

from edged.registry.entry import look
from edged.registry.spec import (
    CenterCrop,
    ModelFiles,
    ModelSpec,
    Normalize,
    Resize,
    ResizeShort,
)

RESIZE: Dict[str, Any] = {"op": "resize", "width": 320, "height": 240}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "1-digits"
    path.mkdir()
    for name in ("x.nb", "model.pdmodel", "model.pdiparams"):
        (path / name).touch()
    return path


def write(folder: Path, **changes: Any) -> None:
    document = {"task": "detection", "model": "x.nb", "preprocess": [RESIZE], **changes}
    kept = {key: value for key, value in document.items() if value is not ...}
    (folder / "model.yaml").write_text(yaml.safe_dump(kept, allow_unicode=True), "utf-8")


def served(folder: Path, **changes: Any) -> ModelSpec:
    write(folder, **changes)
    entry = look(folder)
    assert entry.spec is not None, entry.reason
    assert entry.reason == ""
    return entry.spec


def refused(folder: Path, **changes: Any) -> str:
    write(folder, **changes)
    entry = look(folder)
    assert entry.spec is None
    return entry.reason


def test_the_example_of_the_contract(folder: Path) -> None:
    (folder / "model.yaml").write_text("""
mid: 1
name: digits
task: detection            # detection | classification
model: model.pdmodel       # or x.nb
params: model.pdiparams
labels: ["0", "1"]
preprocess:
  - {op: resize, width: 320, height: 240, interp: cubic}
  - op: normalize
    color: BGR
    scale: 0.00392156862745098
    mean: [0.485, 0.456, 0.406]
    std: [0.229, 0.224, 0.225]
threshold: 0.5
instances: 2
threads: 1
decode: scaled
""")
    assert look(folder).spec == ModelSpec(
        mid=1,
        name="digits",
        task="detection",
        exporter="native",
        folder=str(folder),
        files=ModelFiles(
            "combined", str(folder / "model.pdmodel"), str(folder / "model.pdiparams")
        ),
        preprocess=(
            Resize(width=320, height=240, interp="cubic"),
            Normalize(
                color="BGR",
                scale=0.00392156862745098,
                mean=(0.485, 0.456, 0.406),
                std=(0.229, 0.224, 0.225),
            ),
        ),
        input_size=(320, 240),
        labels=("0", "1"),
        threshold=0.5,
        instances=2,
        threads=1,
        decode="scaled",
    )


def test_what_is_left_out(folder: Path) -> None:
    spec = served(folder)
    assert spec.files == ModelFiles("nb", str(folder / "x.nb"))
    assert spec.preprocess == (Resize(width=320, height=240, interp="linear"),)
    assert (spec.labels, spec.threshold, spec.instances, spec.threads) == ((), 0.5, None, None)
    assert spec.decode == "exact"


def test_steps_fix_the_size_by_their_last_geometry(folder: Path) -> None:
    steps = [
        {"op": "resize_short", "size": 256},
        {"op": "center_crop", "width": 227, "height": 224},
    ]
    spec = served(folder, preprocess=[*steps, {"op": "normalize"}])
    assert spec.preprocess == (
        ResizeShort(size=256),
        CenterCrop(width=227, height=224),
        Normalize(),
    )
    assert spec.input_size == (227, 224)


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([], "not fixed"),
        ([{"op": "normalize"}], "not fixed"),
        ([{"op": "resize_short", "size": 256}], "not fixed"),
        ([RESIZE, {"op": "resize_short", "size": 256}], "not fixed"),
        ([{"op": "normalize"}, RESIZE], "normalize must be the last"),
        ([RESIZE, {"op": "normalize"}, {"op": "normalize"}], "normalize must be the last"),
        ([{**RESIZE, "width": 0}], "resize to 0 pixels"),
        ([{**RESIZE, "height": 4097}], "resize to 4097 pixels"),
        ([{**RESIZE, "height": -1}], "resize to -1 pixels"),
        ([{"op": "resize_short", "size": 99999}], "resize_short to 99999 pixels"),
        ([{"op": "center_crop", "width": 9, "height": 0}], "center_crop to 0 pixels"),
        ([RESIZE, {"op": "center_crop", "width": 321, "height": 9}], "larger than the picture"),
        (
            [{"op": "resize_short", "size": 8}, {"op": "center_crop", "width": 8, "height": 9}],
            "larger than the picture",
        ),
        ([RESIZE, {"op": "normalize", "std": [1, 0, 1]}], "std must not be 0"),
        ([RESIZE, {"op": "normalize", "std": [1, 1]}], "preprocess[1].std"),
        ([RESIZE, {"op": "normalize", "std": [1, 1, 1e-320]}], "finite"),
        ([RESIZE, {"op": "normalize", "mean": [1, float("nan"), 1]}], "finite"),
        ([RESIZE, {"op": "normalize", "mean": [1, 1, float("inf")]}], "finite"),
        ([RESIZE, {"op": "normalize", "scale": 0}], "scale"),
        ([RESIZE, {"op": "normalize", "scale": float("nan")}], "scale"),
        ([RESIZE, {"op": "normalize", "scale": float("inf")}], "scale"),
        ([RESIZE, {"op": "normalize", "color": "GRAY"}], "'GRAY'"),
        ([{**RESIZE, "interp": "best"}], "'best'"),
        ([{**RESIZE, "keep_ratio": True}], "keep_ratio"),
        ([{**RESIZE, "width": "320"}], "preprocess[0].width: expected `int`, got `str`"),
        ([{"op": "resize", "width": 320}], "height"),
        ([{"op": "rotate"}], "'rotate'"),
        ([{"width": 320, "height": 240}], "op"),
        (["resize"], "preprocess[0]"),
        ("resize", "preprocess"),
    ],
)
def test_steps_that_are_refused(folder: Path, steps: Any, reason: str) -> None:
    assert reason in refused(folder, preprocess=steps)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mid", -1),
        ("mid", "1"),
        ("mid", 1.5),
        ("mid", True),
        ("mid", 2**53),
        ("name", 10),
        ("task", "pose"),
        ("task", ...),
        ("model", ...),
        ("model", 1),
        ("preprocess", ...),
        ("params", 1),
        ("labels", 1),
        ("labels", ["a", 1]),
        ("threshold", 1.01),
        ("threshold", -0.01),
        ("threshold", float("nan")),
        ("threshold", "0.5"),
        ("instances", 0),
        ("instances", 65),
        ("threads", 0),
        ("threads", 65),
        ("thread", 1),
        ("decode", "half"),
        ("decode", True),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(folder: Path, key: str, value: Any) -> None:
    reason = refused(folder, **{key: value})
    assert reason.startswith("model.yaml")
    assert key in reason


@pytest.mark.parametrize("value", [0, 1])
def test_limits_belong_to_the_range(folder: Path, value: int) -> None:
    spec = served(folder, threshold=value, mid=0, instances=64, threads=64)
    assert spec.threshold == value


def test_labels_from_a_file(folder: Path) -> None:
    (folder / "names.txt").write_text("猫\n狗\n", "utf-8")
    assert served(folder, labels="names.txt").labels == ("猫", "狗")
    assert refused(folder, labels="other.txt") == "other.txt is missing"


@pytest.mark.parametrize("model", ["net", "net/", "./net"])
def test_a_file_per_parameter(folder: Path, model: str) -> None:
    (folder / "net").mkdir()
    assert refused(folder, model=model).endswith("__model__ is missing")
    (folder / "net" / "__model__").touch()
    assert served(folder, model=model).files == ModelFiles("separate", str(folder / "net"))


def test_a_file_per_parameter_in_the_folder_itself(folder: Path) -> None:
    (folder / "__model__").touch()
    assert served(folder, model=".").files == ModelFiles("separate", str(folder))


def test_missing_and_superfluous_files_are_named(folder: Path) -> None:
    assert refused(folder, model="y.nb") == "y.nb is missing"
    assert refused(folder, model="y.pdmodel", params="model.pdiparams") == "y.pdmodel is missing"
    assert refused(folder, model="model.pdmodel", params="y") == "y is missing"
    assert "params is missing" in refused(folder, model="model.pdmodel")
    assert "params goes only" in refused(folder, params="model.pdiparams")


@pytest.mark.parametrize("key", ["model", "params", "labels"])
@pytest.mark.parametrize(
    "path", ["../out", "/etc/passwd", "a/../../out", "link", "linked/out", "", "a\0b", "x" * 5000]
)
def test_no_path_leads_out_of_the_folder(folder: Path, key: str, path: str) -> None:
    (folder.parent / "out").write_text("secret")
    (folder / "link").symlink_to("../out")
    (folder / "linked").symlink_to("..")
    changes = {"model": "model.pdmodel", "params": "model.pdiparams", key: path}
    assert refused(folder, **changes)


@pytest.mark.parametrize("path", ["", "a\0b", "a\nb"])
def test_what_cannot_be_a_file_name_is_refused(folder: Path, path: str) -> None:
    assert "is not a file name" in refused(folder, model=path)


def test_an_absolute_path_is_refused_even_into_the_folder(folder: Path) -> None:
    assert "leads out" in refused(folder, model=str(folder / "x.nb"))


def test_links_inside_of_the_folder_are_fine(folder: Path) -> None:
    (folder / "link.nb").symlink_to("x.nb")
    assert served(folder, model="link.nb").files.model == str(folder / "x.nb")


def test_a_byte_order_mark_is_fine(folder: Path) -> None:
    write(folder, name="猫")
    path = folder / "model.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert look(folder).name == "猫"
