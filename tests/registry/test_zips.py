"""Zips among the models: what is unpacked, under which number, and when it goes again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Dict, List

import pytest

from edged.registry import versions
from edged.registry.archive import unpack
from edged.registry.entry import Entry
from edged.registry.install import Library
from edged.registry.registry import scan
from tests.registry.exporting import leave, put
from tests.registry.packing import MODEL_YAML, SMALL, Files, pack, pack_folder, pack_model
from tests.registry.test_edgeboard import CONFIG, NETWORK
from tests.support import ROOT


class Models:
    def __init__(self, root: Path) -> None:
        self.path, self.state = root / "models", root / "state"
        self.path.mkdir()

    def open(self) -> List[Entry]:
        """As the daemon that serves them does at its start."""
        return Library(self.path, self.state).open()

    def only(self) -> Entry:
        (entry,) = self.open()
        return entry

    def kept(self) -> List[Path]:
        """What is unpacked."""
        return [path for path in (self.state / "versions").iterdir() if path.name != "lock"]


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(tmp_path)


def folder_of(entry: Entry) -> Path:
    assert entry.spec is not None, entry.reason
    return Path(entry.spec.folder)


def names(folder: Path) -> List[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("top", ["", "exported/", "安全帽/", "__MACOSX_not/"])
def test_with_or_without_one_folder_in_it(models: Models, top: str) -> None:
    pack_model(models.path / "10-helmets.zip", top)
    entry = models.only()
    assert (entry.mid, entry.name, entry.folder) == (10, "helmets", "10-helmets.zip")
    assert entry.spec is not None
    assert (entry.spec.mid, entry.spec.name, entry.exporter) == (10, "helmets", "native")
    assert names(folder_of(entry)) == ["model.yaml", "net.nb"]
    assert Path(entry.spec.files.model).read_bytes() == b"network"


def test_two_folders_in_it_are_left_as_they_are(models: Models, tmp_path: Path) -> None:
    """As the EdgeBoard platform packs it: config/ and model/."""
    folder = leave(tmp_path / "exported", *NETWORK)
    put(folder, "config/config.json", CONFIG)
    pack_folder(models.path / "3-face.zip", folder)
    entry = models.only()
    assert (entry.mid, entry.name, entry.exporter) == (3, "face", "EdgeBoard")
    assert names(folder_of(entry)) == ["config/config.json", *NETWORK]
    (models.path / "3-face.zip").unlink()
    pack_folder(models.path / "4-face.zip", folder, "face/")
    assert models.only().exporter == "EdgeBoard"


def test_what_macos_adds_is_left_out(models: Models) -> None:
    files: Files = {f"top/{name}": content for name, content in SMALL.items()}
    pack(models.path / "1-a.zip", {**files, "top/": b"", "__MACOSX/top/._net.nb": b"x"})
    assert names(folder_of(models.only())) == ["model.yaml", "net.nb"]


def test_names_that_windows_wrote_in_gbk(models: Models) -> None:
    described = MODEL_YAML.replace("net.nb", "网络.nb")
    path = pack(models.path / "1-a.zip", {"model.yaml": described.encode(), "NNNN.nb": b"x"})
    path.write_bytes(path.read_bytes().replace(b"NNNN.nb", "网络.nb".encode("gbk")))
    assert names(folder_of(models.only())) == ["model.yaml", "网络.nb"]


@pytest.mark.parametrize("name", ["1-a.ZIP", "1-a.Zip"])
def test_the_ending_in_capitals(models: Models, name: str) -> None:
    pack_model(models.path / name)
    assert models.only().name == "a"


def test_numbers_and_names_follow_the_rules_of_folders(models: Models) -> None:
    pack_model(models.path / "helmets.zip")
    pack_model(models.path / "masks.zip", model_yaml=f"mid: 0\nname: 口罩\n{MODEL_YAML}".encode())
    entries = {entry.folder: entry for entry in models.open()}
    assert (entries["helmets.zip"].mid, entries["masks.zip"].mid) == (1, 0)
    assert entries["masks.zip"].name == "口罩"
    (models.path / "masks.zip").unlink()
    assert models.only().mid == 1


def test_a_folder_and_a_zip_of_the_same_name_are_both_refused(models: Models) -> None:
    pack_model(models.path / "10-helmets.zip")
    with zipfile.ZipFile(models.path / "10-helmets.zip") as packed:
        packed.extractall(models.path / "10-helmets")
    first, second = models.open()
    assert first.reason == "mid 10 is also that of 10-helmets.zip"
    assert second.reason == "mid 10 is also that of 10-helmets"
    assert first.spec is second.spec is None


def test_a_folder_is_served_beside_a_broken_zip_of_its_name(models: Models) -> None:
    pack_model(models.path / "10-helmets.zip")
    with zipfile.ZipFile(models.path / "10-helmets.zip") as packed:
        packed.extractall(models.path / "10-helmets")
    (models.path / "10-helmets.zip").write_bytes(b"PK")
    folder, archive = models.open()
    assert (folder.folder, folder.reason) == ("10-helmets", "")
    assert "still being copied" in archive.reason


def test_what_is_no_file_is_no_entry(models: Models) -> None:
    os.mkfifo(models.path / "1-a.zip")
    (models.path / "2-b.zip").symlink_to("nowhere")
    pack_model(models.path / ".3-c.zip")
    assert models.open() == []


def test_a_link_to_a_zip_is_a_zip(models: Models) -> None:
    pack_model(models.path.parent / "elsewhere.zip")
    (models.path / "1-a.zip").symlink_to("../elsewhere.zip")
    assert (models.only().name, models.only().reason) == ("a", "")


def test_without_models_nothing_is_kept(models: Models) -> None:
    (models.path / "x").mkdir()
    models.open()
    assert not (models.state / "versions").exists()


def test_who_only_looks_leaves_what_is_served_alone(models: Models) -> None:
    path = pack_model(models.path / "1-a.zip", labels_txt=b"one")
    served = folder_of(models.only())
    assert folder_of(scan(models.path, models.state)[0]) == served
    pack_model(path, labels_txt=b"two")
    (looked_at,) = scan(models.path, models.state)
    assert (folder_of(looked_at) / "labels.txt").read_bytes() == b"two"
    assert models.kept() == [served]


def made(folder: Path) -> Dict[str, int]:
    return {str(path): path.stat().st_ino for path in [folder, *folder.rglob("*")]}


def test_it_is_unpacked_once(models: Models) -> None:
    path = pack_model(models.path / "1-a.zip")
    before = made(folder_of(models.only()))
    os.utime(path, ns=(1, 1))
    assert made(folder_of(models.only())) == before
    models.open()
    assert made(folder_of(models.only())) == before


def test_another_zip_of_that_name_is_unpacked_anew(models: Models) -> None:
    path = pack_model(models.path / "1-a.zip", labels_txt=b"one")
    old, times = folder_of(models.only()), path.stat()
    pack_model(path, labels_txt=b"two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    new = folder_of(models.only())
    assert (old / "labels.txt").read_bytes() == b"one"  # a daemon may be serving it
    assert (new / "labels.txt").read_bytes() == b"two"
    models.open()
    assert sorted(models.kept()) == sorted([old, new])  # the one to roll back to


def test_what_belongs_to_no_zip_any_more_is_removed(models: Models) -> None:
    goes = pack_model(models.path / "1-a.zip", labels_txt=b"a")
    pack_model(models.path / "2-b.zip", labels_txt=b"b")
    _, stays = models.open()
    assert len(models.kept()) == 2
    goes.unlink()
    models.open()
    assert models.kept() == [folder_of(stays)]
    shutil.rmtree(models.path)
    models.path.mkdir()
    models.open()
    assert models.kept() == []


def test_what_another_folder_of_models_has_unpacked_stays(models: Models) -> None:
    pack_model(models.path / "1-a.zip")
    served = folder_of(models.only())
    other = models.path.parent / "other"
    other.mkdir()
    pack_model(other / "1-a.zip", labels_txt=b"other")
    Library(other, models.state).open()
    assert len(models.kept()) == 2
    assert names(served) == ["model.yaml", "net.nb"]
    (other / "1-a.zip").unlink()
    Library(other, models.state).open()
    assert models.kept() == [served]


def test_a_crash_leaves_nothing_half(models: Models) -> None:
    """It is killed when all is written and nothing renamed yet."""
    pack_model(models.path / "1-a.zip")
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from edged.registry.install import Library\n"
        "os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Library(Path(sys.argv[1]), Path(sys.argv[2])).open()\n"
    )
    command = [sys.executable, "-c", code, str(models.path), str(models.state)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    (left,) = models.kept()
    assert left.name == "unfinished"
    (left / "net.nb").write_bytes(b"ha")
    served = folder_of(models.only())
    assert models.kept() == [served]
    assert (served / "net.nb").read_bytes() == b"network"


def test_what_a_crash_left_goes_although_its_zip_has_gone_too(models: Models) -> None:
    unfinished = models.state / "versions" / "unfinished" / "model"
    unfinished.mkdir(parents=True)
    models.open()
    assert models.kept() == []


def test_a_state_directory_that_cannot_be_written(models: Models) -> None:
    pack_model(models.path / "1-a.zip")
    models.state.write_text("a file, not a folder")
    entry = models.only()
    assert entry.reason == (
        f"the zip cannot be unpacked in {models.state}/versions: Not a directory"
    )
    models.open()


def test_a_full_disk(models: Models) -> None:
    """Stood in for by a limit on a file's size, which fails a write just so."""
    pack_model(models.path / "1-a.zip")
    pack_model(models.path / "2-b.zip", big_bin=bytes(1 << 20))
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from edged.registry.install import Library\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))\n"
        "for entry in Library(Path(sys.argv[1]), Path(sys.argv[2])).open():\n"
        "    print(entry.mid, entry.reason)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(models.path), str(models.state)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    place = models.state / "versions"
    assert done.stdout == f"1 \n2 the zip cannot be unpacked in {place}: File too large\n"
    assert len(models.kept()) == 1
    assert [entry.reason for entry in models.open()] == ["", ""]


def test_what_is_unpacked_already_needs_no_lock(models: Models) -> None:
    """Nor, then, a state directory that can be written."""
    pack_model(models.path / "1-a.zip")
    models.open()
    lock = models.state / "versions" / "lock"
    lock.unlink()
    lock.mkdir()
    assert models.only().reason == ""
    models.open()
    assert models.only().reason == ""


def test_a_zip_that_changes_meanwhile(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack_model(models.path / "1-a.zip")

    def unpack_while_written(archive: Path, to: Path) -> None:
        unpack(archive, to)
        path.write_bytes(path.read_bytes() + b"x")

    monkeypatch.setattr(versions, "unpack", unpack_while_written)
    assert models.only().reason == "the zip is still being copied"
    assert models.kept() == []


def test_a_zip_whose_name_is_not_utf8(models: Models) -> None:
    path = pack_model(models.path / "1-a.zip")
    os.rename(path, os.fsencode(models.path) + b"/1-\xff.zip")
    assert models.only().reason == "the zip's name is not printable UTF-8"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_zip_that_may_not_be_read(models: Models) -> None:
    pack_model(models.path / "1-a.zip").chmod(0)
    assert models.only().reason == "the zip cannot be read: Permission denied"
