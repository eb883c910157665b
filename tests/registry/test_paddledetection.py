"""PaddleDetection's folders: what is served, and why the rest is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.registry.registry import Entry, look
from edged.registry.spec import ModelFiles, ModelSpec, Normalize, Resize

RESIZE: Dict[str, Any] = {
    "type": "Resize",
    "target_size": [320, 416],
    "keep_ratio": False,
    "interp": 2,
}
NORMALIZE: Dict[str, Any] = {
    "type": "NormalizeImage",
    "mean": [0.5, 0.4, 0.3],
    "std": [0.1, 0.2, 0.3],
    "is_scale": True,
    "norm_type": "mean_std",
}
PERMUTE = {"type": "Permute"}


def write(folder: Path, name: str = "infer_cfg.yml", **changes: Any) -> None:
    document = {
        "mode": "paddle",
        "draw_threshold": 0.4,
        "arch": "GFL",
        "Preprocess": [RESIZE, NORMALIZE, PERMUTE],
        "label_list": ["cat", "dog"],
        **changes,
    }
    kept = {key: value for key, value in document.items() if value is not ...}
    dumper = yaml.SafeDumper
    dumper.ignore_aliases = lambda *_: True  # type: ignore[method-assign]
    (folder / name).write_text(yaml.dump(kept, Dumper=dumper), "utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "2-pets"
    path.mkdir()
    (path / "model.pdmodel").touch()
    (path / "model.pdiparams").touch()
    return path


def served(folder: Path) -> ModelSpec:
    entry = look(folder)
    assert entry.spec is not None, entry.reason
    assert entry.exporter == "PaddleDetection"
    return entry.spec


def refused(folder: Path, **changes: Any) -> str:
    write(folder, **changes)
    entry = look(folder)
    assert entry.spec is None
    assert entry.exporter == "PaddleDetection"
    return entry.reason


def step(folder: Path, *steps: Dict[str, Any]) -> Tuple[Any, ...]:
    write(folder, Preprocess=[*steps, PERMUTE])
    return served(folder).preprocess


def test_a_whole_folder(folder: Path) -> None:
    write(folder)
    assert served(folder) == ModelSpec(
        mid=2,
        name="pets",
        task="detection",
        exporter="PaddleDetection",
        folder=str(folder),
        files=ModelFiles(
            "combined", str(folder / "model.pdmodel"), str(folder / "model.pdiparams")
        ),
        preprocess=(
            Resize(width=416, height=320, interp="cubic"),
            Normalize(color="RGB", scale=1 / 255, mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.3)),
        ),
        input_size=(416, 320),
        labels=("cat", "dog"),
        threshold=0.4,
    )


@pytest.mark.parametrize(
    ("code", "interp"),
    [(0, "nearest"), (1, "linear"), (2, "cubic"), (3, "area"), (4, "lanczos")],
)
def test_interpolations_are_cv2s_codes(folder: Path, code: int, interp: str) -> None:
    assert step(folder, {**RESIZE, "interp": code})[0].interp == interp


def test_one_number_is_a_square(folder: Path) -> None:
    write(folder, Preprocess=[{**RESIZE, "target_size": 320}])
    assert served(folder).input_size == (320, 320)


def test_without_interp_it_is_linear(folder: Path) -> None:
    plain = {key: value for key, value in RESIZE.items() if key != "interp"}
    assert step(folder, plain)[0].interp == "linear"


@pytest.mark.parametrize(
    ("changes", "normalize"),
    [
        ({"is_scale": False}, Normalize(mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.3))),
        ({"norm_type": "none"}, Normalize(scale=1 / 255)),
        ({"norm_type": "none", "is_scale": False}, Normalize()),
        ({"norm_type": None}, Normalize(scale=1 / 255)),
    ],
)
def test_what_normalize_image_means(
    folder: Path, changes: Dict[str, Any], normalize: Normalize
) -> None:
    assert step(folder, RESIZE, {**NORMALIZE, **changes})[1] == normalize


def test_the_defaults_of_normalize_image_are_paddledetections(folder: Path) -> None:
    bare = {key: NORMALIZE[key] for key in ("type", "mean", "std")}
    assert step(folder, RESIZE, bare) == step(folder, RESIZE, NORMALIZE)


def test_without_normalize_image_pixels_stay_raw(folder: Path) -> None:
    assert step(folder, RESIZE) == (Resize(width=416, height=320, interp="cubic"),)


def test_what_may_be_left_out(folder: Path) -> None:
    write(folder, draw_threshold=..., label_list=...)
    assert (served(folder).threshold, served(folder).labels) == (0.5, ())


def test_labels_that_are_numbers_are_texts(folder: Path) -> None:
    write(folder, label_list=[0, 1])
    assert served(folder).labels == ("0", "1")


@pytest.mark.parametrize(
    "names", [("__model__", "__params__"), ("inference.pdmodel", "inference.pdiparams")]
)
def test_other_names_of_the_network(tmp_path: Path, names: Tuple[str, str]) -> None:
    write(tmp_path)
    for name in names:
        (tmp_path / name).touch()
    files = ModelFiles("combined", str(tmp_path / names[0]), str(tmp_path / names[1]))
    assert served(tmp_path).files == files


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        ([], "model.pdmodel"),
        (["model.pdmodel"], "model.pdiparams"),
        (["model.pdiparams"], "model.pdmodel"),
        (["__model__"], "__params__"),
        (["inference.pdmodel"], "inference.pdiparams"),
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, there: List[str], missing: str) -> None:
    for name in there:
        (tmp_path / name).touch()
    assert refused(tmp_path) == f"{missing} is missing"


def test_newer_exports_have_inference_yml(tmp_path: Path) -> None:
    write(tmp_path, "inference.yml", Global={"model_name": "PicoDet-XS"})
    assert look(tmp_path).reason == "inference.pdmodel is missing"
    (tmp_path / "inference.pdmodel").touch()
    (tmp_path / "inference.pdiparams").touch()
    assert served(tmp_path).input_size == (416, 320)


def test_a_pir_export_is_refused_by_its_own_reason(tmp_path: Path) -> None:
    write(tmp_path, "inference.yml")
    (tmp_path / "inference.json").touch()
    (tmp_path / "inference.pdiparams").touch()
    reason = look(tmp_path).reason
    assert reason == "inference.pdmodel is missing, and Paddle Lite cannot run inference.json (PIR)"


def test_an_inference_yml_of_another_suite_is_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "inference.yml").write_text("PreProcess: {transform_ops: []}\nPostProcess: {}\n")
    assert look(tmp_path).exporter is None


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([{"type": "LetterBoxResize"}], "preprocess step LetterBoxResize is not supported yet"),
        ([RESIZE, {"type": "PadStride"}], "preprocess step PadStride is not supported yet"),
        ([{"type": "Normalize"}], "preprocess step Normalize is not supported yet"),
        (
            [{**RESIZE, "keep_ratio": True}],
            "preprocess step Resize with keep_ratio is not supported yet",
        ),
        (
            [{"type": "Resize", "target_size": [1, 1]}],
            "preprocess step Resize with keep_ratio is not supported yet",
        ),
        (
            [RESIZE, {"type": "Permute", "to_bgr": True}],
            "preprocess step Permute with to_bgr is not supported yet",
        ),
        ([{"target_size": [1, 1]}], "infer_cfg.yml: a preprocess step has no type"),
        ([{"type": ["Resize"]}], "infer_cfg.yml: a preprocess step has no type"),
        ([{**RESIZE, "interp": 5}], "interp 5"),
        ([{**RESIZE, "interp": -1}], "interp -1"),
        ([{**RESIZE, "interp": "cubic"}], "Resize, interp: expected `int`"),
        ([{**RESIZE, "target_size": [320]}], "Resize, target_size"),
        ([{**RESIZE, "target_size": [0, 320]}], "resize to 0 pixels"),
        ([{**RESIZE, "target_size": [9999, 320]}], "resize to 9999 pixels"),
        ([{"type": "Resize", "keep_ratio": False}], "target_size"),
        ([RESIZE, {**NORMALIZE, "std": [0, 1, 1]}], "std must not be 0"),
        ([RESIZE, {**NORMALIZE, "mean": [1]}], "NormalizeImage, mean"),
        ([RESIZE, {**NORMALIZE, "norm_type": "max"}], "norm_type"),
        ([NORMALIZE, RESIZE], "normalize must be the last step"),
        ([NORMALIZE], "not fixed"),
        ([], "not fixed"),
        (["Resize"], "Preprocess[0]"),
        ("Resize", "Preprocess: expected `array`"),
        (..., "Preprocess"),
    ],
)
def test_preprocessing_that_is_refused(folder: Path, steps: Any, reason: str) -> None:
    assert reason in refused(folder, Preprocess=steps)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("draw_threshold", 1.5),
        ("draw_threshold", -0.5),
        ("draw_threshold", float("nan")),
        ("draw_threshold", "high"),
        ("label_list", "labels.txt"),
        ("label_list", ["a", True]),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(folder: Path, key: str, value: Any) -> None:
    assert key in refused(folder, **{key: value})


def test_broken_yaml_is_a_reason(folder: Path) -> None:
    (folder / "infer_cfg.yml").write_text("Preprocess: [\n")
    entry = look(folder)
    assert (entry.mid, entry.name, entry.exporter) == (2, "pets", "PaddleDetection")
    assert "infer_cfg.yml, line 2: not usable YAML" in entry.reason


def test_a_long_operator_name_is_cut(folder: Path) -> None:
    assert len(refused(folder, Preprocess=[{"type": "x" * 4000}])) <= 301


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3))
STEP = st.fixed_dictionaries(
    {"type": st.sampled_from(["Resize", "NormalizeImage", "Permute"]) | VALUES},
    optional={
        key: VALUES | st.just(value)
        for key, value in {**RESIZE, **NORMALIZE}.items()
        if key != "type"
    },
)


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(STEP, max_size=3))
def test_no_preprocessing_raises(
    tmp_path_factory: pytest.TempPathFactory, steps: List[Dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("model")
    (folder / "model.pdmodel").touch()
    (folder / "model.pdiparams").touch()
    write(folder, Preprocess=steps)
    entry: Entry = look(folder)
    assert (entry.spec is None) == bool(entry.reason)


def test_a_real_export(fixtures: Path) -> None:
    spec = served(fixtures / "models" / "picodet_xs_320_coco")
    assert spec.preprocess == (
        Resize(width=320, height=320, interp="cubic"),
        Normalize(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    )
    assert (spec.input_size, spec.threshold) == ((320, 320), 0.5)
    assert (len(spec.labels), spec.labels[0], spec.labels[79]) == (80, "person", "toothbrush")
