"""Zips made as streams: read by `zipfile` and, where it is installed, by Info-ZIP."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
import zlib
from contextlib import closing
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from edged.datasets import zips
from edged.datasets.zips import ZipWriter

FILES: Dict[str, bytes] = {
    "a/picture.jpg": bytes(range(256)) * 300,
    "猫/№.txt": "Straße".encode(),
    "empty": b"",
}


def written(stored: Dict[str, bytes], streamed: Dict[str, List[bytes]]) -> bytes:
    def parts() -> Iterator[bytes]:
        with closing(ZipWriter()) as writer:
            for name, content in stored.items():
                yield from writer.add(name, content)
            for name, chunks in streamed.items():
                yield from writer.stream(name, chunks)
            yield from writer.end()

    return b"".join(parts())


def content_of(data: bytes) -> Dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def info_zip_reads(data: bytes, folder: Path) -> None:
    if shutil.which("unzip") is None:
        pytest.skip("unzip is not installed")
    (folder / "x.zip").write_bytes(data)
    done = subprocess.run(["unzip", "-t", "x.zip"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No errors detected" in done.stdout


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    data = written(FILES, {"big.json": [b"[1, 2, 3], "] * 5000, "nothing.json": []})
    expected = {**FILES, "big.json": b"[1, 2, 3], " * 5000, "nothing.json": b""}
    assert content_of(data) == expected
    assert len(data) < 100_000  # text is deflated
    info_zip_reads(data, tmp_path)


def test_pictures_are_stored_and_text_is_deflated() -> None:
    with zipfile.ZipFile(io.BytesIO(written(FILES, {"t": [b"text"]}))) as archive:
        methods = {one.filename: one.compress_type for one in archive.infolist()}
        assert methods.pop("t") == zipfile.ZIP_DEFLATED
        assert set(methods.values()) == {zipfile.ZIP_STORED}
        assert all(one.external_attr >> 16 == 0o100644 for one in archive.infolist())


def test_a_zip_of_nothing() -> None:
    assert content_of(written({}, {})) == {}


def test_more_files_than_two_bytes_count(tmp_path: Path) -> None:
    data = written({f"{number}": b"" for number in range(70_000)}, {})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert len(archive.infolist()) == 70_000
        assert archive.infolist()[-1].filename == "69999"
    info_zip_reads(data, tmp_path)


def test_more_bytes_than_four_bytes_count(tmp_path: Path) -> None:
    """A sparse file stands for the bytes: what is between headers is all zeros."""
    chunk = bytes(1 << 22)
    path = tmp_path / "x.zip"
    with closing(ZipWriter()) as writer, open(path, "wb") as file:
        for number in range(1025):
            for part in writer.add(f"{number}", chunk):
                if part is chunk:
                    file.seek(len(part), 1)
                else:
                    file.write(part)
        for part in writer.end():
            file.write(part)
    assert path.stat().st_size > 1 << 32
    with zipfile.ZipFile(path) as archive:
        assert len(archive.infolist()) == 1025
        assert archive.infolist()[-1].header_offset > 1 << 32
        with archive.open("1024") as last:
            assert zlib.crc32(last.read()) == zlib.crc32(chunk)


@pytest.mark.slow
def test_a_stream_that_is_longer_than_four_bytes_count() -> None:
    """Deflated zeros: its zip is small. What it says of their number is what is tested."""
    chunk = bytes(1 << 24)
    data = written({}, {"zeros": [chunk] * 257})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (info,) = archive.infolist()
        assert info.file_size == 257 << 24
        assert info.compress_size < 8 << 20


def test_the_list_of_files_is_not_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "_IN_MEMORY", 1000)
    with closing(ZipWriter()) as writer:
        for number in range(100):
            b"".join(writer.add(f"{number}", b"x"))
        assert isinstance(writer._directory.fileno(), int)  # it is a file on the disk by now
