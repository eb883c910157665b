"""docs/grafana.json asks for metrics that there are, and for all of them."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Set

import pytest

from edged.daemon.metrics import METRICS, PROCESS_METRICS, Metric
from tests.support import ROOT

DASHBOARD: Dict[str, Any] = json.loads((ROOT / "docs" / "grafana.json").read_text())
PANELS: List[Dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if "targets" in panel]
BY_NAME = {metric.name: metric for metric in METRICS}

# A daemon's address space says nothing about it.
NOT_SHOWN = {"process_virtual_memory_bytes"}

_BY_PROMETHEUS = {"instance", "job", "le"}


def names_in(expression: str) -> Set[str]:
    """The metrics of an expression; of a histogram's series, the histogram's."""
    names = set(re.findall(r"\b(?:edged|process)_\w+", expression))
    return {re.sub("_(bucket|sum|count)$", "", name) for name in names}


def labels_in(expression: str) -> Set[str]:
    """What it selects or sums by."""
    selected = re.findall(r"(\w+) *(?:=~|!~|!=|=) *\"", expression)
    summed = ", ".join(re.findall(r"\bby \(([^)]*)\)", expression)).split(", ")
    return {*selected, *filter(None, summed)}


def expressions() -> List[str]:
    panels = [target["expr"] for panel in PANELS for target in panel["targets"]]
    variables = [one["query"]["query"] for one in DASHBOARD["templating"]["list"][1:]]
    return [*panels, *variables]


@pytest.mark.parametrize("expression", expressions())
def test_what_it_asks_for_is_there(expression: str) -> None:
    known = {**dict.fromkeys(PROCESS_METRICS, ()), **{m.name: m.labels for m in METRICS}}
    names = names_in(expression)
    assert names
    for name in names:
        assert name in known
        labels = labels_in(expression) - _BY_PROMETHEUS
        assert labels <= set(known[name]), expression


@pytest.mark.parametrize("name", [*BY_NAME, *PROCESS_METRICS])
def test_every_metric_is_shown(name: str) -> None:
    shown = set().union(*map(names_in, expressions()))
    assert (name in shown) is (name not in NOT_SHOWN)


@pytest.mark.parametrize("metric", METRICS, ids=list(BY_NAME))
def test_it_is_asked_for_as_its_kind_is(metric: Metric) -> None:
    """A counter by its rate, a histogram by its buckets, a gauge as it is."""
    for expression in expressions():
        if metric.name not in names_in(expression):
            continue
        rated = re.search(rf"(rate|increase)\({metric.name}(_bucket)?{{", expression) is not None
        assert rated is ("counter" in metric.kind or metric.kind == "histogram"), expression
        assert (f"{metric.name}_bucket" in expression) is (metric.kind == "histogram"), expression


def test_its_legends_name_labels_that_are_there() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            wanted = set(re.findall(r"{{(\w+)}}", target["legendFormat"])) - _BY_PROMETHEUS
            names = [name for name in names_in(target["expr"]) if name in BY_NAME]
            assert all(wanted <= set(BY_NAME[name].labels) for name in names), target
            assert names or not wanted, target


def test_panels_do_not_cover_each_other() -> None:
    taken: Set[Any] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert max(x for x, _ in taken) < 24
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
