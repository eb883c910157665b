"""The outcome as JSON, as a table, and as the plot of the README."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Sequence

from scripts.bench_parts.capacity import Cell
from scripts.bench_parts.lab import Lab, machine
from scripts.bench_parts.models import detector_name
from scripts.bench_parts.names import PEERS, PICODET
from scripts.bench_parts.rounds import spread
from scripts.bench_parts.targets import TARGETS, Outcome

_VERSION = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"


def document(lab: Lab, outcomes: Dict[str, Outcome], cells: Sequence[Cell]) -> Dict[str, Any]:
    """All that was measured, and what a reader must know to repeat it."""
    return {
        "machine": machine(),
        "rounds": lab.rounds,
        "seconds": lab.seconds,
        "detector": detector_name(),
        "versions": {name: _version(lab, name) for name in PEERS if _made(lab, name)},
        "targets": [_target(name, outcome) for name, outcome in outcomes.items()],
        "capacities": [_capacity(cell) for cell in cells],
    }


def _target(name: str, outcome: Outcome) -> Dict[str, Any]:
    target = TARGETS[name]
    told: Dict[str, Any] = {"name": name, "target": target.bound_text, "what": target.what}
    if outcome.value is not None:
        told.update(value=outcome.value, lowest=outcome.lowest, highest=outcome.highest)
        told.update(met=target.met(outcome.value), bare=outcome.bare)
    return {**told, "note": outcome.note}


def _capacity(cell: Cell) -> Dict[str, Any]:
    return {**cell._asdict(), **spread(cell.rates)._asdict()}


def _made(lab: Lab, venv: str) -> bool:
    return lab.path("venvs", venv, "bench.stamp").exists()  # which scripts/bench writes last


def _version(lab: Lab, name: str) -> str:
    command = [lab.python(name), "-c", _VERSION, name]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def table(outcomes: Dict[str, Outcome]) -> str:
    """Markdown: a row for each target."""
    rows = [
        "| | target | measured | of the rounds | met | bare | |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, outcome in outcomes.items():
        target = TARGETS[name]
        if outcome.value is None:
            rows.append(f"| {name} | {target.bound_text} | - | | - | | {outcome.note} |")
            continue
        met = "yes" if target.met(outcome.value) else "**no**"
        bare = "" if outcome.bare is None else f"{outcome.bare:.2f}"
        rows.append(
            f"| {name} | {target.bound_text} | {outcome.value:.2f} "
            f"| {outcome.lowest:.2f} to {outcome.highest:.2f} | {met} | {bare} | {outcome.note} |"
        )
    return "\n".join(rows)


def grid_table(cells: Sequence[Cell]) -> str:
    """Markdown: pictures a second, a row for each contender, a column for each concurrency."""
    parts: List[str] = []
    for model, shown in dict.fromkeys((cell.model, cell.picture) for cell in cells):
        here = [cell for cell in cells if (cell.model, cell.picture) == (model, shown)]
        counts = list(dict.fromkeys(cell.connections for cell in here))
        name = detector_name() if model == PICODET else "MobileNetV3-S"
        parts.append(f"{name}, {shown}, pictures a second by concurrency\n")
        parts.append(f"| |{'|'.join(f' {count} ' for count in counts)}|")
        parts.append(f"|---|{'---|' * len(counts)}")
        for contender in dict.fromkeys(cell.contender for cell in here):
            rates = {
                cell.connections: spread(cell.rates).median
                for cell in here
                if cell.contender == contender
            }
            columns = " | ".join(f"{rates[count]:.1f}" for count in counts)
            parts.append(f"| {contender} | {columns} |")
        parts.append("")
    return "\n".join(parts)


def write(path: Path, told: Dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
