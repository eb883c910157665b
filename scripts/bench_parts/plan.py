"""Which measurement answers which targets, and what it needs."""

from __future__ import annotations

import subprocess
from typing import Callable, Dict, List, NamedTuple, Sequence, Tuple

from scripts.bench_parts import capacity, footprint, latency, many
from scripts.bench_parts.capacity import Cell, Say
from scripts.bench_parts.lab import Lab
from scripts.bench_parts.names import BARE
from scripts.bench_parts.targets import RATIOS, Outcome

Measure = Callable[[Lab, Say], Dict[str, Outcome]]


class Measurement(NamedTuple):
    """`names` are the targets that `measure` answers, all of them at one go."""

    names: Tuple[str, ...]
    measure: Measure


MEASUREMENTS = (
    Measurement(("overlap_1080p",), capacity.overlap),
    Measurement(("added_latency_binary", "added_latency_base64"), latency.added),
    Measurement(("tail_70",), latency.tail),
    Measurement(
        ("overload_goodput", "overload_refusal_p99", "overload_refused_early"), latency.overload
    ),
    Measurement(("three_models_cpu",), many.three_models),
    Measurement(("show_1080p",), latency.show),
    Measurement(("worker_pss", "daemon_pss"), footprint.memory),
    Measurement(("serve_to_ready",), footprint.start),
    Measurement(("worker_restart",), footprint.restart),
    Measurement(("idle_connections",), many.idle_connections),
    Measurement(("registered_32", "registered_memory"), many.registered),
    Measurement(("collect_720p",), many.collecting),
)


def measure(
    lab: Lab, names: Sequence[str], say: Say, beside: Sequence[str] = BARE
) -> Tuple[Dict[str, Outcome], List[Cell]]:
    """The targets `names`, in their order, and the capacities that came with them."""
    wanted = [name for name in names if name in RATIOS]
    found, cells = capacity.measure_ratios(lab, wanted, say, beside)
    for measurement in MEASUREMENTS:
        if set(measurement.names) & set(names):
            found.update(_outcomes(measurement, lab, say))
    return {name: found[name] for name in names}, cells


def _outcomes(measurement: Measurement, lab: Lab, say: Say) -> Dict[str, Outcome]:
    """One that fails is told as such, and costs the others nothing."""
    try:
        return measurement.measure(lab, say)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        say(f"{', '.join(measurement.names)}: {error}")
        return dict.fromkeys(measurement.names, Outcome(None, note=str(error)))
