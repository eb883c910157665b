"""Converted networks: those that nothing uses go, the others stay."""

from __future__ import annotations

import os
import time
from pathlib import Path

from edged.registry import converted
from edged.registry.spec import ModelFiles

_TWO_DAYS = 2 * 24 * 3600


def network(folder: Path, content: bytes) -> ModelFiles:
    folder.mkdir()
    (folder / "model").write_bytes(content)
    (folder / "params").write_bytes(content)
    return ModelFiles("combined", str(folder / "model"), str(folder / "params"))


def made(cache: Path, files: ModelFiles, age: float) -> Path:
    cache.mkdir(exist_ok=True)
    path = cache / f"{converted.source_digest(files, ())}-x86-2_13.{'0' * 32}.nb"
    path.touch()
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_what_nothing_uses_goes_a_day_after_it_was_loaded(tmp_path: Path) -> None:
    cache = tmp_path / "converted"
    used, unused, recent = (network(tmp_path / name, name.encode()) for name in "abc")
    stays, goes = made(cache, used, _TWO_DAYS), made(cache, unused, _TWO_DAYS)
    of_another_command = made(cache, recent, 10)
    lock = cache / f"{goes.name[:32]}-x86-2_13.lock"
    lock.touch()
    os.utime(lock, (1, 1))
    converted.tidy(cache, [used, ModelFiles("nb", "anything")])
    assert sorted(cache.iterdir()) == sorted([stays, of_another_command])


def test_to_be_loaded_keeps_it(tmp_path: Path) -> None:
    path = made(tmp_path / "converted", network(tmp_path / "a", b"a"), _TWO_DAYS)
    before = path.stat().st_mtime_ns
    converted.touch(path)
    converted.tidy(path.parent, [])
    assert path.exists()
    assert path.stat().st_mtime_ns == before
