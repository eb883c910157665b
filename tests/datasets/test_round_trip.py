"""What is exported and imported again is the same, in every format, as a folder and as a zip."""

from __future__ import annotations

import zipfile
from contextlib import closing
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Set

import pytest

from edged.datasets.export import to_folder, to_zip
from edged.datasets.formats import FORMATS
from edged.datasets.formats.source import opened_source
from edged.datasets.importing import add
from edged.datasets.snapshot import Snapshot
from edged.datasets.store import Store
from edged.datasets.types import Box, Kind, Label, NewEntity
from tests.datasets.filled import (
    DETECTION,
    Told,
    checked,
    entity,
    exported,
    files_of,
    filled,
    imported,
    picture,
    quiet,
    sound,
    told,
)
from tests.datasets.stores import ENOUGH

PICTURES = (
    entity("tabby.jpg", picture(1), "cat"),
    entity("rex 1.jpg", picture(2), "dog", "cat"),
    entity("tabby.jpg", picture(3), "cat"),
    entity("dark.png", picture(4, "PNG")),
)
SINGLE = (PICTURES[0], *PICTURES[2:])
SOUNDS = (entity("a", sound(1), "yes"), entity("a.wav", sound(2), "no"), entity("b", sound(3)))
TEXTS = (entity("a.txt", "très\n".encode(), "yes"), entity("b", "没有".encode(), "no", "yes"))
CASES: Dict[Kind, Sequence[Sequence[NewEntity]]] = {
    "OBJECT_DETECTION": (DETECTION,),
    "IMAGE_CLASSIFICATION": (PICTURES, SINGLE),
    "IMAGE_SEGMENTATION": (PICTURES,),
    "SOUND_CLASSIFICATION": (SOUNDS,),
    "TEXT_CLASSIFICATION": (TEXTS,),
}
# What says nothing of who has looked at the labels.
BARE = {"imagenet", "paddleclas", "paddleocr"}
ALL = [
    pytest.param(name, kind, entities, id=f"{name}-{kind}-{number}")
    for name, format in FORMATS.items()
    for kind in format.kinds
    for number, entities in enumerate(CASES[kind])
]


def zipped(store: Path, dataset: int, format: str, to: Path) -> Path:
    path = to.with_suffix(".zip")
    with closing(Snapshot(store, dataset)) as snapshot:
        to_zip(snapshot, FORMATS[format], path, quiet)
    return path


@pytest.mark.parametrize("write", [exported, zipped])
@pytest.mark.parametrize(("name", "kind", "entities"), ALL)
def test_round_trip(
    tmp_path: Path,
    name: str,
    kind: Kind,
    entities: Sequence[NewEntity],
    write: Callable[[Path, int, str, Path], Path],
) -> None:
    store = tmp_path / "store"
    first = filled(store, kind, entities)
    source = write(store, first, name, tmp_path / "first")
    second = imported(store, source, name, kind, "again")
    known = told(store, first)
    if name in BARE:
        known = {content: one._replace(reviewed=True) for content, one in known.items()}
    assert told(store, second) == known

    # What is exported then is the same, but for numbers, and for the order of some lists.
    one = exported(store, first, name, tmp_path / "a")
    other = exported(store, second, name, tmp_path / "b")
    assert files_of(one) == files_of(other)
    third = imported(store, other, name, kind, "and again")
    assert told(store, third) == known
    fourth = exported(store, third, name, tmp_path / "c")
    assert [(other / file).read_bytes() for file in files_of(other)] == [
        (fourth / file).read_bytes() for file in files_of(fourth)
    ] or name == "coco"


def test_labels_of_others_are_mapped_and_kept(tmp_path: Path) -> None:
    """A name that the API does not allow."""
    store = tmp_path / "store"
    names = ["traffic light", "猫", "a-name-that-is-longer-than-twenty", "fine_1"]
    entities = [entity("a.jpg", picture(1), Label("x", Box(1, 2, 3, 4)))]
    dataset = filled(store, "OBJECT_DETECTION", entities)
    out = exported(store, dataset, "paddleocr", tmp_path / "out")
    regions = ", ".join(
        f'{{"transcription": "{name}", "points": [[1,1],[{9 + at},1],[{9 + at},9],[1,9]]}}'
        for at, name in enumerate(names)
    )
    (out / "Label.txt").write_text(f"images/a.jpg\t[{regions}]\n", "utf-8")
    again = imported(store, out, "paddleocr", "OBJECT_DETECTION", "again")
    (one,) = told(store, again).values()
    origins: List[str] = [origin or name for name, origin, _ in one.labels]
    assert sorted(origins) == sorted(names)
    allowed: Set[str] = {name for name, _, _ in one.labels}
    assert len(allowed) == len(names)
    assert all(len(name.encode()) <= 20 for name in allowed)
    assert "fine_1" in allowed
    # And out again as it came in.
    back = exported(store, again, "paddleocr", tmp_path / "back")
    text = (back / "Label.txt").read_text("utf-8")
    assert all(f'"transcription": "{name}"' in text for name in names)
    coco = imported(
        store,
        exported(store, again, "coco", tmp_path / "coco"),
        "coco",
        "OBJECT_DETECTION",
        "coco",
    )
    assert told(store, coco) == told(store, again)


def test_the_same_again_adds_nothing(tmp_path: Path) -> None:
    store = tmp_path / "store"
    first = filled(store, "OBJECT_DETECTION", DETECTION)
    source = exported(store, first, "voc", tmp_path / "out")
    second = imported(store, source, "voc", "OBJECT_DETECTION", "again")
    before: Dict[bytes, Told] = told(store, second)
    with opened_source(source) as opened, closing(Store(store, ENOUGH)) as writer:
        read = checked(opened, "voc", "OBJECT_DETECTION")
        add(writer, second, opened, read, quiet)
    assert told(store, second) == before


def test_a_zip_holds_what_the_folder_has(tmp_path: Path) -> None:
    dataset = filled(tmp_path / "store", "OBJECT_DETECTION", DETECTION)
    with closing(Snapshot(tmp_path / "store", dataset)) as snapshot:
        to_folder(snapshot, FORMATS["voc"], tmp_path / "out", quiet)
        to_zip(snapshot, FORMATS["voc"], tmp_path / "out.zip", quiet)
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == files_of(tmp_path / "out")
        for name in archive.namelist():
            assert archive.read(name) == (tmp_path / "out" / name).read_bytes()
