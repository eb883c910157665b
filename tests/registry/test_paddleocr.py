"""PaddleOCR's folders: three networks as one model, and why some are not served."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Tuple

import pytest
import yaml

from edged.registry.entry import Entry, look
from edged.registry.spec import BoxRules, ModelFiles, ModelSpec, Reading
from tests.worker.engines.conftest import Op, Tensor, write_program

REC_RESIZE = {
    "transform_ops": [{"DecodeImage": None}, {"RecResizeImg": {"image_shape": [3, 48, 320]}}]
}


def add_network(folder: Path, stem: str = "inference") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.pdmodel").touch()
    (folder / f"{stem}.pdiparams").touch()


def files(folder: Path, stem: str = "inference") -> ModelFiles:
    return ModelFiles(
        "combined", str(folder / f"{stem}.pdmodel"), str(folder / f"{stem}.pdiparams")
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "3-plates"
    for part in ("det", "rec"):
        add_network(path / part)
    (path / "rec" / "keys.txt").write_text("a\nb\nc\n", "utf-8")
    return path


def write(path: Path, **document: Any) -> None:
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")


def entry_of(folder: Path) -> Entry:
    entry = look(folder)
    assert entry.exporter == "PaddleOCR"
    return entry


def served(folder: Path) -> ModelSpec:
    entry = entry_of(folder)
    assert entry.spec is not None, entry.reason
    return entry.spec


def reading(folder: Path) -> Reading:
    found = served(folder).reading
    assert found is not None
    return found


def refused(folder: Path) -> str:
    entry = entry_of(folder)
    assert entry.spec is None
    return entry.reason


def test_a_folder_of_two_networks(folder: Path) -> None:
    assert served(folder) == ModelSpec(
        mid=3,
        name="plates",
        task="ocr",
        exporter="PaddleOCR",
        folder=str(folder),
        files=files(folder / "det"),
        preprocess=(),
        input_size=None,
        reading=Reading(
            recognition=files(folder / "rec"),
            letters=("a", "b", "c"),
            angle=None,
            line_height=None,
            boxes=BoxRules(threshold=0.3, box_threshold=0.6, unclip=1.5, max_candidates=1000),
            languages=("CHN_ENG", "ENG", "auto_detect"),
        ),
    )


def test_an_angle_network_is_taken_where_there_is_one(folder: Path) -> None:
    add_network(folder / "cls")
    spec = served(folder)
    assert spec.reading is not None
    assert spec.reading.angle == files(folder / "cls")
    assert spec.networks == tuple(files(folder / part) for part in ("det", "rec", "cls"))


def test_model_yaml_names_the_folders(tmp_path: Path) -> None:
    folder = tmp_path / "plates"
    for part in ("find", "read", "turn"):
        add_network(folder / "parts" / part)
    (folder / "letters.txt").write_text("x\ny\n", "utf-8")
    write(
        folder / "model.yaml",
        mid=8,
        name="ocr",
        task="ocr",
        det="parts/find",
        rec="parts/read",
        cls="parts/turn",
        dictionary="letters.txt",
        languages=["ENG"],
        line_height=32,
        threshold=0.7,
        engine="paddle",
    )
    spec = served(folder)
    assert (spec.mid, spec.name, spec.threshold, spec.engine) == (8, "ocr", 0.7, "paddle")
    assert spec.files == files(folder / "parts" / "find")
    assert spec.reading == Reading(
        recognition=files(folder / "parts" / "read"),
        letters=("x", "y"),
        angle=files(folder / "parts" / "turn"),
        line_height=32,
        languages=("ENG",),
    )


def test_model_yaml_may_only_override(folder: Path) -> None:
    write(folder / "model.yaml", mid=4, threshold=0.8, instances=1)
    spec = served(folder)
    assert (spec.mid, spec.threshold, spec.instances) == (4, 0.8, 1)
    write(folder / "model.yaml", task="ocr", languages=["ENG"])
    assert reading(folder).languages == ("ENG",)
    assert reading(folder).letters == ("a", "b", "c")


def test_a_newer_export_says_it_all_in_inference_yml(folder: Path) -> None:
    (folder / "rec" / "keys.txt").unlink()
    decoder = {"name": "CTCLabelDecode", "character_dict": ["0", "1", "好", " "]}
    write(folder / "rec" / "inference.yml", PreProcess=REC_RESIZE, PostProcess=decoder)
    boxes = {"name": "DBPostProcess", "thresh": 0.2, "box_thresh": 0.5, "unclip_ratio": 1.6}
    write(folder / "det" / "inference.yml", PostProcess={**boxes, "max_candidates": 500})
    found = reading(folder)
    assert found.letters == ("0", "1", "好", " ")
    assert found.line_height == 48
    assert found.boxes == BoxRules(0.2, 0.5, 1.6, 500)


DECODE = {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}}
NORMALIZE = {
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "scale": "1./255.",
    "order": "hwc",
}


def page_steps(**normalize: Any) -> Dict[str, Any]:
    """As PaddleOCR writes them."""
    resize = {"DetResizeForTest": {"resize_long": 960}}
    norm = {"NormalizeImage": {**NORMALIZE, **normalize}}
    last = [{"ToCHWImage": None}, {"KeepKeys": {"keep_keys": ["image", "shape"]}}]
    return {"transform_ops": [DECODE, {"DetLabelEncode": None}, resize, norm, *last]}


def test_what_a_newer_export_says_of_the_pixels(folder: Path) -> None:
    add_network(folder / "cls")
    cls = {"transform_ops": [DECODE, {"ClsResizeImg": {"image_shape": [3, 48, 192]}}]}
    after = {"name": "ClsPostProcess", "label_list": None}
    write(folder / "cls" / "inference.yml", PreProcess=cls, PostProcess=after)
    write(folder / "det" / "inference.yml", PreProcess=page_steps())
    assert reading(folder).angle == files(folder / "cls")
    write(folder / "det" / "inference.yml", PreProcess=page_steps(scale=0.00392157))
    assert served(folder).files == files(folder / "det")


ANGLE_OF_CLAS = {
    "PreProcess": {"transform_ops": [{"ResizeImage": {"size": [160, 80]}}]},
    "PostProcess": {"Topk": {"topk": 1, "label_list": ["0_degree", "180_degree"]}},
}


@pytest.mark.parametrize(
    ("part", "document", "reason"),
    [
        ("cls", ANGLE_OF_CLAS, "cls/inference.yml, PostProcess: Topk is not supported"),
        ("cls", {"PreProcess": {}}, "cls/inference.yml, PostProcess: nothing is not supported"),
        ("cls", {"PostProcess": {"name": "DBPostProcess"}}, "DBPostProcess is not supported"),
        (
            "cls",
            {
                "PreProcess": {"transform_ops": [{"ClsResizeImg": {"image_shape": [3, 80, 160]}}]},
                "PostProcess": {"name": "ClsPostProcess"},
            },
            "cls/inference.yml, ClsResizeImg: [3, 80, 160] is not served, only [3, 48, 192]",
        ),
        ("det", {"PreProcess": page_steps(mean=[0.5, 0.5, 0.5])}, "det/inference.yml, Normalize"),
        ("det", {"PreProcess": page_steps(std=[0.5, 0.5, 0.5])}, "only ImageNet's mean and std"),
        ("det", {"PreProcess": page_steps(scale=1.0)}, "only ImageNet's mean and std"),
        ("det", {"PreProcess": page_steps(scale="0/0")}, "scale '0/0' is not a number"),
        (
            "rec",
            {"PreProcess": {"transform_ops": [{"DecodeImage": {"img_mode": "RGB"}}]}},
            "rec/inference.yml: img_mode RGB is not served, only BGR",
        ),
    ],
)
def test_pixels_that_would_not_be_fed_are_refused(
    folder: Path, part: str, document: Any, reason: str
) -> None:
    add_network(folder / "cls")
    write(folder / part / "inference.yml", **document)
    assert reason in refused(folder)


def test_a_dictionary_counts_every_line(folder: Path) -> None:
    path = folder / "rec" / "keys.txt"
    for text, letters in {
        "a\n \nb": ("a", " ", "b"),
        "a\r\n\u3000\r\nb\r\n": ("a", "\u3000", "b"),
        "0 a\n1 b\n": ("0 a", "1 b"),
        "a\n\n\u2028\n": ("a", "", "\u2028"),
        "\ufeffa\n": ("a",),
    }.items():
        path.write_bytes(text.encode())
        assert reading(folder).letters == letters
    path.write_bytes("中\n国\n".encode("gbk"))
    assert reading(folder).letters == ("中", "国")


@pytest.mark.parametrize("kind", ["nb", "old", "separate", "model", "json"])
def test_every_form_of_a_network(folder: Path, kind: str) -> None:
    det = folder / "det"
    for path in det.iterdir():
        path.unlink()
    names = {
        "nb": ["det_v4.nb"],
        "old": ["__model__", "__params__"],
        "separate": ["__model__", "conv_weights"],
        "model": ["model.pdmodel", "model.pdiparams"],
        "json": ["inference.json", "inference.pdiparams"],
    }[kind]
    for name in names:
        (det / name).touch()
    paths = [str(det / name) for name in names]
    assert served(folder).files == {
        "nb": ModelFiles("nb", paths[0]),
        "separate": ModelFiles("separate", str(det)),
    }.get(kind, ModelFiles("combined", *paths))


def test_a_full_network_comes_before_one_converted_from_it(folder: Path) -> None:
    """The .nb may be for another machine."""
    (folder / "det" / "inference.nb").touch()
    assert served(folder).files == files(folder / "det")


def break_it(folder: Path, what: Dict[str, Any]) -> None:
    for name, content in what.items():
        path = folder / name
        if content is None:
            path.unlink()
        elif isinstance(content, dict):
            write(path, **content)
        else:
            path.write_bytes(content)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ({"det/inference.pdmodel": None}, "det/inference.pdmodel is missing"),
        ({"rec/inference.pdiparams": None}, "rec/inference.pdiparams is missing"),
        ({"rec/keys.txt": None}, "the dictionary is missing"),
        ({"rec/more.txt": b"a"}, "rec has several .txt files: keys.txt, more.txt"),
        ({"rec/keys.txt": b"\xff\xfe\0\0"}, "neither UTF-8 nor GBK"),
        ({"model.yaml": {"task": "ocr", "cls": "cls"}}, "the folder cls is missing"),
        ({"model.yaml": {"task": "ocr", "det": "../det"}}, "leads out of the model's folder"),
        ({"model.yaml": {"task": "ocr", "dictionary": "/etc/passwd"}}, "leads out"),
        ({"model.yaml": {"task": "ocr", "line_height": 4096}}, "line_height"),
        ({"model.yaml": {"task": "ocr", "line_width": 0}}, "line_width"),
        ({"model.yaml": {"task": "ocr", "decode": "scaled"}}, "decode cannot be scaled"),
        ({"model.yaml": {"task": "ocr", "page_size": [640]}}, "page_size"),
        ({"model.yaml": {"task": "ocr", "page_size": [640, 1 << 20]}}, "page_size[1]"),
        ({"model.yaml": {"task": "ocr", "model": "x.nb"}}, "`model`"),
        ({"det/inference.yml": {"PostProcess": {"name": "EASTPostProcess"}}}, "EASTPostProcess"),
        ({"det/inference.yml": {"PostProcess": {"thresh": 3}}}, "thresh: expected `float` <= 1.0"),
        ({"det/inference.yml": {"PostProcess": {"box_thresh": float("nan")}}}, "box_thresh"),
        ({"det/inference.yml": {"PostProcess": {"unclip_ratio": 1e9}}}, "unclip_ratio"),
        ({"det/inference.yml": {"PostProcess": {"max_candidates": 0}}}, "max_candidates"),
        ({"det/inference.yml": {"PostProcess": []}}, "expected `object`"),
        (
            {
                "rec/keys.txt": None,
                "rec/inference.yml": {"PostProcess": {"name": "AttnLabelDecode"}},
            },
            "AttnLabelDecode is not supported",
        ),
        (
            {
                "rec/inference.yml": {
                    "PreProcess": {"transform_ops": [{"RecResizeImg": {"image_shape": [3, 1, 9]}}]}
                }
            },
            "RecResizeImg, image_shape[1]: expected `int` >= 8",
        ),
        (
            {
                "rec/inference.yml": {
                    "PreProcess": {"transform_ops": [{"RecResizeImg": {"image_shape": "3,48"}}]}
                }
            },
            "RecResizeImg",
        ),
    ],
)
def test_what_is_refused(folder: Path, what: Dict[str, Any], reason: str) -> None:
    break_it(folder, what)
    assert reason in refused(folder)


@pytest.mark.parametrize(
    "preprocess",
    [None, [], {}, {"transform_ops": None}, {"transform_ops": [None, "x", {"RecResizeImg2": 1}]}],
)
def test_odd_preprocess_sections_say_nothing(folder: Path, preprocess: Any) -> None:
    write(folder / "rec" / "inference.yml", PreProcess=preprocess)
    assert reading(folder).line_height is None


def test_a_network_that_is_a_link_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    add_network(tmp_path / "elsewhere")
    (folder / "cls").symlink_to(tmp_path / "elsewhere")
    assert "leads out of the model's folder" in refused(folder)


def test_a_folder_with_only_a_recogniser_is_not_this(tmp_path: Path) -> None:
    add_network(tmp_path / "rec")
    assert look(tmp_path).exporter is None


def alone(part: str) -> str:
    beside = {"det": "rec", "rec": "det", "cls": "det and rec"}[part]
    return (
        f"this is one network of an OCR model: put it into a folder as {part},"
        f" with {beside} beside it"
    )


@pytest.mark.parametrize(
    ("part", "source"),
    [("det", "ppocr_det_en_v3"), ("rec", "ppocr_rec_ch_v2"), ("cls", "ppocr_cls_v2")],
)
def test_one_of_its_networks_alone_is_refused(fixtures: Path, part: str, source: str) -> None:
    assert refused(fixtures / "models" / source) == alone(part)


@pytest.mark.parametrize(
    ("part", "decoder"),
    [("det", "DBPostProcess"), ("rec", "CTCLabelDecode"), ("cls", "ClsPostProcess")],
)
def test_a_newer_one_alone_says_itself_what_it_is(tmp_path: Path, part: str, decoder: str) -> None:
    add_network(tmp_path)
    # NormalizeImage is PaddleClas's, too.
    steps = {"transform_ops": [{"NormalizeImage": {}}, {"KeepKeys": None}]}
    write(tmp_path / "inference.yml", PreProcess=steps, PostProcess={"name": decoder})
    assert refused(tmp_path) == alone(part)


@pytest.mark.parametrize(
    ("picture", "answer"),
    [
        ((-1, 3, 224, 224), (-1, 1000)),
        ((-1, 3, 224, 224), (-1, 2)),
        ((-1, 3, -1, -1), (-1, 2)),
        ((-1, 3, 48, 192), (-1, 5)),
    ],
)
def test_a_classifier_alone_is_not_its(
    tmp_path: Path, picture: Tuple[int, ...], answer: Tuple[int, ...]
) -> None:
    add_network(tmp_path)
    write_program(
        tmp_path / "inference.pdmodel",
        [Op("softmax", "image", "out")],
        [Tensor("image", picture)],
        [Tensor("out", answer)],
    )
    assert look(tmp_path).exporter == "PaddleClas"


def test_a_description_of_ones_own_comes_first(fixtures: Path, tmp_path: Path) -> None:
    for path in (fixtures / "models" / "ppocr_cls_v2").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.yaml").write_text(
        "task: classification\nmodel: inference.pdmodel\nparams: inference.pdiparams\n"
        "preprocess:\n- {op: resize, width: 100, height: 32}\n"
    )
    assert look(tmp_path).exporter == "native"
