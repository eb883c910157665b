"""COCO as training tools read it: by pycocotools, from a folder and from a zip."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
from pycocotools.coco import COCO

from edged.datasets.types import Box, Label
from tests.datasets.filled import (
    DETECTION,
    HEIGHT,
    WIDTH,
    added,
    boxes,
    entity,
    exported,
    files_of,
    filled,
    picture,
    told,
)

DOCUMENT = "annotations/instances.json"


@pytest.fixture
def coco(tmp_path: Path) -> COCO:
    dataset = filled(tmp_path / "store", "OBJECT_DETECTION", DETECTION)
    return COCO(str(exported(tmp_path / "store", dataset, "coco", tmp_path / "out") / DOCUMENT))


def test_pycocotools_reads_the_boxes(coco: COCO, tmp_path: Path) -> None:
    names = {one["id"]: one["name"] for one in coco.loadCats(coco.getCatIds())}
    assert sorted(names.values()) == ["car", "person", "traffic-l-eddzqimsax"]
    found: Dict[bytes, List[Any]] = {}
    for image in coco.loadImgs(coco.getImgIds()):
        content = (tmp_path / "out" / "images" / image["file_name"]).read_bytes()
        assert (image["width"], image["height"]) == (WIDTH, HEIGHT)
        found[content] = [
            (names[one["category_id"]], one.get("origin", ""), Box(*one["bbox"]))
            for one in coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
        ]
    known = told(tmp_path / "store", 1)
    assert {content: sorted(labels) for content, labels in found.items()} == {
        content: list(one.labels) for content, one in known.items()
    }
    assert [Box(*one["bbox"]) for one in coco.loadAnns(coco.getAnnIds(imgIds=[1], catIds=[1]))] == [
        *boxes()
    ]


def test_the_fields_that_tools_ask_for(coco: COCO) -> None:
    assert len(coco.anns) == sum(len(one.labels) for one in DETECTION)  # ids are unique
    for one in coco.anns.values():
        assert one["area"] == one["bbox"][2] * one["bbox"][3]
        assert (one["iscrowd"], one["segmentation"]) == (0, [])
    reviewed = {image["file_name"]: image["reviewed"] for image in coco.imgs.values()}
    digest = hashlib.sha256(picture(3)).hexdigest()
    assert [name for name, one in reviewed.items() if not one] == [f"street-{digest[:8]}.jpg"]


def test_ids_stay_when_entities_are_added(tmp_path: Path) -> None:
    store = tmp_path / "store"
    filled(store, "OBJECT_DETECTION", DETECTION[:1], "other")
    dataset = filled(store, "OBJECT_DETECTION", DETECTION)
    before = json.loads((exported(store, dataset, "coco", tmp_path / "a") / DOCUMENT).read_text())
    added(store, dataset, entity("new", picture(99), Label("a-new-one", Box(1, 1, 1, 1))))
    after = json.loads((exported(store, dataset, "coco", tmp_path / "b") / DOCUMENT).read_text())
    for part in ("images", "annotations", "categories"):
        assert len(after[part]) == len(before[part]) + 1
        assert after[part][: len(before[part])] == before[part]


def test_a_dataset_of_nothing(tmp_path: Path) -> None:
    dataset = filled(tmp_path / "store", "OBJECT_DETECTION", [])
    out = exported(tmp_path / "store", dataset, "coco", tmp_path / "out")
    assert files_of(out) == [DOCUMENT]
    assert COCO(str(out / DOCUMENT)).dataset == {"images": [], "annotations": [], "categories": []}
