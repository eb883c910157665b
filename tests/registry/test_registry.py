"""A folder of models to entries: numbers, names, duplicates, and what is refused."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import msgspec
import pytest

from edged.errors import ConfigError
from edged.registry.entry import Entry, look
from edged.registry.registry import scan
from edged.registry.spec import ModelSpec
from tests.support import DEMO_MODELS

NETWORK = """\
task: classification
model: net.nb
preprocess: [{op: resize, width: 32, height: 24}]
"""
INFER_CFG = """
draw_threshold: 0.4
Preprocess:
- {type: Resize, target_size: [32, 48], keep_ratio: false, interp: 2}
- {type: Permute}
label_list: [cat, dog]
"""


class Models:
    def __init__(self, root: Path) -> None:
        self.path = root / "models"
        self.path.mkdir()
        self.state = root / "state"

    def native(self, folder: str, head: str = "", network: str = NETWORK) -> Path:
        path = self.path / folder
        path.mkdir(exist_ok=True)
        (path / "net.nb").touch()
        (path / "model.yaml").write_text(f"{head}\n{network}", "utf-8")
        return path

    def exported(self, folder: str, overrides: str = "") -> Path:
        path = self.path / folder
        path.mkdir()
        (path / "infer_cfg.yml").write_text(INFER_CFG)
        (path / "model.pdmodel").touch()
        (path / "model.pdiparams").touch()
        if overrides:
            (path / "model.yaml").write_text(overrides)
        return path

    def scan(self) -> List[Entry]:
        return scan(self.path, self.state)

    def by_folder(self) -> Dict[str, Entry]:
        return {entry.folder: entry for entry in self.scan()}

    def spec(self, folder: str) -> ModelSpec:
        entry = self.by_folder()[folder]
        assert entry.spec is not None, entry.reason
        return entry.spec


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(tmp_path)


def test_mid_and_name_from_model_yaml_win_over_the_folder(models: Models) -> None:
    models.native("10-helmets", "mid: 7\nname: 安全帽")
    (entry,) = models.scan()
    assert (entry.mid, entry.name, entry.folder) == (7, "安全帽", "10-helmets")
    assert entry.spec is not None
    assert (entry.spec.mid, entry.spec.name) == (7, "安全帽")
    assert (entry.exporter, entry.reason) == ("native", "")


@pytest.mark.parametrize(
    ("folder", "mid", "name"),
    [
        ("10-helmets", 10, "helmets"),
        ("007-bond-2", 7, "bond-2"),
        ("3", 3, "3"),
        ("0-first", 0, "first"),
        ("helmets", 0, "helmets"),
        ("helmets-10", 0, "helmets-10"),
        ("20240131123456789-export", 0, "20240131123456789-export"),
    ],
)
def test_mid_and_name_from_the_folder(models: Models, folder: str, mid: int, name: str) -> None:
    models.native(folder)
    (entry,) = models.scan()
    assert (entry.mid, entry.name, entry.reason) == (mid, name, "")


def test_spec_is_whole_and_absolute(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = models.native("1-a", "labels: [x, y]\nthreshold: 0.25\ninstances: 2\nthreads: 3")
    monkeypatch.chdir(models.path.parent)
    (entry,) = scan(Path("models"), Path("state"))
    spec = entry.spec
    assert spec is not None
    assert spec.folder == str(folder)
    assert spec.files.model == str(folder / "net.nb")
    assert spec.input_size == (32, 24)
    assert (spec.labels, spec.threshold) == (("x", "y"), 0.25)
    assert (spec.instances, spec.threads) == (2, 3)
    msgspec.msgpack.encode(spec)


def test_numbers_fill_the_lowest_gap_and_never_change(models: Models) -> None:
    models.native("1-one")
    for name in "abc":
        models.native(name)
    first = {entry.folder: entry.mid for entry in models.scan()}
    assert first == {"1-one": 1, "a": 0, "b": 2, "c": 3}
    models.native("A-comes-first-by-name")
    (models.path / "1-one").rename(models.path / ".hidden")
    again = {entry.folder: entry.mid for entry in models.scan()}
    assert again == {"a": 0, "b": 2, "c": 3, "A-comes-first-by-name": 1}


def test_a_folder_that_has_gone_keeps_its_number(models: Models) -> None:
    models.native("gone")
    models.scan()
    (models.path / "gone").rename(models.path / ".gone")
    models.native("new")
    assert models.by_folder()["new"].mid == 1
    (models.path / ".gone").rename(models.path / "gone")
    assert models.by_folder()["gone"].mid == 0


def test_a_folder_that_cannot_be_served_gets_no_number_but_keeps_one(models: Models) -> None:
    broken = models.native("a", network="task: nonsense")
    assert models.scan()[0].mid is None
    models.native("a")
    models.native("b")
    assert models.by_folder()["a"].mid == 0
    (broken / "net.nb").unlink()
    entry = models.by_folder()["a"]
    assert (entry.mid, entry.spec, entry.reason) == (0, None, "net.nb is missing")


def test_no_state_is_needed_when_every_folder_brings_its_number(models: Models) -> None:
    models.native("1-a")
    models.scan()
    assert not models.state.exists()


def test_duplicate_mids_are_both_refused_naming_each_other(models: Models) -> None:
    models.native("10-a")
    models.native("b", "mid: 10")
    models.native("11-c")
    entries = models.by_folder()
    assert entries["10-a"].spec is None
    assert entries["10-a"].reason == "mid 10 is also that of b"
    assert entries["b"].spec is None
    assert entries["b"].reason == "mid 10 is also that of 10-a"
    assert entries["11-c"].spec is not None


def test_duplicate_names_are_both_refused_naming_each_other(models: Models) -> None:
    models.native("1-helmets")
    models.exported("2-x", "name: helmets")
    models.native("3-helmet")
    entries = models.by_folder()
    assert entries["1-helmets"].reason == "the name helmets is also that of 2-x"
    assert entries["2-x"].reason == "the name helmets is also that of 1-helmets"
    assert entries["3-helmet"].spec is not None


def test_a_claim_on_a_remembered_number_is_a_duplicate(models: Models) -> None:
    models.native("a")
    models.scan()
    models.native("b", "mid: 0")
    assert [entry.spec for entry in models.scan()] == [None, None]


def test_a_broken_model_still_claims_its_mid(models: Models) -> None:
    models.native("a", "mid: 5", "task: nonsense")
    models.native("b", "mid: 5")
    entries = models.by_folder()
    assert entries["a"].mid == 5
    assert "nonsense" in entries["a"].reason
    assert entries["b"].reason == "mid 5 is also that of a"


def test_a_folder_of_anything_claims_nothing(models: Models) -> None:
    (models.path / "5-a-helmets").mkdir()
    models.native("5-helmets")
    served, other = models.scan()
    assert (served.folder, served.reason) == ("5-helmets", "")
    assert (other.mid, other.exporter, other.spec) == (5, None, None)
    assert "no exporter is recognised" in other.reason


def test_hidden_folders_and_files_are_no_entries(models: Models) -> None:
    (models.path / "README.md").touch()
    models.native(".hidden")
    assert models.scan() == []


def test_a_linked_folder_is_an_entry_and_a_dangling_link_is_not(models: Models) -> None:
    elsewhere = models.native("1-a").rename(models.path.parent / "elsewhere")
    (models.path / "1-a").symlink_to(elsewhere)
    (models.path / "2-b").symlink_to("nowhere")
    (models.path / "3-c").symlink_to("3-c")
    (entry,) = models.scan()
    assert entry.spec is not None
    assert entry.spec.folder == str(elsewhere)


def test_entries_are_ordered_by_mid(models: Models) -> None:
    (models.path / "nothing").mkdir()
    for folder in ("10-a", "9-b", "100-c"):
        models.native(folder)
    assert [entry.mid for entry in models.scan()] == [9, 10, 100, None]


def test_model_yaml_overrides_what_an_exporter_says(models: Models) -> None:
    overrides = "mid: 4\nname: pets\nlabels: [猫, 狗]\nthreshold: 0.9\ninstances: 1\nthreads: 2"
    models.exported("x", overrides)
    spec = models.spec("x")
    assert (spec.mid, spec.name, spec.exporter) == (4, "pets", "PaddleDetection")
    assert (spec.labels, spec.threshold) == (("猫", "狗"), 0.9)
    assert (spec.instances, spec.threads) == (1, 2)
    assert spec.input_size == (48, 32)


def test_an_exporters_word_stands_where_nothing_overrides_it(models: Models) -> None:
    models.exported("x", "threads: 2")
    spec = models.spec("x")
    assert (spec.labels, spec.threshold, spec.instances) == (("cat", "dog"), 0.4, None)


def test_an_empty_list_of_labels_is_an_override_too(models: Models) -> None:
    models.exported("x", "labels: []\nthreshold: 0")
    spec = models.spec("x")
    assert (spec.labels, spec.threshold) == ((), 0)


def test_overrides_alone_are_no_model(models: Models) -> None:
    (models.path / "x").mkdir()
    (models.path / "x" / "model.yaml").write_text("mid: 3")
    (entry,) = models.scan()
    assert (entry.mid, entry.exporter) == (3, None)
    assert entry.reason == "no exporter is recognised, and no model.yaml names a model"


def test_an_unknown_override_is_refused_by_name(models: Models) -> None:
    models.exported("x", "treshold: 0.9")
    (entry,) = models.scan()
    assert entry.spec is None
    assert "treshold" in entry.reason


@pytest.mark.parametrize(
    "name", ["a/b", "' a'", "'a '", "''", ".", "..", ".a", "a" * 65, "a b", '"a\\n"', "'a?b'"]
)
def test_names_that_do_not_fit_a_url_are_refused(models: Models, name: str) -> None:
    models.native("1-x", f"name: {name}")
    (entry,) = models.scan()
    assert entry.spec is None
    assert "name" in entry.reason


@pytest.mark.parametrize("name", ["a", "a" * 64, "安全帽_v2.1-x", "été", "Модель", "'10'"])
def test_names_that_fit(models: Models, name: str) -> None:
    models.native("1-x", f"name: {name}")
    assert models.spec("1-x").name == name.strip("'")


def test_a_folder_whose_name_is_not_utf8_is_refused_and_printable(models: Models) -> None:
    os.mkdir(os.fsencode(models.path) + b"/\xff\x1b[31m")
    models.native("1-a")
    entries = models.scan()
    assert [entry.spec is None for entry in entries] == [False, True]
    assert entries[1].folder == "??[31m"
    msgspec.json.encode(entries)


def test_reasons_are_one_short_printable_line(models: Models) -> None:
    models.native("1-a", '"' + "\\e\\n" * 200 + '": 1\n')
    (entry,) = models.scan()
    assert entry.reason.startswith("model.yaml: object contains unknown field")
    assert entry.reason.isprintable()
    assert len(entry.reason) <= 301


def test_a_broken_sample_refuses_the_model(models: Models) -> None:
    folder = models.native("1-a")
    (folder / "sample.jpg").touch()
    (folder / "sample.json").write_text("[")
    assert "sample.json" in models.scan()[0].reason


def test_without_the_folder_of_models_the_reason_is_clear(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere: No such file"):
        scan(tmp_path / "nowhere", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file: Not a directory"):
        scan(tmp_path / "file", tmp_path)


def test_damaged_numbers_harm_no_model_that_brings_its_own(models: Models) -> None:
    models.native("1-a")
    models.state.mkdir()
    (models.state / "mids.json").write_text("damaged")
    assert models.spec("1-a").mid == 1


def test_look_reads_one_folder_without_a_number(models: Models) -> None:
    entry = look(models.exported("x"))
    assert (entry.mid, entry.name, entry.reason) == (None, "x", "")
    assert entry.spec is not None
    assert entry.spec.mid == -1
    assert look(models.native("3-y")).mid == 3


def test_look_knows_the_name_of_the_current_folder(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(models.native("3-y"))
    assert look(Path(".")).name == "y"


def test_the_registry_imports_no_pixels_no_engine_and_no_server() -> None:
    script = (
        "import sys, edged.registry.registry, edged.registry.sample\n"
        "bad = {'numpy', 'cv2', 'paddle', 'paddlelite', 'aiohttp'} & set(sys.modules)\n"
        "sys.exit(', '.join(bad) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr


def test_numbers_that_cannot_be_kept_cost_only_the_folders_without_one(tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(DEMO_MODELS / "digits", models / "1-digits")
    shutil.copytree(DEMO_MODELS / "digits", models / "other")
    description = models / "other" / "model.yaml"
    description.write_text(re.sub("(mid|name): .*\n", "", description.read_text()))
    (tmp_path / "state").write_text("a file, not a folder")
    one, other = scan(models, tmp_path / "state")
    assert one.spec is not None
    assert other.spec is None
    assert "Not a directory" in other.reason
