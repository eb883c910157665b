"""RES folders of EasyDL, BML and EasyEdge."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from edged.registry.entry import look
from edged.registry.spec import (
    CenterCrop,
    ModelFiles,
    Normalize,
    Pad,
    Resize,
    ResizeFit,
    ResizeShort,
)
from tests.registry.exporting import changed, leave, put, refused, served

NETWORK = ("model", "params")
PRE: Dict[str, Any] = {
    "mean": [123.675, 116.28, 103.53],
    "scale": [0.5, 0.25, 0.125],
    "color_format": "RGB",
    "channel_order": "CHW",
    "resize": [608, 416],
    "rescale_mode": "keep_size",
}
NORM = Normalize("RGB", 1.0, (123.675, 116.28, 103.53), (2.0, 4.0, 8.0))


def write(folder: Path, kind: int = 2, extra: Any = None, post: Any = None, **pre: Any) -> Path:
    config = {
        "version": 1,
        "model_info": {"n_type": 0, "best_threshold": 0.4, "model_kind": kind},
        "pre_process": changed(PRE, **pre),
        **({"extra": extra} if extra else {}),
        **({"post_process": post} if post else {}),
    }
    put(leave(folder, *NETWORK), "infer_cfg.json", config)
    return folder


def test_a_detector(tmp_path: Path) -> None:
    put(tmp_path, "label_list.txt", "0:cat\n1:dog\n")
    spec = served(write(tmp_path), "EasyEdge")
    assert (spec.task, spec.threshold, spec.labels) == ("detection", 0.4, ("cat", "dog"))
    assert spec.preprocess == (Resize(608, 416), NORM)
    assert spec.files == ModelFiles("combined", *(str(tmp_path / name) for name in NETWORK))
    assert spec.boxes.normed
    assert not served(write(tmp_path, post={"box_normed": False}), "EasyEdge").boxes.normed


@pytest.mark.parametrize(("kind", "task"), [(1, "classification"), (14, "segmentation")])
def test_other_kinds(tmp_path: Path, kind: int, task: str) -> None:
    assert served(write(tmp_path, kind), "EasyEdge").task == task


def test_an_nb(tmp_path: Path) -> None:
    spec = served(write(tmp_path, extra={"fluid": {"optType": "nb"}}), "EasyEdge")
    assert spec.files == ModelFiles("nb", str(tmp_path / "model"))


def test_the_older_two_files(tmp_path: Path) -> None:
    leave(tmp_path, *NETWORK, conf_json={"modelKind": 1, "best_threshold": 0.3})
    assert look(tmp_path).exporter is None
    put(tmp_path, "preprocess_args.json", PRE)
    spec = served(tmp_path, "EasyEdge")
    assert (spec.task, spec.threshold, spec.preprocess) == (
        "classification",
        0.3,
        (Resize(608, 416), NORM),
    )
    put(tmp_path, "conf.json", {"modelName": "x"})
    assert "what kind of model" in refused(tmp_path, "EasyEdge")


@pytest.mark.parametrize(
    ("pre", "steps"),
    [
        (
            {"mean": ..., "img_mean": [1, 2, 3], "scale": 0.5},
            [Normalize("RGB", 1.0, (1, 2, 3), (2, 2, 2))],
        ),
        ({"skip_norm": True}, []),
        ({"skip_norm": True, "padding_mode": None}, []),
        ({"skip_norm": True, "padding_mode": ""}, []),
        ({"skip_norm": True, "color_format": "BGR"}, [Normalize("BGR")]),
        ({"color_format": "BGR"}, [Normalize("BGR", 1.0, NORM.mean, NORM.std)]),
    ],
)
def test_normalising(tmp_path: Path, pre: Any, steps: Any) -> None:
    spec = served(write(tmp_path, **pre), "EasyEdge")
    assert list(spec.preprocess) == [Resize(608, 416), *steps]


def test_in_proportion(tmp_path: Path) -> None:
    ratio: Dict[str, Any] = {"rescale_mode": "keep_ratio", "target_size": 256, "skip_norm": True}
    spec = served(write(tmp_path, center_crop_size=[224, 192], **ratio), "EasyEdge")
    assert spec.preprocess == (ResizeShort(256), CenterCrop(224, 192))
    spec = served(write(tmp_path, max_size=640, **ratio), "EasyEdge")
    assert spec.preprocess == (ResizeFit(256, 640), Pad(640, 640))


@pytest.mark.parametrize("name", ["model.enc", "params.enc"])
def test_an_encrypted_file_is_named(tmp_path: Path, name: str) -> None:
    leave(tmp_path, name, conf_json={})
    assert f"{name} is encrypted" in refused(tmp_path, "EasyEdge")
    (tmp_path / "conf.json").unlink()  # it may be encrypted too
    assert f"{name} is encrypted" in refused(tmp_path, "EasyEdge")


@pytest.mark.parametrize(
    ("kind", "pre", "said"),
    [
        (6, {}, "instance segmentation"),
        (100, {}, "OCR"),
        (99, {}, "kind 99"),
        (2, {"rescale_mode": "keep_ratio2"}, "keep_ratio2"),
        (2, {"rescale_mode": "keep_raw_size"}, "keep_raw_size"),
        (2, {"rescale_mode": "keep_ratio", "resize": ...}, "0 pixels"),
        (2, {"letterbox": True}, "letterbox"),
        (2, {"padding_mode": "padding_align32"}, "padding_mode padding_align32"),
        (2, {"padding_mode": 1}, "padding_mode 1"),
        (2, {"channel_order": "HWC"}, "HWC"),
        (2, {"color_format": "YUV"}, "color_format"),
        (2, {"resize": ...}, "not fixed"),
        (2, {"scale": 0}, "scale must not be 0"),
        (2, {"mean": [1]}, "mean"),
    ],
)
def test_what_is_refused(tmp_path: Path, kind: int, pre: Any, said: str) -> None:
    assert said in refused(write(tmp_path, kind, **pre), "EasyEdge")


def test_a_real_ocr_folder_is_recognised_and_refused(fixtures: Path) -> None:
    reason = refused(fixtures / "models" / "easyedge_ocr_res", "EasyEdge")
    assert "OCR" in reason
    assert "ARM" in reason
    assert "the one that reads them is missing" in reason
