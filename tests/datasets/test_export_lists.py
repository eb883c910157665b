"""VOC, ImageNet and the lists of PaddleClas and PaddleOCR, read as their documents describe
them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Set, Tuple
from xml.etree import ElementTree

import pytest

from edged.datasets.formats import FORMATS, format_for
from edged.datasets.rules import KINDS
from edged.datasets.types import Kind, Label
from edged.errors import BadParam
from tests.datasets.filled import (
    DETECTION,
    HEIGHT,
    WIDTH,
    entity,
    exported,
    files_of,
    filled,
    picture,
    sound,
)

Boxes = Set[Tuple[Any, ...]]
"""Label, left, top, right, bottom."""

SINGLE = (
    entity("tabby.jpg", picture(1), "cat"),
    entity("rex 1.jpg", picture(2), "dog"),
    entity("tabby.jpg", picture(3), "cat"),
    entity("dark.jpg", picture(4)),
)
SEVERAL = (*SINGLE, entity("both.jpg", picture(5), "dog", "cat", "indoor"))


def rounded(name: str, left: float, top: float, right: float, bottom: float) -> Tuple[Any, ...]:
    """What is left of a box's edges when floats were added."""
    return (name, *(round(float(value), 9) for value in (left, top, right, bottom)))


def boxes_of(content: bytes) -> Boxes:
    """What was put in."""
    (one,) = (one for one in DETECTION if one.content.data == content)
    return {
        rounded(
            label.origin or label.name,
            box.left,
            box.top,
            box.left + box.width,
            box.top + box.height,
        )
        for label in one.labels
        for box in [label.box]
        if box is not None
    }


# -- VOC


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    dataset = filled(tmp_path / "store", "OBJECT_DETECTION", DETECTION)
    return exported(tmp_path / "store", dataset, "voc", tmp_path / "out")


def test_voc_by_its_development_kit(voc: Path) -> None:
    """Pixels from 1 on, the last one included."""
    images = (voc / "ImageSets/Main/trainval.txt").read_text().split("\n")
    assert images.pop() == ""
    assert len(images) == len(DETECTION)
    contents = []
    for image in images:
        root = ElementTree.parse(voc / "Annotations" / f"{image}.xml").getroot()
        content = (voc / str(root.findtext("folder")) / str(root.findtext("filename"))).read_bytes()
        contents.append(content)
        assert root.tag == "annotation"
        sides = [root.findtext(f"size/{side}") for side in ("width", "height", "depth")]
        assert sides == [str(WIDTH), str(HEIGHT), "3"]
        found: Boxes = set()
        for one in root.iterfind("object"):
            assert [one.findtext(part) for part in ("pose", "truncated", "difficult")] == [
                *("Unspecified", "0", "0")
            ]
            xmin, ymin, xmax, ymax = (
                float(str(one.findtext(f"bndbox/{edge}")))
                for edge in ("xmin", "ymin", "xmax", "ymax")
            )
            name = one.findtext("origin") or str(one.findtext("name"))
            found.add(rounded(name, xmin - 1, ymin - 1, xmax, ymax))
        assert found == boxes_of(content)
    assert contents == [one.content.data for one in DETECTION]


def test_voc_as_paddledetection_reads_it(voc: Path) -> None:
    """A picture and its annotation a line, with a blank between, and the labels by number."""
    pairs = [line.split(" ") for line in (voc / "trainval.txt").read_text().splitlines()]
    assert [len(pair) for pair in pairs] == [2] * len(DETECTION)
    assert all((voc / path).is_file() for pair in pairs for path in pair)
    assert (voc / "label_list.txt").read_text().splitlines() == [
        "car",
        "traffic-l-eddzqimsax",
        "person",
    ]


def test_voc_says_what_was_looked_at(voc: Path) -> None:
    found = {
        path.stem: ElementTree.parse(path).getroot().get("verified")
        for path in (voc / "Annotations").iterdir()
    }
    assert [found[name] for name in sorted(found)].count("no") == 1


# -- ImageNet


def image_folder(root: Path) -> Dict[str, Set[bytes]]:
    """As torchvision's ImageFolder: a class for each folder, and no class without a file."""
    classes = sorted(path.name for path in root.iterdir())
    found = {name: {path.read_bytes() for path in (root / name).iterdir()} for name in classes}
    assert all(found.values())
    assert all(
        path.suffix.lower() in (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".wav", ".txt")
        for path in root.rglob("*.*")
    )
    return found


def test_imagenet(tmp_path: Path) -> None:
    dataset = filled(tmp_path / "store", "IMAGE_CLASSIFICATION", SEVERAL)
    out = exported(tmp_path / "store", dataset, "imagenet", tmp_path / "out")
    assert image_folder(out / "train") == {
        "cat": {picture(1), picture(3), picture(5)},
        "dog": {picture(2), picture(5)},
        "indoor": {picture(5)},
    }
    assert [path.read_bytes() for path in (out / "unlabelled").iterdir()] == [picture(4)]


@pytest.mark.parametrize(
    ("kind", "contents"),
    [
        ("SOUND_CLASSIFICATION", [sound(1), sound(2)]),
        ("TEXT_CLASSIFICATION", ["très bien".encode(), "没有".encode()]),
        ("IMAGE_SEGMENTATION", [picture(1), picture(2)]),
    ],
)
def test_other_types(tmp_path: Path, kind: Kind, contents: List[bytes]) -> None:
    """Sounds, texts, and pictures to be segmented, of which the API knows no outlines."""
    entities = [entity("one", contents[0], "yes"), entity("two", contents[1], "no")]
    dataset = filled(tmp_path / "store", kind, entities)
    out = exported(tmp_path / "store", dataset, "imagenet", tmp_path / "imagenet")
    assert image_folder(out / "train") == {"yes": {contents[0]}, "no": {contents[1]}}
    out = exported(tmp_path / "store", dataset, "paddleclas", tmp_path / "paddleclas")
    assert single_list(out) == [(contents[0], "yes"), (contents[1], "no")]


# -- PaddleClas


def label_names(root: Path) -> Dict[int, str]:
    rows = (line.split(" ") for line in (root / "label_list.txt").read_text().splitlines())
    return {int(number): name for number, name in rows}


def single_list(root: Path) -> List[Tuple[bytes, str]]:
    """Its delimiter is a blank unless one is named."""
    names, found = label_names(root), []
    for line in (root / "train_list.txt").read_text().splitlines():
        path, number = line.split(" ")
        found.append(((root / path).read_bytes(), names[int(number)]))
    return found


def test_paddleclas_one_label_each(tmp_path: Path) -> None:
    dataset = filled(tmp_path / "store", "IMAGE_CLASSIFICATION", SINGLE)
    out = exported(tmp_path / "store", dataset, "paddleclas", tmp_path / "out")
    assert label_names(out) == {0: "cat", 1: "dog"}
    assert single_list(out) == [(picture(1), "cat"), (picture(2), "dog"), (picture(3), "cat")]
    assert (out / "unlabelled_list.txt").read_text() == "images/dark.jpg\n"


def test_paddleclas_several_labels(tmp_path: Path) -> None:
    dataset = filled(tmp_path / "store", "IMAGE_CLASSIFICATION", SEVERAL)
    out = exported(tmp_path / "store", dataset, "paddleclas", tmp_path / "out")
    names = label_names(out)
    assert sorted(names) == [0, 1, 2]
    found = {}
    for line in (out / "train_list.txt").read_text().splitlines():
        path, marks = line.split("\t")
        flags = [int(mark) for mark in marks.split(",")]
        assert len(flags) == len(names)
        found[(out / path).read_bytes()] = {names[at] for at, flag in enumerate(flags) if flag}
    assert found == {
        picture(1): {"cat"},
        picture(2): {"dog"},
        picture(3): {"cat"},
        picture(5): {"cat", "dog", "indoor"},
    }


# -- PaddleOCR


def test_paddleocr_boxes(tmp_path: Path) -> None:
    """Four corners, clockwise from the upper left; the text is what the model had read."""
    dataset = filled(tmp_path / "store", "OBJECT_DETECTION", DETECTION)
    out = exported(tmp_path / "store", dataset, "paddleocr", tmp_path / "out")
    for line in (out / "Label.txt").read_text().splitlines():
        path, regions = line.split("\t")
        found: Boxes = set()
        for region in json.loads(regions):
            (left, top), (right, above), (right_too, bottom), (left_too, below) = region["points"]
            assert (left_too, above, right_too, below) == (left, top, right, bottom)
            found.add(rounded(region["transcription"], left, top, right, bottom))
        assert found == boxes_of((out / path).read_bytes())


def test_paddleocr_lines(tmp_path: Path) -> None:
    lines = [
        entity("1.jpg", picture(1), "EXIT"),
        entity("2.jpg", picture(2), Label("mind-the-gap", None, "Mind the gap\t!")),
        entity("3.jpg", picture(3)),
    ]
    dataset = filled(tmp_path / "store", "IMAGE_CLASSIFICATION", lines)
    out = exported(tmp_path / "store", dataset, "paddleocr", tmp_path / "out")
    rows = [line.split("\t") for line in (out / "rec_gt.txt").read_text().split("\n")[:-1]]
    found = {(out / path).read_bytes(): text for path, text in rows}
    assert found == {picture(1): "EXIT", picture(2): "Mind the gap !", picture(3): ""}


# -- all of them


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_type_has_its_formats(name: str, kind: Any, tmp_path: Path) -> None:
    """An unfit one is refused with what would do."""
    suited = {one for one in FORMATS if kind in FORMATS[one].kinds}
    assert suited
    if name in suited:
        assert format_for(name, kind) is FORMATS[name]
        return
    with pytest.raises(BadParam) as raised:
        format_for(name, kind)
    assert all(one in str(raised.value) for one in (name, kind, *suited))


def test_every_format_takes_a_dataset_of_nothing(tmp_path: Path) -> None:
    for name, format in FORMATS.items():
        dataset = filled(tmp_path / "store", format.kinds[0], [], name)
        out = exported(tmp_path / "store", dataset, name, tmp_path / name)
        assert all((out / file).stat().st_size < 100 for file in files_of(out))
