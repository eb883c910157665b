"""A `model.yaml` that is broken or means harm ends in a reason, soon, and never raises."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.registry.entry import look


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "1-digits"
    path.mkdir()
    return path


def test_model_yaml_itself_does_not_lead_out(folder: Path) -> None:
    (folder.parent / "out.yaml").write_text("mid: 5")
    (folder / "model.yaml").symlink_to("../out.yaml")
    assert look(folder).reason == "model.yaml leads out of the model's folder"


def test_a_fifo_does_not_hang_the_scan(folder: Path) -> None:
    os.mkfifo(folder / "model.yaml")
    assert look(folder).reason == "model.yaml is not a file"


BOMB = "a: &a [x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (BOMB, "line 1: anchors"),
        ("a: *b", "anchors"),
        ("[" * 100_000, "nested too deeply"),
        ("- " * 100_000, "nested too deeply"),
        ("{a: " * 100_000, "nested too deeply"),
        ("mid: !!int 1", "tags are not allowed"),
        ("mid: !!python/object/apply:os.system [ls]", "tags are not allowed"),
        ("mid: " + "9" * 100_000, "longer than"),
        ("mid: " + "9" * 400, "number is too large"),
        ("threshold: " + "9" * 400, "number is too large"),
        ("mid: 0b_", "not usable YAML"),
        ("mid: " + "1:" * 400 + "1.5", "not usable YAML"),
        ("1: 2", "a key is not text"),
        ("? [a]\n: 2", "a key is not text"),
        ("- 1", "keys and values"),
        ("just text", "keys and values"),
        ("a: [", "line"),
        ("a: 1\n\tb: 2", "line 2"),
        ("a: b\n---\nc: d", "not usable YAML"),
        ("x" * (2 << 20), "larger than"),
        ("a: \x07", "not usable YAML"),
        ('name: "\\ud800"', "not usable YAML"),
        ("mid: 2024-13-45", "mid: expected `int | null`, got `str`"),
        ("mid: 12:30:99", "mid"),
        ("<<: {mid: 1}\nmodel: x.nb", "<<"),
        ("mid: null\nmodel: x.nb", "task"),
    ],
)
def test_hostile_yaml_is_a_reason(folder: Path, content: str, reason: str) -> None:
    (folder / "model.yaml").write_text(content)
    start = time.monotonic()
    entry = look(folder)
    assert entry.spec is None
    assert reason in entry.reason
    assert time.monotonic() - start < 5


def test_yaml_that_is_not_utf8_is_a_reason(folder: Path) -> None:
    (folder / "model.yaml").write_bytes("name: 安全帽".encode("gbk"))
    assert look(folder).reason == "model.yaml is not UTF-8"


WITHOUT_LIBYAML = """
import sys, yaml
vars(yaml).pop("CSafeLoader", None)
from pathlib import Path
from edged.registry.entry import look
print(look(Path(sys.argv[1])).reason)
"""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[" * 100_000, "nested too deeply"),
        (BOMB, "anchors"),
        ('name: "\\ud800"', "not usable YAML"),
        ("1: 2", "a key is not text"),
        ("threshold: " + "9" * 400, "number is too large"),
        ("mid: -1", "mid: expected `int` >= 0"),
    ],
)
def test_the_same_holds_where_yaml_comes_without_libyaml(
    folder: Path, content: str, reason: str
) -> None:
    (folder / "model.yaml").write_text(content)
    command = [sys.executable, "-c", WITHOUT_LIBYAML, str(folder)]
    assert reason in subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()


LAUGHS = "a0: &a0 x\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 350))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (LAUGHS, "more than 65536 values"),
        ("a: &a [*a]", "values"),
        ("_Attributes: &a {labels: [*a]}", "values"),
        ("a: &a [" + "x, " * 400 + "x]\nb: [" + "*a, " * 200 + "*a]", "values"),
        ("a: " + "[" * 100_000, "nested too deeply"),
        ("a: *b", "undefined alias"),
        ("a: !!bool maybe", "tags are not allowed"),
        ("a: !!float ''", "tags are not allowed"),
        ("a: !!python/tuple {b: c}", "expected a sequence node"),
        ("!!python/object/apply:os.system [ls]", "no exporter"),
        ("_Attributes: !!python/object/apply:os.system [touch, ran]", "_Attributes"),
        ("_Attributes: {model_type: !!python/name:os.system ''}", "model_type"),
        ("_Attributes: {model_type: !!python/tuple [detector]}", "model_type"),
        (CHAIN + "_Attributes: {model_type: detector, labels: *a349}", "labels"),
        (CHAIN + "_Attributes: {model_type: detector}\nTransforms: *a349", "Transforms"),
    ],
)
def test_what_pythons_own_yaml_may_hold(folder: Path, content: str, reason: str) -> None:
    """`model.yml` of PaddleX has tags and aliases."""
    (folder / "model.yml").write_text(content)
    entry = look(folder)
    assert entry.spec is None
    assert reason in entry.reason
    assert not (folder / "ran").exists()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["mid", "name", "task", "model", "params", "labels", "preprocess", "threshold", "threads"]
)


@settings(max_examples=60, deadline=None)
@given(document=st.dictionaries(KEYS, VALUES))
def test_no_document_raises(
    tmp_path_factory: pytest.TempPathFactory, document: Dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("model")
    (folder / "x.nb").touch()
    document = {"task": "detection", "model": "x.nb", **document}
    (folder / "model.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    entry = look(folder)
    assert (entry.spec is None) == bool(entry.reason)


@settings(max_examples=60, deadline=None)
@given(
    content=st.binary(max_size=60) | st.text(alphabet="mid: [{}]-&*!'\"\\\n#|>%@`0x_.", max_size=60)
)
def test_no_bytes_raise(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    data = content.encode() if isinstance(content, str) else content
    for name in ("model.yaml", "model.yml"):
        folder = tmp_path_factory.mktemp("model")
        (folder / name).write_bytes(data)
        assert look(folder).reason
