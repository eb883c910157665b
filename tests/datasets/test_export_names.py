"""What entities are called as files: safe everywhere, one file each, and no more than need be."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.datasets.formats.file_names import collision_key, safe_name
from edged.datasets.snapshot import Snapshot
from tests.datasets.filled import entity, filled, picture, sound


@pytest.mark.parametrize(
    ("name", "suffix", "file"),
    [
        ("shop 1.jpg", ".jpg", "shop_1.jpg"),
        ("photo.JPEG", ".jpg", "photo.JPEG"),
        ("photo", ".jpg", "photo.jpg"),
        ("photo.png", ".jpg", "photo.png.jpg"),
        ("v1.2", ".wav", "v1.2.wav"),
        ("../../etc/passwd", ".txt", "_.._.._etc_passwd.txt"),
        ("..", ".jpg", "_.jpg"),
        (".jpg", ".jpg", "_.jpg.jpg"),
        (".hidden.jpg", ".jpg", "_.hidden.jpg"),
        ("-rf.jpg", ".jpg", "_-rf.jpg"),
        ("C:\\a|b?.png", ".png", "C__a_b_.png"),
        ("con.txt", ".txt", "_con.txt"),
        ("consul.txt", ".txt", "consul.txt"),
        ("tab\there\n.txt", ".txt", "tab_here_.txt"),
        ("end. .jpg", ".jpg", "end._.jpg"),
        ("猫 №5.jpg", ".jpg", "猫_№5.jpg"),
        ("\ud800\u202e.jpg", ".jpg", "__.jpg"),
    ],
)
def test_names(name: str, suffix: str, file: str) -> None:
    assert safe_name(name, suffix) == file
    assert safe_name(file, suffix) == file  # so an import and an export change nothing more


@given(st.text(max_size=300), st.sampled_from([".jpg", ".png", ".wav", ".txt"]))
def test_any_name_is_safe(name: str, suffix: str) -> None:
    file = safe_name(name, suffix)
    assert file == safe_name(file, suffix)
    assert not set(file) & set('/\\:*?"<>|')
    assert file.isprintable()
    assert not any(sign.isspace() for sign in file)
    assert not file.startswith((".", "-", "~"))
    # With a digest, and with `.xml` instead of the suffix, no file system finds it too long.
    assert len(file.encode()) <= 180


def test_no_two_are_one_file_anywhere(tmp_path: Path) -> None:
    """Not where case is one, nor where an annotation has the name of its picture."""
    same = ["a.jpg", "a.jpg", "A.jpg", "a.png", "a", "é.jpg", "e\u0301.jpg", "b.jpg"]
    entities = [
        entity(name, picture(number, "PNG" if name == "a.png" else "JPEG"))
        for number, name in enumerate(same)
    ]
    dataset = filled(tmp_path, "IMAGE_CLASSIFICATION", entities)
    with closing(Snapshot(tmp_path, dataset)) as snapshot:
        files = [item.file for item in snapshot.items()]
    assert len({collision_key(file) for file in files}) == len(same)

    def digits(number: int) -> str:
        return hashlib.sha256(entities[number].content.data).hexdigest()[:8]

    assert files == [
        "a.jpg",
        f"a-{digits(1)}.jpg",
        f"A-{digits(2)}.jpg",
        f"a-{digits(3)}.png",
        f"a-{digits(4)}.jpg",
        "é.jpg",
        f"e\u0301-{digits(6)}.jpg",
        "b.jpg",
    ]


def test_names_that_differ_in_nothing_that_is_kept(tmp_path: Path) -> None:
    """Of one content, so that its digits do not tell them apart."""
    names = [f"a{blank}b" for blank in (" ", "?", "*", ":", "|", "<", ">", '"', "\\")]
    dataset = filled(tmp_path, "SOUND_CLASSIFICATION", [entity(one, sound(1)) for one in names])
    with closing(Snapshot(tmp_path, dataset)) as snapshot:
        files = [item.file for item in snapshot.items()]
    assert files[0] == "a_b.wav"
    assert len(set(files)) == len(names)
    assert all(file.startswith("a_b") and len(file.encode()) <= 255 for file in files)
