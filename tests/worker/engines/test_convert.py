"""Full models to `.nb`: what is kept, what is refused, and that nothing dies of it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import List

import pytest

from edged.errors import EngineError
from edged.registry import program
from edged.registry.spec import ModelFiles
from edged.worker.engines import convert, nb
from tests.support import ROOT
from tests.worker.engines.conftest import (
    TWICE,
    Copier,
    Op,
    combined,
    run_python,
    write_program,
)

lite = pytest.importorskip("paddlelite.lite", reason="Paddle Lite is not installed")

CONVERT = """
import sys
from paddlelite import lite
from edged.registry.spec import ModelFiles
from edged.worker.engines import convert
files = ModelFiles(kind="combined", model=sys.argv[1], params=sys.argv[2])
"""


def to_nb(files: ModelFiles, cache: Path) -> Path:
    return Path(convert.to_nb(lite, files, program.of(files).params, str(cache)))


def kept(cache: Path) -> List[Path]:
    return sorted(path for path in cache.iterdir() if path.suffix != ".lock")


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def test_a_combined_model(picodet: ModelFiles, tmp_path: Path) -> None:
    path = to_nb(picodet, tmp_path / "new" / "cache")
    assert kept(tmp_path / "new" / "cache") == [path]
    assert nb.check(str(path)).meta_version == 2


def test_a_folder_with_a_file_for_each_parameter(squeezenet: ModelFiles, tmp_path: Path) -> None:
    path = to_nb(squeezenet, tmp_path / "cache")
    assert nb.check(str(path)).meta_version == 2


def test_the_second_time_it_is_there(twice: ModelFiles, tmp_path: Path) -> None:
    path = to_nb(twice, tmp_path / "cache")
    made = path.stat()
    assert to_nb(twice, tmp_path / "cache") == path
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (made.st_ino, made.st_mtime_ns)


def test_changed_contents_are_another_model(twice: ModelFiles, tmp_path: Path) -> None:
    path = to_nb(twice, tmp_path / "cache")
    old = os.stat(twice.model)
    write_program(Path(twice.model), [Op("scale", "image", "out", (("scale", 4.0), *TWICE[1:]))])
    os.utime(twice.model, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert os.stat(twice.model).st_size == old.st_size
    assert to_nb(twice, tmp_path / "cache") != path


def test_a_parameter_of_its_own_file_counts(
    squeezenet: ModelFiles, copied: Copier, tmp_path: Path
) -> None:
    files = copied(squeezenet)
    path = to_nb(files, tmp_path / "cache")
    Path(files.model, "notes.txt").write_text("not a parameter")
    assert to_nb(files, tmp_path / "cache") == path
    weights = Path(files.model, "fire2_squeeze1x1_biases")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    assert to_nb(files, tmp_path / "cache") != path


@pytest.mark.parametrize("damage", ["cut", "empty", "flip"])
def test_a_damaged_file_in_the_cache_is_made_anew(
    twice: ModelFiles, tmp_path: Path, damage: str
) -> None:
    path = to_nb(twice, tmp_path / "cache")
    good = path.read_bytes()
    flipped = good[:-1] + bytes([good[-1] ^ 1])
    path.write_bytes({"cut": good[: len(good) // 2], "empty": b"", "flip": flipped}[damage])
    again = to_nb(twice, tmp_path / "cache")
    nb.check(str(again))
    assert kept(tmp_path / "cache") == [again]
    assert len(again.read_bytes()) == len(good)


def test_a_damaged_file_of_an_earlier_conversion_is_removed(
    twice: ModelFiles, tmp_path: Path
) -> None:
    path = to_nb(twice, tmp_path / "cache")
    digest = path.name.split(".")[-2]
    path.rename(path.with_name(path.name.replace(digest, "0" * len(digest))))
    again = to_nb(twice, tmp_path / "cache")
    assert kept(tmp_path / "cache") == [again]


def test_what_is_there_needs_no_lock(twice: ModelFiles, tmp_path: Path) -> None:
    """Nor, then, a cache that can be written."""
    path = to_nb(twice, tmp_path / "cache")
    (lock,) = (tmp_path / "cache").glob("*.lock")
    lock.unlink()
    lock.mkdir()
    assert to_nb(twice, tmp_path / "cache") == path


def test_what_a_killed_conversion_left_is_no_obstacle(twice: ModelFiles, tmp_path: Path) -> None:
    path = to_nb(twice, tmp_path / "cache")
    key = path.name.split(".")[0]
    unfinished = path.with_name(f"unfinished-{path.name[: path.name.index('.', len(key) + 4)]}.nb")
    path.rename(unfinished)
    cut(unfinished, 30)
    path = to_nb(twice, tmp_path / "cache")
    assert kept(tmp_path / "cache") == [path]
    nb.check(str(path))


def test_nothing_is_printed(
    twice: ModelFiles, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    to_nb(twice, tmp_path / "cache")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [0, 1_000_000])
def test_truncated_parameters(
    picodet: ModelFiles, copied: Copier, tmp_path: Path, size: int
) -> None:
    files = copied(picodet)
    cut(Path(str(files.params)), size)
    with pytest.raises(EngineError, match=r"^model\.pdiparams is cut short"):
        to_nb(files, tmp_path / "cache")
    assert kept(tmp_path / "cache") == []


def test_parameters_of_another_model(picodet: ModelFiles, exported: Path, tmp_path: Path) -> None:
    params = str(exported / "ppocr_cls_v2" / "inference.pdiparams")
    files = ModelFiles(kind="combined", model=picodet.model, params=params)
    with pytest.raises(EngineError, match=r"cannot be converted: .*partial data"):
        to_nb(files, tmp_path / "cache")


def test_missing_parameters(picodet: ModelFiles, tmp_path: Path) -> None:
    files = ModelFiles(kind="combined", model=picodet.model, params=str(tmp_path / "gone"))
    with pytest.raises(EngineError, match=r"cannot read .*/gone: No such file"):
        to_nb(files, tmp_path / "cache")


def test_a_parameter_without_its_file(
    squeezenet: ModelFiles, copied: Copier, tmp_path: Path
) -> None:
    files = copied(squeezenet)
    Path(files.model, "conv10_weights").unlink()
    with pytest.raises(EngineError, match="the parameter conv10_weights is missing"):
        to_nb(files, tmp_path / "cache")


def test_a_truncated_parameter_file(squeezenet: ModelFiles, copied: Copier, tmp_path: Path) -> None:
    files = copied(squeezenet)
    cut(Path(files.model, "conv10_weights"), 1_000_000)
    with pytest.raises(EngineError, match=r"cannot be converted: .*Failed to read"):
        to_nb(files, tmp_path / "cache")


def test_an_unsupported_operator_is_named(tmp_path: Path) -> None:
    files = combined(write_program(tmp_path / "model", [Op("frobnicate", "image", "out")]))
    with pytest.raises(EngineError, match=r"converted: Error: .*not supported.*'frobnicate'"):
        to_nb(files, tmp_path / "cache")


def test_a_conversion_that_takes_too_long(
    twice: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "TIME_LIMIT", 0)
    with pytest.raises(EngineError, match="converting model took longer than 0 s"):
        to_nb(twice, tmp_path / "cache")
    assert kept(tmp_path / "cache") == []
    monkeypatch.undo()
    to_nb(twice, tmp_path / "cache")


def test_two_workers_convert_once(twice: ModelFiles, tmp_path: Path) -> None:
    path = to_nb(twice, tmp_path / "cache")
    (lock,) = (tmp_path / "cache").glob("*.lock")
    aside = tmp_path / "aside.nb"
    path.rename(aside)
    code = CONVERT + "print(convert.to_nb(lite, files, (), sys.argv[3]))"
    command = [sys.executable, "-c", code, twice.model, str(twice.params), str(tmp_path / "cache")]
    with open(lock, "wb") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with subprocess.Popen(command, cwd=str(ROOT), stdout=subprocess.PIPE) as second:
            time.sleep(1.5)
            assert second.poll() is None
            aside.rename(path)
            made = path.stat()
            fcntl.flock(first, fcntl.LOCK_UN)
            assert second.communicate(timeout=30)[0].decode().split() == [str(path)]
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (made.st_ino, made.st_mtime_ns)


def test_a_cache_that_is_no_folder(twice: ModelFiles, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(EngineError, match=r"cannot keep a converted model in .*cache: File exists"):
        to_nb(twice, tmp_path / "cache")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache(twice: ModelFiles, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o500)
    with pytest.raises(EngineError, match=r"cannot keep .*: Permission denied"):
        to_nb(twice, cache)


@pytest.mark.parametrize("limit", [1 << 20, 100])
def test_a_full_disk(picodet: ModelFiles, twice: ModelFiles, tmp_path: Path, limit: int) -> None:
    """Stood in for by a limit on a file's size, which fails a write just so.

    A small model is written when its file is closed, and Paddle Lite does not look.
    """
    code = (
        CONVERT
        + """
import resource
from edged.errors import EngineError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), int(sys.argv[4])))
try:
    convert.to_nb(lite, files, (), sys.argv[3])
except EngineError as error:
    print("REFUSED", error)
"""
    )
    files = twice if limit == 100 else picodet
    result = run_python(code, files.model, files.params, tmp_path / "cache", limit)
    assert "cannot be converted: it could not be written to" in result.stdout
    assert kept(tmp_path / "cache") == []


def test_a_build_without_the_converter(
    twice: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(lite, "Opt")
    with pytest.raises(EngineError, match=r"no converter: make an \.nb with paddle_lite_opt"):
        to_nb(twice, tmp_path / "cache")
