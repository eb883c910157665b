"""What Prometheus would read, by its own parser."""

from __future__ import annotations

from typing import Dict, Set

from prometheus_client.parser import text_string_to_metric_families

from tests.support import RunningDaemon

METRICS = "/metrics"


class Scraped:
    """One answer of GET /metrics."""

    def __init__(self, daemon: RunningDaemon) -> None:
        answer = daemon.request("GET", METRICS)
        assert answer.status == 200, answer
        families = list(text_string_to_metric_families(answer.body.decode()))
        self.kinds = {family.name: family.type for family in families}
        self.samples = [sample for family in families for sample in family.samples]

    def value(self, name: str, /, **labels: object) -> float:
        """The sum of the series that have these labels, 0 where there is none."""
        wanted = {label: str(value) for label, value in labels.items()}.items()
        return sum(
            one.value for one in self.samples if one.name == name and wanted <= one.labels.items()
        )

    def series(self, name: str) -> Set[str]:
        """The names of its samples, with labels, as they are written."""
        return {str(sorted(one.labels.items())) for one in self.samples if one.name == name}

    def labels(self, label: str) -> Set[str]:
        """All values that a label has anywhere."""
        return {one.labels[label] for one in self.samples if label in one.labels}


def grown(before: Scraped, after: Scraped) -> Dict[str, float]:
    """The counts of requests that are new, as "mid dialect code"."""

    def counts(scraped: Scraped) -> Dict[str, float]:
        return {
            f"{one.labels['mid']} {one.labels['dialect']} {one.labels['code']}".strip(): one.value
            for one in scraped.samples
            if one.name == "edged_requests_total"
        }

    old = counts(before)
    new = {name: value - old.get(name, 0) for name, value in counts(after).items()}
    return {name: value for name, value in new.items() if value and " ops " not in f" {name} "}
