"""The command behind scripts/bench: which measurements, how long, and where they go."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Dict, List, Sequence

from scripts.bench_parts import plan, report
from scripts.bench_parts.capacity import measure_grid
from scripts.bench_parts.lab import Lab, bind
from scripts.bench_parts.models import needs_export
from scripts.bench_parts.names import EVERYONE, PEERS
from scripts.bench_parts.targets import QUICK, QUICK_SHARE, RATIOS, TARGETS, Outcome

_CORES = 2
_ROUNDS, _SECONDS = 7, 3
_QUICK_ROUNDS, _QUICK_SECONDS = 5, 2
_GRID_ROUNDS = 3


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures edged.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--only", nargs="+", metavar="NAME", choices=TARGETS, help="these targets")
    what.add_argument("--quick", action="store_true", help="three ratios as JSON, in two minutes")
    what.add_argument("--grid", action="store_true", help="everyone, with everything")
    what.add_argument("--list", action="store_true", help="the targets and their names")
    parser.add_argument("--rounds", type=int, help=f"default {_ROUNDS}, with --grid {_GRID_ROUNDS}")
    parser.add_argument("--seconds", type=int, help=f"of one cell; default {_SECONDS}")
    parser.add_argument("--cores", type=int, default=_CORES, help=f"default {_CORES}")
    parser.add_argument("--json", type=Path, help="default results.json in the lab's folder")
    parser.add_argument("--svg", type=Path, help="where the plot goes")
    parser.add_argument("--needs", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(given)


def _lab(options: argparse.Namespace) -> Lab:
    rounds, seconds = (_QUICK_ROUNDS, _QUICK_SECONDS) if options.quick else (_ROUNDS, _SECONDS)
    if options.grid:
        rounds = _GRID_ROUNDS
    return Lab(
        Path(os.environ["BENCH_DIR"]),
        rounds if options.rounds is None else options.rounds,
        seconds if options.seconds is None else options.seconds,
    )


def _names(options: argparse.Namespace) -> List[str]:
    if options.quick:
        return list(QUICK)
    return list(options.only or TARGETS)


def _needs(lab: Lab, options: argparse.Namespace) -> List[str]:
    """The venvs beside our own; scripts/bench makes them."""
    if options.list:
        return []
    rivals = set(EVERYONE) if options.grid else set()
    if not options.grid:
        rivals.update(*(RATIOS[name].under for name in _names(options) if name in RATIOS))
    kinds = {rival.partition(" ")[0] for rival in rivals}
    export = ["export"] if needs_export(lab) else []
    return [*export, *(peer for peer in PEERS if peer in kinds)]


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def _quick(lab: Lab) -> int:
    outcomes, _ = plan.measure(lab, QUICK, _say, beside=())
    values = {name: outcome.value or 0.0 for name, outcome in outcomes.items()}
    print(json.dumps({name: round(value, 3) for name, value in values.items()}))
    low = 0
    for name in QUICK:
        bound = TARGETS[name].bound
        short = values[name] < QUICK_SHARE * bound
        low += short
        told = f"{name}: {values[name]:.2f}, the target is {bound}"
        _say(f"{told}: under {QUICK_SHARE} of it" if short else told)
    return 1 if low else 0


def _all(lab: Lab, options: argparse.Namespace) -> int:
    outcomes: Dict[str, Outcome] = {}
    if options.grid:
        cells = measure_grid(lab, _say)
        print(report.grid_table(cells))
    else:
        outcomes, cells = plan.measure(lab, _names(options), _say)
        print(report.table(outcomes))
    told = report.document(lab, outcomes, cells)
    written = options.json or lab.path("results.json")
    report.write(written, told)
    _say(f"written to {written}")
    if options.svg:
        from scripts.bench_parts import plot  # it wants Matplotlib, which nothing else does

        plot.draw(told, options.svg)
    return 0


def main() -> int:
    options = _arguments(sys.argv[1:])
    bind(options.cores)
    lab = _lab(options)
    if options.needs:
        print(*_needs(lab, options))
        return 0
    if options.list:
        for target in TARGETS.values():
            print(f"{target.name}: {target.bound_text}: {target.what}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all servers are ended
    try:
        with lab.alone():
            return _quick(lab) if options.quick else _all(lab, options)
    except RuntimeError as error:
        _say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
