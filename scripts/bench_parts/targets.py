"""The targets: each with its name, its bound, and what is measured for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Tuple

from scripts.bench_parts.names import LIMITS, MOBILENET, NAIVE_PEERS, OWN_PEERS, PICODET


@dataclass(frozen=True)
class Target:
    """Met at `bound` or better: at most that with `lower`, else at least."""

    name: str
    bound: float
    unit: str
    what: str
    lower: bool = False

    def met(self, value: float) -> bool:
        return value <= self.bound if self.lower else value >= self.bound

    @property
    def bound_text(self) -> str:
        return f"{'≤' if self.lower else '≥'} {self.bound:g}{' ' + self.unit if self.unit else ''}"


@dataclass(frozen=True)
class Ratio:
    """edged's capacity over that of the best of `under`, at concurrency 4."""

    model: str
    picture: str
    under: Tuple[str, ...]
    scaled: bool = False


_RATIOS: Dict[str, Tuple[float, str, Ratio]] = {
    "edged_naive_720p": (1.1, "naive", Ratio(MOBILENET, "720p", ("naive",))),
    "edged_naive_1080p": (1.4, "naive", Ratio(MOBILENET, "1080p", ("naive",))),
    "scaled_naive_2160p": (
        2.2,
        "naive, with `decode: scaled`",
        Ratio(MOBILENET, "2160p", ("naive",), scaled=True),
    ),
    "edged_limit_720p": (0.92, "limit", Ratio(MOBILENET, "720p", LIMITS)),
    "edged_limit_1080p": (0.92, "limit", Ratio(MOBILENET, "1080p", LIMITS)),
    "edged_limit_720p_picodet": (
        0.97,
        "limit, PicoDet",
        Ratio(PICODET, "720p", LIMITS),
    ),
    "edged_limit_1080p_picodet": (
        0.97,
        "limit, PicoDet",
        Ratio(PICODET, "1080p", LIMITS),
    ),
    "edged_peer_720p": (1.5, "best peer, naive inside", Ratio(MOBILENET, "720p", NAIVE_PEERS)),
    "edged_peer_1080p": (2.0, "best peer, naive inside", Ratio(MOBILENET, "1080p", NAIVE_PEERS)),
    "edged_own_peer_720p": (
        1.25,
        "best peer, edged's decode and preprocess inside",
        Ratio(MOBILENET, "720p", OWN_PEERS),
    ),
    "edged_own_peer_1080p": (
        1.25,
        "best peer, edged's decode and preprocess inside",
        Ratio(MOBILENET, "1080p", OWN_PEERS),
    ),
}

RATIOS: Dict[str, Ratio] = {name: ratio for name, (_, _, ratio) in _RATIOS.items()}

TARGETS: Dict[str, Target] = {
    target.name: target
    for target in (
        *(
            Target(name, bound, "", f"capacity at {ratio.picture}: edged / {under}")
            for name, (bound, under, ratio) in _RATIOS.items()
        ),
        Target(
            "overlap_1080p",
            1.4,
            "",
            "one worker on two cores, capacity at 1080p: edged / the same without decoding ahead",
        ),
        Target(
            "added_latency_binary",
            1.0,
            "ms",
            "concurrency 1, 200 KB: median latency, binary - median of the limit's call",
            lower=True,
        ),
        Target(
            "added_latency_base64", 1.5, "ms", "the same with the picture in base64", lower=True
        ),
        Target(
            "tail_70",
            2.0,
            "",
            "evenly spaced arrivals at 70 % of capacity, 1080p: p99 / p50 of the latency",
            lower=True,
        ),
        Target(
            "overload_goodput",
            0.95,
            "",
            "evenly spaced arrivals at 3 × capacity, 1080p: good answers a second / capacity",
        ),
        Target(
            "overload_refusal_p99", 20.0, "ms", "the same load: p99 of the refusals", lower=True
        ),
        Target(
            "overload_refused_early",
            0.95,
            "",
            "the same load: of the refused requests that held their body back, those refused "
            "without it",
        ),
        Target(
            "three_models_cpu",
            0.95,
            "",
            "two MobileNetV3-S and PicoDet in one 1080p multipart: CPU time / sum of the three "
            "alone",
            lower=True,
        ),
        Target(
            "show_1080p",
            1.15,
            "",
            "concurrency 1, 1080p: time that show=1 adds / draw and encode alone",
            lower=True,
        ),
        Target("worker_pss", 22.0, "MB", "PSS of an extra worker beyond the weights", lower=True),
        Target("daemon_pss", 45.0, "MB", "PSS of the daemon process alone, idle", lower=True),
        Target(
            "serve_to_ready",
            1.2,
            "s",
            "`edged serve` to its announcement: 3 demo models, conversions cached",
            lower=True,
        ),
        Target(
            "worker_restart",
            120.0,
            "ms",
            "one worker, killed: the next answer's latency - the usual one",
            lower=True,
        ),
        Target(
            "idle_connections",
            0.97,
            "",
            "capacity at 720p: with 1,000 idle keep-alive connections / without",
        ),
        Target(
            "registered_32",
            0.97,
            "",
            "capacity of one model at 720p: 32 registered / 1 registered",
        ),
        Target(
            "registered_memory",
            1.1,
            "",
            "PSS a model, idle: 17th to 32nd / 2nd to 16th",
            lower=True,
        ),
        Target(
            "collect_720p",
            0.97,
            "",
            "capacity at 720p, another file each time: collecting 60 pictures a minute / without",
        ),
    )
}

QUICK: Tuple[str, ...] = ("edged_naive_720p", "edged_naive_1080p", "edged_limit_1080p")
# Under this share of its target a quick measurement fails: it is short, and noisy for it.
QUICK_SHARE = 0.9


@dataclass(frozen=True)
class Outcome:
    """`value` with the lowest and highest of its rounds; None with the reason it is missing.

    `bare` is what the same came to in the same rounds with as little around it as can be: for
    capacities and latencies of edged, aiohttp and processes with the model.
    """

    value: Optional[float]
    lowest: float = 0.0
    highest: float = 0.0
    note: str = ""
    bare: Optional[float] = None
