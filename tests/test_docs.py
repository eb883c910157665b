"""The documentation says what the code declares: settings, errors, formats' steps, metrics."""

from __future__ import annotations

import re
import typing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Type

import pytest

from edged import config
from edged.daemon.dialects.models import ModelChanges
from edged.daemon.live import TRIAL_SECONDS
from edged.daemon.logs import BASE_FIELDS, FIELDS, LogField
from edged.daemon.metrics import METRICS, PROCESS_METRICS, Metric
from edged.errors import (
    ERRORS,
    BadMid,
    BadModel,
    BadPackage,
    EdgedError,
    UnknownModel,
    WrongDigest,
)
from edged.registry import ledger
from edged.registry.archive import MAX_BYTES, MAX_DEPTH, MAX_FILES
from edged.registry.formats import FORMATS, Format, paddleclas, paddledetection, paddleseg, paddlex
from edged.registry.spec import AnyStep, Task
from scripts.bench_parts import plan
from scripts.bench_parts.targets import RATIOS, TARGETS, Target
from tests.support import ROOT

SETTINGS = (ROOT / "docs" / "settings.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()
MODELS = (ROOT / "docs" / "models.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text()

# These stop a command before it serves anything: no client ever sees them.
BEFORE_SERVING = {"BadImport", "ConfigError", "KeyStoreError", "ModelFolderError"}


@pytest.mark.parametrize("name", list(config.FIELDS))
def test_settings_are_documented_with_default_and_meaning(name: str) -> None:
    default = "~/.local/state/edged" if name == "state" else config.default(name)
    assert f"| `{name}` | `{default}` | {config.describe(name)} |" in SETTINGS
    assert f"\n| `{name}` | `{default}` |\n" in OPERATIONS


@pytest.mark.parametrize("name", [name for name in config.FIELDS if config.choices(name)])
def test_the_values_of_a_setting_are_documented(name: str) -> None:
    (row,) = (line for line in SETTINGS.splitlines() if line.startswith(f"| `{name}` |"))
    assert ", ".join(config.choices(name)) in row


def test_no_setting_is_documented_that_does_not_exist() -> None:
    of_operations = OPERATIONS.split("\n## Settings\n")[1].split("\n## ")[0]
    for page in (SETTINGS, of_operations):
        rows = [line for line in page.splitlines() if line.startswith("| `")]
        assert len(rows) == len(config.FIELDS)


@pytest.mark.parametrize("name", sorted(set(ERRORS) - BEFORE_SERVING))
def test_codes_are_documented(name: str) -> None:
    error = ERRORS[name]
    assert f"| {error.code} | {error.http_status} | {name} | {error.when} |" in API


def test_the_routes_that_change_models_are_documented() -> None:
    live: Any = SimpleNamespace(enable=0, disable=0, reload=0, roll_back=0, remove=0)
    for route in ModelChanges(live, config.Settings()).routes():
        path, _, verb = route.path.partition("{mid}/")
        assert f"/{verb}`" in API if verb else f"`{route.method} {path}" in API


@pytest.mark.parametrize("error", [BadMid, UnknownModel, BadPackage, WrongDigest, BadModel])
def test_the_codes_of_an_update_are_documented(error: Type[EdgedError]) -> None:
    assert f"\n| {error.code} | " in API.split("EdgeBoard's own call")[1]


def test_the_files_of_versions_that_are_kept_are_documented() -> None:
    assert f"`{ledger.FILE}`" in OPERATIONS
    assert f"{MAX_FILES} files" in OPERATIONS
    assert TRIAL_SECONDS == 60
    assert "first minute" in OPERATIONS


@pytest.mark.parametrize("step", typing.get_args(AnyStep))
def test_preprocessing_steps_are_documented(step: type) -> None:
    assert f"| `{step.__struct_config__.tag}` |" in MODELS  # type: ignore[attr-defined]


PAGES = [ROOT / "README.md", ROOT / "README.zh.md", ROOT / "models" / "README.md"]


@pytest.mark.parametrize(
    "page", [*PAGES, *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_exporters_are_documented_in_the_order_they_are_asked() -> None:
    table = MODELS.split("## What is read")[1].split("\n\n")[1].splitlines()[2:]
    assert [row.split("|")[1].strip() for row in table] == [one.EXPORTER for one in FORMATS]


def row_of(exporter: str) -> str:
    return next(line for line in MODELS.splitlines() if line.startswith(f"| {exporter} |"))


@pytest.mark.parametrize("module", [paddleclas, paddledetection, paddleseg, paddlex])
def test_the_operators_that_are_read_are_documented(module: Format) -> None:
    for operator in module._READERS:  # type: ignore[attr-defined]
        assert operator in row_of(module.EXPORTER)


def test_the_limits_of_zips_are_documented() -> None:
    assert f"{MAX_BYTES >> 30} GiB" in MODELS
    assert f"{MAX_FILES} files" in MODELS
    assert f"more than {MAX_DEPTH} names" in MODELS


@pytest.mark.parametrize("task", typing.get_args(Task))
def test_tasks_are_documented(task: str) -> None:
    assert task in row_of("native")


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_the_benchmarks_targets_are_documented(target: Target) -> None:
    assert f"| `{target.name}` | {target.bound_text} | {target.what} |" in PERFORMANCE


def test_no_target_is_documented_that_is_not_measured() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PERFORMANCE, re.MULTILINE)
    measured = [*RATIOS, *(name for one in plan.MEASUREMENTS for name in one.names)]
    assert sorted(rows) == sorted(measured) == sorted(TARGETS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_metrics_are_documented(metric: Metric) -> None:
    kind = metric.kind.split()[-1]
    row = f"| `{metric.name}` | {kind} | {', '.join(metric.labels)} | {metric.help} |"
    assert row in OPERATIONS


@pytest.mark.parametrize("name", PROCESS_METRICS)
def test_metrics_of_the_process_are_documented(name: str) -> None:
    assert f"| `{name}` | {PROCESS_METRICS[name]} |" in OPERATIONS


@pytest.mark.parametrize("field", [*BASE_FIELDS, *FIELDS], ids=lambda field: field.name)
def test_fields_of_the_log_are_documented(field: LogField) -> None:
    assert f"| `{field.name}` | {field.journal} | {field.meaning} |" in OPERATIONS


def test_nothing_is_documented_that_is_neither_metric_nor_field() -> None:
    watch = OPERATIONS.split("\n## Watch\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", watch, re.MULTILINE)
    metrics = [*(metric.name for metric in METRICS), *PROCESS_METRICS]
    assert sorted(rows) == sorted([*metrics, *(one.name for one in (*BASE_FIELDS, *FIELDS))])
