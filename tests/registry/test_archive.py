"""Zips that are not what they should be: each is a reason, and nothing else suffers."""

from __future__ import annotations

import stat
import struct
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import ModelFolderError
from edged.registry.archive import Limits, opened, unpack
from edged.registry.registry import scan
from tests.registry.packing import SMALL, Files, pack, pack_model

CENTRAL = b"PK\1\2"
DECLARED = 24  # where the size stands in an entry of the list of files
FLAGS, METHOD = 8, 10
LOCAL_FLAGS, LOCAL_METHOD = 6, 8


def reason_of(tmp_path: Path) -> str:
    """Why `models/5-bad.zip` is not served, while its neighbour is."""
    pack_model(tmp_path / "models" / "6-good.zip")
    good, bad = sorted(
        scan(tmp_path / "models", tmp_path / "state"), key=lambda one: one.spec is None
    )
    assert (good.mid, good.name, good.reason) == (6, "good", "")
    assert (bad.folder, bad.mid, bad.spec, bad.exporter) == ("5-bad.zip", 5, None, None)
    assert bad.reason
    assert bad.reason.isprintable()
    kept = sorted(path.name for path in (tmp_path / "state" / "unpacked").iterdir())
    assert len(kept) == 2  # the lock, and the good one
    assert not {path.name for path in tmp_path.iterdir()} - {"models", "state"}
    return bad.reason


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models" / "5-bad.zip"


def member(name: str, mode: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.create_system = 3
    return info


def change(archive: Path, offset: int, layout: str, value: int, local: int = -1) -> None:
    """A field of the last file in the list, and of its own header where that has it."""
    data = bytearray(archive.read_bytes())
    struct.pack_into(layout, data, data.rindex(CENTRAL) + offset, value)
    if local >= 0:
        struct.pack_into(layout, data, data.rindex(b"PK\3\4") + local, value)
    archive.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../net.nb", "../net.nb leads out of the zip"),
        ("a/../../net.nb", "a/../../net.nb leads out of the zip"),
        ("../", "../ leads out of the zip"),
        ("/net.nb", "/net.nb leads out of the zip"),
        ("//net.nb", "//net.nb leads out of the zip"),
        ("a//b", "'a//b' in the zip is not a file name"),
        ("./a", "'./a' in the zip is not a file name"),
        ("a\x1bb", "'a\\x1bb' in the zip is not a file name"),
        ("a/" * 17 + "b", "is nested too deeply in the zip"),
        ("n" * 300, "the zip cannot be unpacked in"),
        ("model.yaml/a", "model.yaml/a stands in the zip in what is a file"),
    ],
)
def test_names_that_are_refused(tmp_path: Path, bad: Path, name: str, said: str) -> None:
    pack(bad, {**SMALL, name: b"x"})
    assert said in reason_of(tmp_path)


def test_backslashes_are_refused(tmp_path: Path, bad: Path) -> None:
    pack(bad, {**SMALL, "model/params": b"x"})
    bad.write_bytes(bad.read_bytes().replace(b"model/params", b"model\\params"))
    assert reason_of(tmp_path) == (
        "model\\params in the zip has a backslash: pack it with another tool"
    )


@pytest.mark.parametrize(
    ("raw", "flags", "said"),
    [
        (b"\xff\xfe\xfd.x", 0, "a name in the zip is neither UTF-8 nor GBK text"),
        (b"\xff\xfe\xfd.x", 1 << 11, "no zip, or not a whole one"),
        (b"a\0bcd", 0, "a name in the zip is neither UTF-8 nor GBK text"),
    ],
)
def test_names_in_no_known_encoding(
    tmp_path: Path, bad: Path, raw: bytes, flags: int, said: str
) -> None:
    place = "n" * len(raw)
    pack(bad, {**SMALL, place: b"x"})
    bad.write_bytes(bad.read_bytes().replace(place.encode(), raw))
    change(bad, FLAGS, "<H", flags, LOCAL_FLAGS)
    assert said in reason_of(tmp_path)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (stat.S_IFLNK, "link in the zip is a link: pack the file itself"),
        (stat.S_IFIFO, "link in the zip is neither a file nor a folder"),
        (stat.S_IFBLK, "link in the zip is neither a file nor a folder"),
    ],
)
def test_links_and_devices_are_refused(tmp_path: Path, bad: Path, kind: int, said: str) -> None:
    pack(bad, {**SMALL, member("link", kind | 0o777): b"/etc/passwd"})
    assert reason_of(tmp_path) == said


def test_a_name_that_stands_there_twice(tmp_path: Path, bad: Path) -> None:
    pack(bad, {"net.n0": b"one", "net.nb": b"two"})
    bad.write_bytes(bad.read_bytes().replace(b"net.n0", b"net.nb"))
    assert reason_of(tmp_path) == "net.nb stands in the zip twice"


def test_an_encrypted_zip(tmp_path: Path, bad: Path) -> None:
    pack_model(bad)
    change(bad, FLAGS, "<H", 1, LOCAL_FLAGS)
    assert reason_of(tmp_path) == "net.nb in the zip is encrypted: pack it without a password"


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_compressions_that_are_not_read(tmp_path: Path, bad: Path, method: int) -> None:
    pack(bad, {**SMALL}, method)
    assert reason_of(tmp_path) == (
        f"model.yaml in the zip is compressed by method {method}: pack it with deflate, which is 8"
    )


def test_an_unknown_compression(tmp_path: Path, bad: Path) -> None:
    pack_model(bad)
    change(bad, METHOD, "<H", 97, LOCAL_METHOD)
    assert "net.nb in the zip is compressed by method 97" in reason_of(tmp_path)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9, 0.99])
def test_a_zip_that_is_still_being_copied(tmp_path: Path, bad: Path, part: float) -> None:
    pack_model(bad)
    whole = bad.read_bytes()
    bad.write_bytes(whole[: int(len(whole) * part)])
    assert reason_of(tmp_path) == (
        "it is no zip, or not a whole one: cut short, or still being copied"
    )
    bad.write_bytes(whole)
    assert [entry.reason for entry in scan(tmp_path / "models", tmp_path / "state")] == ["", ""]


def test_a_checksum_that_does_not_fit(tmp_path: Path, bad: Path) -> None:
    pack(bad, {**SMALL}, zipfile.ZIP_STORED)
    bad.write_bytes(bad.read_bytes().replace(b"network", b"netwurk"))
    assert reason_of(tmp_path) == "net.nb in the zip is damaged"


def test_more_bytes_than_the_limit_are_refused_by_what_is_declared(
    tmp_path: Path, bad: Path
) -> None:
    pack_model(bad)
    change(bad, DECLARED, "<I", (1 << 30) + (7 << 20))
    assert reason_of(tmp_path) == "the zip holds 1031 MiB unpacked, more than 1024"


@pytest.mark.parametrize("declared", [1, 1 << 20, 16 << 20])
def test_another_size_than_declared_is_damage(tmp_path: Path, bad: Path, declared: int) -> None:
    """A bomb that lies: no more is written than it said."""
    pack(bad, {**SMALL, "zeros": bytes(8 << 20)})
    change(bad, DECLARED, "<I", declared)
    assert reason_of(tmp_path) == "zeros in the zip is damaged"
    with pytest.raises(ModelFolderError):
        unpack(bad, tmp_path / "out")
    assert (tmp_path / "out" / "zeros").stat().st_size <= declared


def test_too_many_files(tmp_path: Path, bad: Path) -> None:
    pack(bad, {f"{number}": b"" for number in range(4097)})
    assert reason_of(tmp_path) == "the zip holds 4097 files, more than 4096"


def test_a_long_list_of_files_is_not_read(tmp_path: Path, bad: Path) -> None:
    files: Files = {**SMALL}
    for number in range(17):
        info = member(f"{number}")
        info.comment = b"c" * 65535
        files[info] = b""
    pack(bad, files)
    assert reason_of(tmp_path) == "the zip's list of files is larger than 1048576 bytes"


def test_a_zip_of_nothing(tmp_path: Path, bad: Path) -> None:
    pack(bad, {"folder/": b"", "__MACOSX/x": b"x"})
    assert reason_of(tmp_path) == "the zip holds no files"


def test_a_huge_file_is_not_even_read(tmp_path: Path, bad: Path) -> None:
    with open(bad, "wb") as file:
        file.truncate((1 << 30) + 1)
    assert reason_of(tmp_path) == "the zip is larger than 1024 MiB"


def test_what_is_no_model(tmp_path: Path, bad: Path) -> None:
    pack(bad, {"notes.txt": b"x"})
    (tmp_path / "models" / "notes.zip").mkdir()
    first, second = scan(tmp_path / "models", tmp_path / "state")
    for entry in (first, second):
        assert entry.reason == "no exporter is recognised, and no model.yaml names a model"


def test_memory_does_not_grow_with_the_zip(tmp_path: Path, bad: Path) -> None:
    pack(bad, {"zeros": bytes(64 << 20)})
    tracemalloc.start()
    try:
        unpack(bad, tmp_path / "out")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "out" / "zeros").stat().st_size == 64 << 20
    assert peak < 4 << 20


def test_the_limit_is_that_of_all_files_together(bad: Path) -> None:
    limits = Limits(bytes=1024, files=2, list=1 << 10)
    pack(bad, {"a": bytes(600), "b": bytes(424)})
    with opened(bad, limits) as members:
        assert members.sizes == {"a": 600, "b": 424}
    pack(bad, {"a": bytes(600), "b": bytes(425)})
    with pytest.raises(ModelFolderError, match="more than"), opened(bad, limits):
        pass


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    archive = tmp_path_factory.mktemp("sound") / "x.zip"
    return pack_model(archive, "top/", a_bin=bytes(range(256)) * 8).read_bytes()


@pytest.fixture(scope="module")
def try_out(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], None]:
    """Unpacks some bytes. What is wrong with them is the one thing that may come of it."""
    root = tmp_path_factory.mktemp("fuzz")
    count = iter(range(1_000_000))

    def unpack_bytes(data: bytes) -> None:
        folder = root / str(next(count))
        folder.mkdir()
        (folder / "x.zip").write_bytes(data)
        with suppress(ModelFolderError):
            unpack(folder / "x.zip", folder / "out")
        assert {path.name for path in folder.iterdir()} <= {"x.zip", "out"}
        assert not any(path.is_symlink() for path in folder.rglob("*"))

    return unpack_bytes


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_damage_is_a_reason(
    sound: bytes, try_out: Callable[[bytes], None], data: st.DataObject
) -> None:
    broken = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(broken) - 1))
        broken[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=8))
    try_out(bytes(broken))
