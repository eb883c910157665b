"""What is counted and timed for Prometheus: declared here, once."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from itertools import accumulate
from typing import Dict, Iterator, Literal, Mapping, NamedTuple, Optional, Tuple, Type, Union

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from edged.daemon.record import Visit
from edged.daemon.samples import Labels, Samples

Code = Union[int, str]


class Metric(NamedTuple):
    """`kind`: a "sampled" one is read when it is asked for, from where it is known anyway."""

    name: str
    kind: Literal["counter", "histogram", "sampled counter", "sampled gauge"]
    labels: Tuple[str, ...]
    help: str


METRICS: Tuple[Metric, ...] = (
    Metric(
        "edged_requests_total",
        "counter",
        ("mid", "dialect", "code"),
        "Requests by the code of their answer (0 is success, `gone` a client that left before "
        "it); one that names several models counts at each. mid is empty where no model was "
        "reached.",
    ),
    Metric(
        "edged_request_seconds",
        "histogram",
        ("mid",),
        "From the head of a request to its answer, of those that named a model.",
    ),
    Metric(
        "edged_queue_seconds",
        "histogram",
        ("mid",),
        "What a picture waited for a worker, and in it for the picture before.",
    ),
    Metric("edged_decode_seconds", "histogram", ("mid",), "Decoding the picture."),
    Metric("edged_run_seconds", "histogram", ("mid",), "The engine's run."),
    Metric(
        "edged_draw_seconds", "histogram", ("mid",), "Drawing the results, where that was asked."
    ),
    Metric(
        "edged_model_ready",
        "sampled gauge",
        ("mid", "name"),
        "1 while the model is served, 0 while it loads, has failed or is disabled.",
    ),
    Metric("edged_model_workers", "sampled gauge", ("mid",), "Processes of the model."),
    Metric("edged_model_queued", "sampled gauge", ("mid",), "Requests that wait for a worker."),
    Metric(
        "edged_model_refused_total",
        "sampled counter",
        ("mid",),
        "Requests that were refused without waiting: queue full, model not ready, poison.",
    ),
    Metric(
        "edged_model_restarts_total", "sampled counter", ("mid",), "Processes started once more."
    ),
    Metric(
        "edged_model_poison_pictures",
        "sampled gauge",
        ("mid",),
        "Pictures that have crashed the model and are refused, those of earlier runs too.",
    ),
    Metric(
        "edged_model_pss_bytes",
        "sampled gauge",
        ("mid",),
        "Memory of the model's processes, with its share of the pages that others have too "
        "(smaps_rollup; Linux 4.14 or later).",
    ),
    Metric(
        "edged_model_cpu_seconds_total",
        "sampled counter",
        ("mid",),
        "CPU time of the model's processes, user and system.",
    ),
    Metric(
        "edged_board_temperature_celsius",
        "sampled gauge",
        ("zone", "type"),
        "Of each thermal zone in /sys/class/thermal.",
    ),
    Metric(
        "edged_board_cpu_hertz",
        "sampled gauge",
        ("policy",),
        "Frequency of the cores that share a cpufreq policy.",
    ),
    Metric(
        "edged_board_cpu_limit_ratio",
        "sampled gauge",
        ("policy",),
        "The highest frequency they may have now, of what they can: below 1 they are throttled, "
        "or were limited by hand.",
    ),
    Metric(
        "edged_board_cooling_ratio",
        "sampled gauge",
        ("device", "type"),
        "How far a cooling device is turned up, 0 to 1. Of a processor that is slowed down to "
        "cool it, more than 0 means throttled; a fan is one too.",
    ),
    Metric(
        "edged_board_firmware_throttled",
        "sampled gauge",
        ("cause",),
        "Raspberry Pi: 1 while the firmware slows the board down, by cause (under_voltage, "
        "frequency_capped, throttled, soft_temperature_limit).",
    ),
)

PROCESS_METRICS = {
    "process_cpu_seconds_total": "CPU time of the daemon itself.",
    "process_resident_memory_bytes": "Its memory.",
    "process_virtual_memory_bytes": "Its address space.",
    "process_open_fds": "Its open files and connections.",
    "process_max_fds": "How many it may have.",
    "process_start_time_seconds": "When it was started (Unix time).",
}
"""Of prometheus_client's own collector."""

_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_STAGES = ("request", "queue", "decode", "run", "draw")
_BOUNDS = (*map(str, _BUCKETS), "+Inf")


class Metrics:
    """What is counted as it happens. Of a client's words none becomes a label: a mid is there
    only when a model has it.

    The counting is done here, by the loop: prometheus_client's own locks and walks through the
    buckets take five times as long, for every request.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests: Dict[Tuple[Optional[int], str, Code], int] = defaultdict(int)
        self._stages: Dict[Optional[int], Dict[str, _Histogram]] = defaultdict(_of_each_stage)
        self._collected = _Collected()
        self._registry.register(self._collected)

    def count(self, mid: Optional[int], dialect: str, code: Code) -> None:
        """One request more; `mid` is None where no model was reached."""
        self._requests[mid, dialect, code] += 1

    def time(self, visit: Visit, total: float) -> None:
        """A request for that model is over, `total` seconds after it came."""
        histograms = self._stages[visit.mid]
        histograms["request"].observe(total)
        for stage, ms in visit.times.items():
            if stage in histograms:
                histograms[stage].observe(ms / 1000)

    def render(self, samples: Samples) -> bytes:
        """All of them with `samples`, in Prometheus's text format 0.0.4. Reads files. May be
        called on another thread than the others, by one at a time.
        """
        requests: Dict[Labels, float] = {
            (label(mid), dialect, str(code)): count
            for (mid, dialect, code), count in dict(self._requests).items()
        }
        histograms: Dict[str, Dict[str, _Histogram]] = defaultdict(dict)
        for mid, stages in dict(self._stages).items():
            for stage, histogram in stages.items():
                histograms[f"edged_{stage}_seconds"][label(mid)] = histogram
        self._collected.samples = {**samples, "edged_requests_total": requests}
        self._collected.histograms = histograms
        return generate_latest(self._registry)


class _Histogram:
    """How many observations there were in each of `_BUCKETS` and beyond, and their sum."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * len(_BOUNDS)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(_BUCKETS, seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, mid: str) -> None:
        family.add_metric([mid], list(zip(_BOUNDS, accumulate(self._counts))), self._sum)


def _of_each_stage() -> Dict[str, _Histogram]:
    return {stage: _Histogram() for stage in _STAGES}


class _Collected(Collector):
    """What the registry is told of METRICS, in their order."""

    def __init__(self) -> None:
        self.samples: Samples = {}
        self.histograms: Mapping[str, Mapping[str, _Histogram]] = {}

    def collect(self) -> Iterator[_Family]:
        for metric in METRICS:
            family = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
            if isinstance(family, HistogramMetricFamily):
                for mid, histogram in self.histograms.get(metric.name, {}).items():
                    histogram.add_to(family, mid)
            else:
                for labels, value in self.samples.get(metric.name, {}).items():
                    family.add_metric(labels, value)
            yield family


_Family = Union[CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily]
_FAMILIES: Dict[str, Type[_Family]] = {
    "counter": CounterMetricFamily,
    "histogram": HistogramMetricFamily,
    "sampled counter": CounterMetricFamily,
    "sampled gauge": GaugeMetricFamily,
}


def label(mid: Optional[int]) -> str:
    """A model's as the value of a label; empty for a folder that has none."""
    return "" if mid is None else str(mid)
