"""Folders and zips that are not what they should be: all that is wrong is named, with its place,
and nothing is added."""

from __future__ import annotations

import json
import os
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple, Union

import pytest

from edged.datasets.formats.source import opened_source
from edged.datasets.importing import add
from edged.datasets.reader import Reader
from edged.datasets.store import Store
from edged.datasets.types import Box, Kind
from edged.errors import BadImport, DatasetBusy, QuotaExceeded
from tests.datasets.filled import (
    DETECTION,
    HEIGHT,
    WIDTH,
    checked,
    exported,
    filled,
    imported,
    picture,
    quiet,
    sound,
    told,
)
from tests.datasets.stores import ENOUGH

Files = Dict[str, Union[bytes, str]]

IMAGE = {"id": 1, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT}
CATEGORY = {"id": 1, "name": "car"}


def boxed(*box: float, **other: Any) -> Dict[str, Any]:
    return {"id": 1, "image_id": 1, "category_id": 1, "bbox": box, **other}


def coco(images: List[Any], annotations: List[Any], categories: Any = (CATEGORY,)) -> Files:
    document = {"images": images, "annotations": annotations, "categories": categories}
    return {"annotations/instances.json": json.dumps(document), "images/a.jpg": picture(1)}


def voc(*boxes: Tuple[object, ...], name: str = "car", size: object = "") -> Files:
    objects = "\n".join(
        f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax>"
        f"<ymax>{d}</ymax></bndbox></object>"
        for a, b, c, d in boxes
    )
    xml = f"<annotation><filename>a.jpg</filename>{size}\n{objects}</annotation>"
    return {"Annotations/a.xml": xml, "JPEGImages/a.jpg": picture(1)}


def laid(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def packed(folder: Path, files: Files) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def refusal(source: Path, format: str, kind: Kind) -> List[str]:
    """The lines of why it is refused."""
    with pytest.raises(BadImport) as raised:
        imported(source.parent / "store", source, format, kind, "x")
    return str(raised.value).split("\n")


BOX = (1, 2, 3, 4)
COCO_CASES: Dict[str, Tuple[Files, str]] = {
    "no document": ({"images/a.jpg": picture(1)}, "annotations: there is no"),
    "no JSON": (
        {"annotations/instances.json": '{"images": [\n],\n,\n'},
        "annotations/instances.json, line 3: it is no JSON",
    ),
    "another kind": (
        coco([{"id": 1}], []),
        "annotations/instances.json: Object missing required field `file_name` - at `$.images[0]`",
    ),
    "a box of three": (coco([IMAGE], [boxed(1, 2, 3)]), "$.annotations[0].bbox"),
    "a box of text": (coco([IMAGE], [{**boxed(*BOX), "bbox": list("abcd")}]), "bbox[0]"),
    "a box that is not there": (
        {"annotations/instances.json": '{"images": [], "annotations": [{"bbox": [NaN]}]}'},
        "it is no JSON",
    ),
    "deep": ({"annotations/instances.json": '{"images": [], "x": ' + "[" * 10_000}, "no JSON"),
    "outside": (
        coco([IMAGE], [boxed(*BOX), boxed(60, 40, 10, 10)]),
        "images[0], images/a.jpg: the label car: it has a box that is not in the 61 x 43 picture",
    ),
    "left of it": (coco([IMAGE], [boxed(-5, 1, 10, 10)]), "not in the 61 x 43 picture"),
    "no width": (coco([IMAGE], [boxed(1, 1, 0, 10)]), "not in the 61 x 43 picture"),
    "negative": (coco([IMAGE], [boxed(9, 9, -3, -3)]), "not in the 61 x 43 picture"),
    "endless": (coco([IMAGE], [boxed(1, 1, 1e300, 1e300)]), "not in the 61 x 43 picture"),
    "no such image": (
        coco([IMAGE], [boxed(*BOX, image_id=7)]),
        "annotations/instances.json, annotations[0]: there is no image 7",
    ),
    "no such category": (coco([IMAGE], [boxed(*BOX, category_id=7)]), "there is no category 7"),
    "one id for two": (coco([IMAGE, IMAGE], []), "two of the images have one id"),
    "missing": (
        coco([{**IMAGE, "file_name": "b.jpg"}], []),
        "annotations/instances.json, images[0]: no file is called 'b.jpg'",
    ),
    "above": (
        coco([{**IMAGE, "file_name": "../../etc/passwd"}], []),
        "'../../etc/passwd' leads out of the dataset",
    ),
    "above, in Windows": (
        coco([{**IMAGE, "file_name": "..\\..\\x.jpg"}], []),
        "leads out of the dataset",
    ),
    "absolute": (
        coco([{**IMAGE, "file_name": "/etc/passwd"}], []),
        "'/etc/passwd' leads out of the dataset",
    ),
    "another size": (
        coco([{**IMAGE, "width": HEIGHT, "height": WIDTH}], []),
        "it is 61 x 43 pixels, and is said to be 43 x 61",
    ),
    "which one": (
        {**coco([IMAGE], []), "images/a.jpg": b"", "x/a.jpg": b"", "y/a.jpg": b""},
        "the image is not a JPEG, PNG, BMP or WebP file",
    ),
    "one of two": (
        {
            **coco([{**IMAGE, "file_name": "b.jpg"}], []),
            "x/b.jpg": picture(1),
            "y/b.jpg": picture(2),
        },
        "2 files are called 'b.jpg'",
    ),
    "no picture": ({**coco([IMAGE], []), "images/a.jpg": b"GIF89a"}, "not a JPEG, PNG"),
    "a picture of too many bytes": (
        {**coco([IMAGE], []), "images/a.jpg": picture(1) + bytes(10 << 20)},
        "it has 10486",
    ),
    "a name that is too long": (
        coco([{**IMAGE, "file_name": f"{'x' * 300}.jpg"}], []),
        "no file is called",
    ),
}


@pytest.mark.parametrize("lay", [laid, packed])
@pytest.mark.parametrize(("files", "said"), COCO_CASES.values(), ids=COCO_CASES)
def test_coco(tmp_path: Path, lay: Callable[[Path, Files], Path], files: Files, said: str) -> None:
    (line,) = refusal(lay(tmp_path / "in", files), "coco", "OBJECT_DETECTION")
    assert said in line
    assert line.isprintable()


VOC_CASES: Dict[str, Tuple[Files, str]] = {
    "no documents": ({"JPEGImages/a.jpg": picture(1)}, "there are no annotations"),
    "no XML": (
        {"Annotations/a.xml": "<annotation>\n<object>\n</annotation>"},
        "Annotations/a.xml, line 3: it is no XML",
    ),
    "outside": (voc((1, 1, 70, 10)), "Annotations/a.xml, JPEGImages/a.jpg: the label car: it has"),
    "no number": (voc(BOX, (1, "x", 3, 4)), "Annotations/a.xml, object 2: 'x' is no number"),
    "not a number": (voc((1, "NaN", 3, 4)), "object 1: NaN is no number of pixels"),
    "endless": (voc((1, 1, "1e999999999", 4)), "object 1: 1e999999999 is no number of pixels"),
    "turned around": (voc((10, 10, 5, 5)), "not in the 61 x 43 picture"),
    "no name": (voc(BOX, name=" "), "object 1: it has no name"),
    "another size": (
        voc(size="<size><width>43</width><height>61</height></size>"),
        "said to be 43 x 61",
    ),
    "a declared entity": (
        {
            "Annotations/a.xml": '<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY c SYSTEM "file:///etc">]>'
            "<annotation>&b;</annotation>",
            "JPEGImages/a.jpg": picture(1),
        },
        "Annotations/a.xml: it declares a document type",
    ),
    "no picture of it": (
        {"Annotations/b.xml": "<annotation/>", "JPEGImages/a.jpg": picture(1)},
        "Annotations/b.xml: no file is called 'b.jpg'",
    ),
    "above": (
        {
            "Annotations/b.xml": "<annotation><filename>../../x.jpg</filename></annotation>",
            "JPEGImages/a.jpg": picture(1),
        },
        "leads out of the dataset",
    ),
    "no text": (
        {"Annotations/a.xml": b"\xff\xfe\x00", "JPEGImages/a.jpg": picture(1)},
        "Annotations/a.xml: Annotations/a.xml is neither UTF-8 nor GBK text",
    ),
    "a large one": (
        {"Annotations/a.xml": b" " * ((4 << 20) + 1), "JPEGImages/a.jpg": picture(1)},
        "Annotations/a.xml: it has 4194305 bytes",
    ),
}


@pytest.mark.parametrize(("files", "said"), VOC_CASES.values(), ids=VOC_CASES)
def test_voc(tmp_path: Path, files: Files, said: str) -> None:
    (line,) = refusal(laid(tmp_path / "in", files), "voc", "OBJECT_DETECTION")
    assert said in line


def region(*points: Tuple[object, object], text: str = "EXIT") -> str:
    corners = ", ".join(f"[{x}, {y}]" for x, y in points)
    return f'[{{"transcription": "{text}", "points": [{corners}]}}]'


CORNERS = ((1, 2), (9, 2), (9, 8), (1, 8))
LIST_CASES: Dict[str, Tuple[str, Kind, Files, str]] = {
    "nothing": ("imagenet", "IMAGE_CLASSIFICATION", {"a.txt": "x"}, "there is nothing to import"),
    "no folder of a label": (
        *("imagenet", "IMAGE_CLASSIFICATION"),
        {"train/cat/a.jpg": picture(1), "train/b.jpg": picture(2)},
        "train/b.jpg: it is in no folder of a label",
    ),
    "no sound": (
        *("imagenet", "SOUND_CLASSIFICATION"),
        {"train/yes/a.wav": b"RIFF", "train/yes/b.wav": sound(1)},
        "train/yes/a.wav: it is no WAV with PCM",
    ),
    "no UTF-8": (
        *("imagenet", "TEXT_CLASSIFICATION"),
        {"train/yes/a.txt": b"\xff\xfe"},
        "train/yes/a.txt: it is not UTF-8",
    ),
    "a long text": (
        *("imagenet", "TEXT_CLASSIFICATION"),
        {"train/yes/a.txt": "é" * 10_001},
        "train/yes/a.txt: it has 10001 characters",
    ),
    "no list": ("paddleclas", "IMAGE_CLASSIFICATION", {"a/b.jpg": picture(1)}, "no such file"),
    "no number": (
        *("paddleclas", "IMAGE_CLASSIFICATION"),
        {"train_list.txt": "images/a.jpg 0\n\nimages/a.jpg cat\n", "images/a.jpg": picture(1)},
        "train_list.txt, line 3: it is not a file and the number of its label",
    ),
    "white space without end": (
        *("paddleclas", "IMAGE_CLASSIFICATION"),
        {"train_list.txt": f"images/a.jpg{' ' * (1 << 20)}cat\n", "images/a.jpg": picture(1)},
        "train_list.txt, line 1: it is not a file and the number of its label",
    ),
    "no such label": (
        *("paddleclas", "IMAGE_CLASSIFICATION"),
        {
            "train_list.txt": "images/a.jpg 2\n",
            "label_list.txt": "0 cat\n1 dog\n",
            "images/a.jpg": picture(1),
        },
        "train_list.txt, line 1: there is no label 2",
    ),
    "too few marks": (
        *("paddleclas", "IMAGE_CLASSIFICATION"),
        {
            "train_list.txt": "images/a.jpg\t1,0\n",
            "label_list.txt": "0 cat\n1 dog\n2 cow\n",
            "images/a.jpg": picture(1),
        },
        "train_list.txt, line 1: it has 2 marks, and there are 3 labels",
    ),
    "no picture": (
        *("paddleclas", "IMAGE_CLASSIFICATION"),
        {"val_list.txt": "images/a.jpg 0\nimages/b.jpg 0\n", "images/a.jpg": picture(1)},
        "val_list.txt, line 2: no file is called 'images/b.jpg'",
    ),
    "no tab": (
        *("paddleocr", "OBJECT_DETECTION"),
        {"Label.txt": "images/a.jpg []", "images/a.jpg": picture(1)},
        "Label.txt, line 1: it has no tab",
    ),
    "no regions": (
        *("paddleocr", "OBJECT_DETECTION"),
        {"Label.txt": "images/a.jpg\t[{]", "images/a.jpg": picture(1)},
        "Label.txt, line 1: it is no JSON",
    ),
    "a point of three": (
        *("paddleocr", "OBJECT_DETECTION"),
        {"Label.txt": 'images/a.jpg\t[{"transcription": "a", "points": [[1,2,3]]}]'},
        "Label.txt, line 1:",
    ),
    "no corners": (
        *("paddleocr", "OBJECT_DETECTION"),
        {"Label.txt": f"images/a.jpg\t{region()}", "images/a.jpg": picture(1)},
        "Label.txt, line 1: it has a region without corners",
    ),
    "corners outside": (
        *("paddleocr", "OBJECT_DETECTION"),
        {
            "Label.txt": f"images/a.jpg\t{region(*CORNERS, (100, 3))}",
            "images/a.jpg": picture(1),
        },
        "Label.txt, line 1, images/a.jpg: the label EXIT: it has a box that is not",
    ),
    "corners that are no number": (
        *("paddleocr", "OBJECT_DETECTION"),
        {
            "Label.txt": f"images/a.jpg\t{region(*CORNERS, (chr(34) + 'NaN' + chr(34), 3))}",
            "images/a.jpg": picture(1),
        },
        "Label.txt, line 1: it has a corner that is no number of pixels",
    ),
    "corners that must not be compared": (
        *("paddleocr", "OBJECT_DETECTION"),
        {
            "Label.txt": f"images/a.jpg\t{region((chr(34) + 'sNaN' + chr(34), 3), *CORNERS)}",
            "images/a.jpg": picture(1),
        },
        "Label.txt, line 1: it has a corner that is no number of pixels",
    ),
    "corners without end": (
        *("paddleocr", "OBJECT_DETECTION"),
        {
            "Label.txt": f"images/a.jpg\t{region(*CORNERS, ('1e300', 3))}",
            "images/a.jpg": picture(1),
        },
        "Label.txt, line 1: it has a corner that is no number of pixels",
    ),
}


@pytest.mark.parametrize(("format", "kind", "files", "said"), LIST_CASES.values(), ids=LIST_CASES)
def test_lists(tmp_path: Path, format: str, kind: Kind, files: Files, said: str) -> None:
    assert any(said in line for line in refusal(laid(tmp_path / "in", files), format, kind))


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    files = coco([IMAGE], [boxed(*BOX, category_id=number + 2) for number in range(30)])
    lines = refusal(laid(tmp_path / "in", files), "coco", "OBJECT_DETECTION")
    assert len(lines) == 21
    assert lines[-1] == "and 10 more"
    assert [f"annotations[{number}]" in line for number, line in enumerate(lines[:20])] == [
        True
    ] * 20


@pytest.mark.parametrize("name", ["images/b.jpg", "images", "top"])
def test_links_are_refused(tmp_path: Path, name: str) -> None:
    source = laid(tmp_path / "in", {**coco([IMAGE], []), "other/x.jpg": picture(2)})
    link = source / name
    if link.is_dir():
        link.rename(source / "elsewhere")
    link.symlink_to("/etc")
    assert refusal(source, "coco", "OBJECT_DETECTION") == [f"'{name}' is a link"]


def test_devices_are_refused(tmp_path: Path) -> None:
    source = laid(tmp_path / "in", coco([IMAGE], []))
    os.mkfifo(source / "pipe")
    assert refusal(source, "coco", "OBJECT_DETECTION") == ["'pipe' is neither a file nor a folder"]


def test_a_zip_that_leads_out(tmp_path: Path) -> None:
    source = packed(tmp_path / "in", {**coco([IMAGE], []), "../x.jpg": picture(2)})
    assert refusal(source, "coco", "OBJECT_DETECTION") == ["in.zip: ../x.jpg leads out of the zip"]


def test_a_zip_that_is_cut_short(tmp_path: Path) -> None:
    source = packed(tmp_path / "in", coco([IMAGE], []))
    source.write_bytes(source.read_bytes()[:-30])
    (line,) = refusal(source, "coco", "OBJECT_DETECTION")
    assert "no zip, or not a whole one" in line


def test_a_picture_in_a_zip_that_is_damaged(tmp_path: Path) -> None:
    source = packed(tmp_path / "in", coco([IMAGE], []))
    content = source.read_bytes()
    source.write_bytes(content.replace(picture(1), picture(1)[::-1]))
    (line,) = refusal(source, "coco", "OBJECT_DETECTION")
    assert "images/a.jpg in the zip is damaged" in line


# -- what tools do that is not hostile


def test_boxes_that_pass_an_edge_by_a_rounding_are_cut_there(tmp_path: Path) -> None:
    files = coco([IMAGE], [boxed(-0.4, 0, WIDTH + 0.8, HEIGHT + 0.01)])
    number = imported(
        tmp_path / "store", laid(tmp_path / "in", files), "coco", "OBJECT_DETECTION", "x"
    )
    (one,) = told(tmp_path / "store", number).values()
    assert one.labels == (("car", "", Box(0, 0, WIDTH, HEIGHT)),)


def test_voc_of_tools_that_count_from_zero(tmp_path: Path) -> None:
    source = laid(tmp_path / "in", voc((0, 0, 60, 42)))
    number = imported(tmp_path / "store", source, "voc", "OBJECT_DETECTION", "x")
    (one,) = told(tmp_path / "store", number).values()
    assert one.labels == (("car", "", Box(0, 0, 60, 42)),)


def test_crowds_are_left_out(tmp_path: Path) -> None:
    files = coco([IMAGE], [boxed(*BOX), boxed(0, 0, 9, 9, iscrowd=1)])
    number = imported(
        tmp_path / "store", laid(tmp_path / "in", files), "coco", "OBJECT_DETECTION", "x"
    )
    (one,) = told(tmp_path / "store", number).values()
    assert one.labels == (("car", "", Box(*BOX)),)


def test_coco_as_others_lay_it_out(tmp_path: Path) -> None:
    """The years of the challenge in its names, ids as text, a folder around all of it."""
    image = {"id": "a", "file_name": "a.jpg"}
    document = {
        "info": {"year": 2017},
        "images": [image],
        "annotations": [{**boxed(*BOX), "image_id": "a", "segmentation": [[1, 2, 3]]}],
        "categories": [CATEGORY],
    }
    files: Files = {
        "coco/annotations/instances_val2017.json": b"\xef\xbb\xbf" + json.dumps(document).encode(),
        "coco/annotations/captions_val2017.json": "{}",
        "coco/val2017/a.jpg": picture(1),
    }
    number = imported(
        tmp_path / "store", packed(tmp_path / "in", files), "coco", "OBJECT_DETECTION", "x"
    )
    (one,) = told(tmp_path / "store", number).values()
    assert one.labels == (("car", "", Box(*BOX)),)


def test_class_folders_without_splits(tmp_path: Path) -> None:
    files: Files = {
        "cat/a.jpg": picture(1),
        "dog/deep/b.jpg": picture(2),
        "README.md": "hello",
        "cat/.DS_Store": "x",
    }
    source = laid(tmp_path / "in", files)
    number = imported(tmp_path / "store", source, "imagenet", "IMAGE_CLASSIFICATION", "x")
    found = told(tmp_path / "store", number)
    assert {content: one.labels[0][0] for content, one in found.items()} == {
        picture(1): "cat",
        picture(2): "dog",
    }


# -- nothing half


def all_of(store: Path) -> List[Tuple[str, int]]:
    with closing(Reader(store)) as reader:
        return [(one.name, one.entities) for one in reader.every()]


def test_a_full_quota_in_the_middle(tmp_path: Path) -> None:
    """What was added is whole and stays, and the same again adds the rest and no more."""
    store = tmp_path / "store"
    source = exported(store, filled(store, "OBJECT_DETECTION", DETECTION), "voc", tmp_path / "out")
    with opened_source(source) as opened:
        read = checked(opened, "voc", "OBJECT_DETECTION")
        small = ENOUGH._replace(entities=len(DETECTION) + 2)
        with closing(Store(store, small)) as writer:
            number = writer.create("", "OBJECT_DETECTION", "again")
            with pytest.raises(QuotaExceeded):
                add(writer, number, opened, read, quiet)
        assert all_of(store) == [("shop", len(DETECTION)), ("again", 2)]
        with closing(Store(store, ENOUGH)) as writer:
            add(writer, number, opened, read, quiet)
        assert all_of(store) == [("shop", len(DETECTION)), ("again", len(DETECTION))]


def test_meanwhile_nobody_else_changes_the_dataset(tmp_path: Path) -> None:
    store = tmp_path / "store"
    dataset = filled(store, "OBJECT_DETECTION", DETECTION)
    source = exported(store, dataset, "voc", tmp_path / "out")
    answers: List[object] = []

    def busy(count: int) -> None:
        with closing(Store(store, ENOUGH)) as other:
            answers.extend(other.add([DETECTION[0]._replace(dataset=dataset)]))

    with opened_source(source) as opened, closing(Store(store, ENOUGH)) as writer:
        read = checked(opened, "voc", "OBJECT_DETECTION")
        add(writer, dataset, opened, read, busy)
    assert [type(answer) for answer in answers] == [DatasetBusy]
    with closing(Store(store, ENOUGH)) as other:
        assert other.add([DETECTION[0]._replace(dataset=dataset)]) == [1]


def test_a_file_that_changes_between_check_and_addition(tmp_path: Path) -> None:
    source = laid(tmp_path / "in", coco([IMAGE], []))
    with opened_source(source) as opened, closing(Store(tmp_path / "store", ENOUGH)) as writer:
        read = checked(opened, "coco", "OBJECT_DETECTION")
        (source / "images/a.jpg").write_bytes(b"x" * len(picture(1)))
        number = writer.create("", "OBJECT_DETECTION", "x")
        with pytest.raises(BadImport, match="has changed"):
            add(writer, number, opened, read, quiet)
    assert all_of(tmp_path / "store") == [("x", 0)]
