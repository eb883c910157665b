"""Label files as exporters and people write them."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

import pytest

from edged.errors import ModelFolderError
from edged.registry.folder import Folder
from edged.registry.formats.labels import read_labels


def read(folder: Path, content: bytes) -> Tuple[str, ...]:
    (folder / "labels.txt").write_bytes(content)
    return read_labels(Folder(folder), "labels.txt")


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        (b"cat\ndog\n", ("cat", "dog")),
        (b"cat\ndog", ("cat", "dog")),
        (b"cat\r\ndog\r\n", ("cat", "dog")),
        (b"\xef\xbb\xbfcat\ndog\n", ("cat", "dog")),
        (b"cat\ndog\n\n \r\n\n", ("cat", "dog")),
        (b"\ncat\n\ndog\n", ("", "cat", "", "dog")),
        (b" cat \n", ("cat",)),
        (b"", ()),
        (b"\n\n", ()),
        ("猫\n狗\n".encode(), ("猫", "狗")),
        ("安全帽\r\n反光衣\r\n".encode("gbk"), ("安全帽", "反光衣")),
        ("a\u2028b\x0bc\n".encode(), ("a\u2028b\x0bc",)),
        (b"0\n1\n2\n", ("0", "1", "2")),
        (b"0 tench, Tinca tinca\n1 goldfish\n", ("tench, Tinca tinca", "goldfish")),
        (b"0\tcat\n1\tbig dog\n", ("cat", "big dog")),
        (b"0 cat\n2 dog\n", ("0 cat", "2 dog")),
        (b"1 cat\n2 dog\n", ("1 cat", "2 dog")),
        (b"0 cat\ndog\n", ("0 cat", "dog")),
        (b"0 cat\n\n2 dog\n", ("0 cat", "", "2 dog")),
        (b"2 seater\n", ("2 seater",)),
    ],
)
def test_lines_to_labels(tmp_path: Path, content: bytes, labels: Tuple[str, ...]) -> None:
    assert read(tmp_path, content) == labels


@pytest.mark.parametrize("content", [b"\xff\xff\xff", "cat\n".encode("utf-16"), b"\0\0\0\0"])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelFolderError, match=r"labels\.txt is neither UTF-8 nor GBK"):
        read(tmp_path, content)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="larger than"):
        read(tmp_path, b"x\n" * (1 << 20))


def test_a_real_label_file(fixtures: Path) -> None:
    labels = read_labels(Folder(fixtures / "models" / "squeezenet_v1_1"), "label_list.txt")
    assert len(labels) == 1000
    assert labels[281] == "tabby, tabby cat"
