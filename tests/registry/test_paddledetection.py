"""PaddleDetection's folders: what is served, and why the rest is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.registry.entry import Entry, look
from edged.registry.spec import (
    Boxes,
    ModelFiles,
    ModelSpec,
    Normalize,
    Pad,
    Resize,
    ResizeFit,
    ResizeInside,
    ToFloat,
)

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
        (["__params__"], "__model__"),
        (["inference.pdmodel"], "inference.pdiparams"),
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, there: List[str], missing: str) -> None:
    for name in there:
        (tmp_path / name).touch()
    assert refused(tmp_path) == f"{missing} is missing"


def test_a_file_for_each_parameter(tmp_path: Path) -> None:
    write(tmp_path)
    for name in ("__model__", "conv1_weights"):
        (tmp_path / name).touch()
    assert served(tmp_path).files == ModelFiles("separate", str(tmp_path))


def test_several_converted_networks_are_too_many(tmp_path: Path) -> None:
    for name in ("a.nb", "b.nb"):
        (tmp_path / name).touch()
    assert refused(tmp_path) == "the folder has several .nb files: a.nb, b.nb"


def test_newer_exports_have_inference_yml(tmp_path: Path) -> None:
    write(tmp_path, "inference.yml", Global={"model_name": "PicoDet-XS"})
    assert look(tmp_path).reason == "inference.pdmodel is missing"
    (tmp_path / "inference.pdmodel").touch()
    (tmp_path / "inference.pdiparams").touch()
    assert served(tmp_path).input_size == (416, 320)


def test_a_pir_export_is_left_to_the_engines(tmp_path: Path) -> None:
    write(tmp_path, "inference.yml")
    (tmp_path / "inference.json").touch()
    assert look(tmp_path).reason == "inference.pdiparams is missing"
    (tmp_path / "inference.pdiparams").touch()
    assert served(tmp_path).files.model == str(tmp_path / "inference.json")


def test_a_network_converted_for_a_board(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "model.nb").touch()
    assert served(tmp_path).files == ModelFiles("nb", str(tmp_path / "model.nb"))


def test_an_inference_yml_of_another_suite_is_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "inference.yml").write_text("PreProcess: {transform_ops: []}\nPostProcess: {}\n")
    assert look(tmp_path).exporter is None


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([{"type": "Warp"}], "preprocess step Warp is not supported"),
        ([RESIZE, {"type": "PadStride", "stride": "x"}], "PadStride, stride"),
        ([{"type": "PadStride", "stride": 32}], "nothing limits it"),
        ([RESIZE, {"type": "Pad", "size": [100, 416]}], "pad to 416 x 100 is smaller"),
        ([RESIZE, {"type": "Pad", "size": [999, 9999]}], "pad to 9999 pixels"),
        ([{"type": "Pad", "size": 640}, RESIZE], "padded before resize"),
        ([RESIZE, NORMALIZE, NORMALIZE], "twice"),
        ([{"type": "Resize", "target_size": 9, "use_cv2": False, "max_size": 9}], "max_size"),
        ([{"type": "Resize", "target_size": 9, "use_cv2": False, "interp": 6}], "interp 6"),
        ([{"type": "Resize", "target_size": [0, 9]}], "resize_fit to 0 pixels"),
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


MEAN, STD = (0.5, 0.4, 0.3), (0.1, 0.2, 0.3)
NORM = Normalize(scale=1 / 255, mean=MEAN, std=STD)
# What becomes 0 for the network.
ZERO: Any = pytest.approx((0.5 * 255, 0.4 * 255, 0.3 * 255))
KEEP = {"type": "Resize", "target_size": [800, 1333], "keep_ratio": True, "interp": 1}


def test_in_proportion_with_padding_to_a_stride(folder: Path) -> None:
    fit, pad, norm = step(folder, KEEP, NORMALIZE, PERMUTE, {"type": "PadStride", "stride": 32})
    assert fit == ResizeFit(short=800, long=1333, interp="linear", by="factor")
    assert (pad.width, pad.height, pad.value, pad.align) == (1344, 1344, ZERO, "start")
    assert norm == NORM


def test_in_proportion_without_padding_has_room_for_wide_and_tall(folder: Path) -> None:
    _, pad, _ = step(folder, {**KEEP, "target_size": [1333, 800]}, NORMALIZE)
    assert (pad.width, pad.height, pad.value) == (1333, 1333, ZERO)


def test_the_default_of_keep_ratio_is_true(folder: Path) -> None:
    assert step(folder, {"type": "Resize", "target_size": [320, 320]}) == (
        ResizeFit(320, 320),
        Pad(320, 320),
    )


def test_pad_is_in_the_units_of_where_it_stands(folder: Path) -> None:
    pad = {"type": "Pad", "size": [640, 704]}
    square = {**KEEP, "target_size": 640}
    assert step(folder, square, pad) == (ResizeFit(640, 640), Pad(704, 640, (114, 114, 114)))
    fill = {**pad, "fill_value": [1, 2, 3]}
    assert step(folder, square, fill, NORMALIZE)[1] == Pad(704, 640, (1, 2, 3))
    assert step(folder, square, NORMALIZE, fill)[1].value == pytest.approx(
        (0.6 * 255, 0.8 * 255, 1.2 * 255)
    )


def test_a_stretched_picture_is_padded_to_the_next_multiple(folder: Path) -> None:
    _, pad, _ = step(folder, RESIZE, NORMALIZE, {"type": "PadStride", "stride": 50})
    assert (pad.width, pad.height) == (450, 350)
    assert len(step(folder, RESIZE, {"type": "PadStride", "stride": 0})) == 1


def test_a_letter_box(folder: Path) -> None:
    assert step(folder, {"type": "LetterBoxResize", "target_size": [608, 1088]}, NORMALIZE) == (
        ResizeInside(width=1088, height=608, interp="area"),
        Pad(1088, 608, (128, 128, 128), "center"),
        NORM,
    )


def test_normalising_before_resizing_is_the_same_on_floats(folder: Path) -> None:
    assert step(folder, NORMALIZE, RESIZE) == (ToFloat(), Resize(416, 320, "cubic"), NORM)


def test_bgr_keeps_each_channels_own_mean(folder: Path) -> None:
    to_bgr = {"type": "Permute", "to_bgr": True}
    bgr = Normalize("BGR", 1 / 255, MEAN[::-1], STD[::-1])
    assert step(folder, RESIZE, NORMALIZE, to_bgr)[-1] == bgr
    assert step(folder, RESIZE, to_bgr, NORMALIZE)[-1] == Normalize("BGR", 1 / 255, MEAN, STD)
    assert step(folder, RESIZE, to_bgr)[-1] == Normalize("BGR")


OLD = {"type": "Normalize", "mean": [0.5, 0.4, 0.3], "std": [0.1, 0.2, 0.3], "is_scale": True}
OLD_RESIZE = {"type": "Resize", "interp": 2, "max_size": 0, "target_size": 608, "use_cv2": True}


def test_an_old_yolo(folder: Path) -> None:
    to_chw = {"type": "Permute", "to_bgr": False, "channel_first": True}
    write(folder, arch="YOLO", Preprocess=[OLD_RESIZE, OLD, to_chw], with_background=False)
    spec = served(folder)
    assert spec.preprocess == (Resize(608, 608, "cubic"), NORM)
    assert spec.boxes == Boxes()


@pytest.mark.parametrize(("code", "name"), [(1, "lanczos"), (2, "bilinear"), (3, "bicubic")])
def test_an_old_ssd_resized_with_pillow(folder: Path, code: int, name: Any) -> None:
    """The codes are Pillow's then, of which cv2 has others."""
    resize = {**OLD_RESIZE, "use_cv2": False, "interp": code, "target_size": 300}
    write(folder, arch="SSD", Preprocess=[resize, OLD, PERMUTE])
    interp: Any = f"pillow_{name}"
    assert served(folder).preprocess == (Resize(300, 300, interp), NORM)


def test_an_old_retinanet(folder: Path) -> None:
    resize = {**OLD_RESIZE, "max_size": 1333, "target_size": 800, "image_shape": [3, 1333, 1333]}
    write(folder, arch="RetinaNet", Preprocess=[OLD, resize, PERMUTE])
    steps: Any = served(folder).preprocess
    first, fit, pad, norm = steps
    assert (first, fit, norm) == (ToFloat(), ResizeFit(800, 1333, "cubic"), NORM)
    assert (pad.width, pad.height, pad.value) == (1333, 1333, ZERO)


@pytest.mark.parametrize(
    "labels", [["background", "cat", "dog"], ["cat", "dog", "background"], ["cat", "dog"]]
)
def test_an_old_ssd_counts_the_background(folder: Path, labels: List[str]) -> None:
    write(
        folder,
        arch="SSD",
        Preprocess=[OLD_RESIZE, OLD, PERMUTE],
        with_background=True,
        label_list=labels,
    )
    spec = served(folder)
    assert spec.labels == ("background", "cat", "dog")
    assert spec.boxes == Boxes(normed=True, background=True)


def test_a_newer_ssd_answers_pixels(folder: Path) -> None:
    write(folder, arch="SSD")
    assert served(folder).boxes == Boxes()


def test_what_a_network_without_post_processing_needs(folder: Path) -> None:
    write(folder, NMS={"name": "MultiClassNMS", "nms_threshold": 0.6}, fpn_stride=[8, 16])
    assert served(folder).boxes == Boxes(nms_threshold=0.6, strides=(8, 16))
    assert "nms_threshold" in refused(folder, NMS={"nms_threshold": 7})
    assert "fpn_stride" in refused(folder, fpn_stride=[0])


def test_key_points_are_refused(folder: Path) -> None:
    assert "key points" in refused(folder, arch="HRNet")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3))
STEP = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["Resize", "NormalizeImage", "Permute", "Pad", "PadStride", "LetterBoxResize"]
        )
        | VALUES
    },
    optional={
        key: VALUES | st.just(value)
        for key, value in {**RESIZE, **NORMALIZE, "size": 640, "stride": 32}.items()
        if key != "type"
    },
)


@settings(max_examples=60, deadline=None)
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
