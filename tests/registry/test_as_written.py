"""What exporters write beside what is read, and what people name their folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest
import yaml

from edged.registry.entry import look
from edged.registry.folder import Folder
from edged.registry.formats.labels import read_labels
from edged.registry.spec import ModelFiles
from tests.registry.exporting import leave, refused, served

SHAPES = {"x": [[1, 3, 32, 32], [1, 3, 224, 224], [8, 3, 224, 224]]}
# The same object twice: `yaml.dump` writes it once, with an anchor.
RUNTIMES = {"paddle_infer": {"trt_dynamic_shapes": SHAPES, "dynamic_shapes": SHAPES}}
HPI = {"backend_configs": RUNTIMES}
NETWORK = ("inference.pdmodel", "inference.pdiparams")
CLASSIFIER: Dict[str, Any] = {"PreProcess": {"transform_ops": [{"ResizeImage": {"size": 224}}]}}
DETECTOR: Dict[str, Any] = {
    "Preprocess": [{"type": "Resize", "target_size": [320, 320], "keep_ratio": False, "interp": 2}]
}
SEGMENTER: Dict[str, Any] = {
    "Deploy": {
        "model": NETWORK[0],
        "params": NETWORK[1],
        "transforms": [{"type": "Resize", "target_size": [192, 192]}],
        "input_shape": [1, 3, 192, 192],
    }
}


@pytest.mark.parametrize(
    ("name", "document", "exporter"),
    [
        ("inference.yml", CLASSIFIER, "PaddleClas"),
        ("inference.yml", DETECTOR, "PaddleDetection"),
        ("deploy.yaml", SEGMENTER, "PaddleSeg"),
    ],
)
def test_a_block_for_another_runtime_is_passed_over(
    tmp_path: Path, name: str, document: Dict[str, Any], exporter: str
) -> None:
    leave(tmp_path, *NETWORK)
    text = yaml.dump({"Hpi": HPI, **document})
    assert "&id001" in text
    (tmp_path / name).write_text(text)
    assert served(tmp_path, exporter).files == ModelFiles(
        "combined", *(str(tmp_path / network) for network in NETWORK)
    )


@pytest.mark.parametrize("how", ["NormalizeFeatures", "PersonAttribute"])
def test_an_answer_that_is_none_of_a_classifiers_is_refused(tmp_path: Path, how: str) -> None:
    leave(tmp_path, *NETWORK, inference_yml={**CLASSIFIER, "PostProcess": {how: None}})
    assert how in refused(tmp_path, "PaddleClas")


def test_the_name_of_the_answer_beside_its_options(tmp_path: Path) -> None:
    answer = {"name": "Topk", "topk": 5, "label_list": ["cat", "dog"]}
    leave(tmp_path, *NETWORK, inference_yml={**CLASSIFIER, "PostProcess": answer})
    assert served(tmp_path, "PaddleClas").labels == ("cat", "dog")


def test_no_labels_as_null(tmp_path: Path) -> None:
    leave(tmp_path, *NETWORK, inference_yml={**DETECTOR, "label_list": None})
    assert served(tmp_path, "PaddleDetection").labels == ()


@pytest.mark.parametrize(
    ("folder", "mid", "name"),
    [
        ("my model (1)", None, "my-model-1"),
        ("26-头盔 检测", 26, "头盔-检测"),
        ("新建文件夹 (2)", None, "新建文件夹-2"),
        ("helmets", None, "helmets"),
    ],
)
def test_a_name_has_what_a_url_can_have(tmp_path: Path, folder: str, mid: Any, name: str) -> None:
    entry = look(leave(tmp_path / folder, *NETWORK, inference_yml=CLASSIFIER))
    assert (entry.mid, entry.name, entry.reason) == (mid, name, "")


def test_labels_by_their_numbers(tmp_path: Path) -> None:
    answer = {"Topk": {"topk": 5, "label_list": {1: "dog", 0: "cat"}}}
    leave(tmp_path, *NETWORK, inference_yml={**CLASSIFIER, "PostProcess": answer})
    assert served(tmp_path, "PaddleClas").labels == ("cat", "dog")


def test_labels_that_lack_a_number(tmp_path: Path) -> None:
    answer = {"Topk": {"topk": 5, "label_list": {0: "cat", 2: "dog"}}}
    leave(tmp_path, *NETWORK, inference_yml={**CLASSIFIER, "PostProcess": answer})
    assert "label_list" in refused(tmp_path, "PaddleClas")


@pytest.mark.parametrize("first", [0, 1])
def test_labels_with_their_numbers_before_them(tmp_path: Path, first: int) -> None:
    (tmp_path / "label_list.txt").write_text(f"{first}:person\n{first + 1}:bicycle\n")
    assert read_labels(Folder(tmp_path), "label_list.txt") == ("person", "bicycle")


def test_an_encrypted_model_is_told_so(tmp_path: Path) -> None:
    leave(tmp_path, "infer_cfg.json.enc", "model.enc", "params", label_list_txt="cat")
    assert "infer_cfg.json.enc is encrypted" in refused(tmp_path, "EasyEdge")


@pytest.mark.parametrize(
    ("there", "hint"),
    [("x.nb", "for x.nb"), ("model.pdmodel", "for model.pdmodel"), ("a/__model__", "folder a?")],
)
def test_what_is_there_instead_of_an_export_is_told(tmp_path: Path, there: str, hint: str) -> None:
    leave(tmp_path, there)
    assert hint in look(tmp_path).reason
