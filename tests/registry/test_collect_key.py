"""`collect:` in a model.yaml: what it may say, and why a model is refused for what it says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, Dict

import pytest
import yaml

from edged.registry.entry import look
from edged.registry.spec import Collect, LabelRule
from tests.support import DEMO_MODELS, ROOT

LEAST: Dict[str, Any] = {"dataset": "field"}


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEMO_MODELS / "digits", tmp_path / "digits"))


def change(folder: Path, **changes: object) -> None:
    manifest = folder / "model.yaml"
    document = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    manifest.write_text(yaml.safe_dump({**document, **changes}, allow_unicode=True), "utf-8")


def reason(folder: Path, collect: object, **changes: object) -> str:
    change(folder, collect=collect, **changes)
    entry = look(folder)
    assert entry.spec is None
    return entry.reason


def test_all_of_it(digits: Path) -> None:
    manifest = digits / "model.yaml"
    manifest.write_text(
        manifest.read_text()
        + """
collect:
  dataset: 现场
  below: 0.6
  every: 10
  labels:
    "7": {}
    "1": {below: 0.9, every: 1}
  per_minute: 6
  total: 5000
""",
        "utf-8",
    )
    entry = look(digits)
    assert entry.spec is not None, entry.reason
    labels = {"7": LabelRule(), "1": LabelRule(below=0.9, every=1)}
    assert entry.spec.collect == Collect("现场", 0.6, 10, labels, 6, 5000)


@pytest.mark.parametrize("page", ["datasets.md", "baidu.zh.md"])
def test_the_documented_one(digits: Path, page: str) -> None:
    (block,) = re.findall(
        r"^```yaml\n(collect:.*?)^```$",
        (ROOT / "docs" / page).read_text(),
        re.MULTILINE | re.DOTALL,
    )
    change(digits, **yaml.safe_load(block))
    entry = look(digits)
    assert entry.spec is not None, entry.reason
    assert entry.spec.collect is not None
    assert (entry.spec.collect.dataset, entry.spec.collect.every) == ("field-digits", 10)


def test_without_it_nothing_is_collected(digits: Path) -> None:
    entry = look(digits)
    assert entry.spec is not None
    assert entry.spec.collect is None


def test_the_least_of_it_is_bounded(digits: Path) -> None:
    change(digits, collect=LEAST)
    entry = look(digits)
    assert entry.spec is not None
    assert entry.spec.collect == Collect("field", per_minute=10, total=1000)


def test_beside_what_an_exporter_left(tmp_path: Path) -> None:
    """PaddleClas writes no model.yaml: one with this key alone lies beside its files."""
    folder = tmp_path / "7-things"
    folder.mkdir()
    for name in ("inference.pdmodel", "inference.pdiparams"):
        (folder / name).touch()
    (folder / "model.yaml").write_text(yaml.safe_dump({"collect": LEAST}))
    entry = look(folder)
    assert entry.spec is not None, entry.reason
    assert (entry.exporter, entry.spec.collect) == ("PaddleClas", Collect("field"))
    # Without a list of labels nobody knows which there are.
    labels: Dict[str, Any] = {"281": {}}
    (folder / "model.yaml").write_text(yaml.safe_dump({"collect": {**LEAST, "labels": labels}}))
    entry = look(folder)
    assert entry.spec is not None, entry.reason


@pytest.mark.parametrize(
    ("collect", "why"),
    [
        ({}, "model.yaml, collect: object missing required field `dataset`"),
        ("field", "model.yaml, collect: expected `object | null`, got `str`"),
        ({"dataset": ""}, "collect, dataset: it must have 1 to 20 characters"),
        ({"dataset": "x" * 21}, "collect, dataset: it must have 1 to 20 characters"),
        ({"dataset": "a\nb"}, "collect, dataset: it must have 1 to 20 characters"),
        ({**LEAST, "blow": 0.5}, "collect: object contains unknown field `blow`"),
        ({**LEAST, "below": 1.5}, "collect.below: expected `float` <= 1"),
        ({**LEAST, "below": "low"}, "collect.below: expected `float | null`, got `str`"),
        ({**LEAST, "every": 0}, "collect.every: expected `int` >= 1"),
        ({**LEAST, "per_minute": 0}, "collect.per_minute: expected `int` >= 1"),
        ({**LEAST, "total": 0}, "collect.total: expected `int` >= 1"),
        ({**LEAST, "labels": ["7"]}, "collect.labels: expected `object`, got `array`"),
        ({**LEAST, "labels": {"7": {"every": 0}}}, "expected `int` >= 1"),
        ({**LEAST, "labels": {"cat": {}}}, "collect, labels: the model has no label 'cat'"),
    ],
)
def test_what_is_wrong_with_it(digits: Path, collect: object, why: str) -> None:
    assert why in reason(digits, collect)


def test_there_are_no_datasets_of_text(digits: Path) -> None:
    why = reason(Path(shutil.copytree(DEMO_MODELS / "print", digits.parent / "print")), LEAST)
    assert why == "collect: there are no datasets for the task ocr"


def test_two_labels_of_one_name(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 50 bits of a digest that needs some luck, of which a test has no end."""
    monkeypatch.setattr("edged.datasets.label_names._DIGEST", 0)
    labels = ["traffic light", "traffic  light", *"23456789"]
    assert "two of the labels would both be traffic-light-" in reason(digits, LEAST, labels=labels)
    shutil.rmtree(digits)
    shutil.copytree(DEMO_MODELS / "digits", digits)
    change(digits, labels=["0", "0", *"23456789"], collect=LEAST)
    assert look(digits).spec is not None  # one label that stands twice is one label
