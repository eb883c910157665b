"""Capacities: the ratios of the targets, and the grid of everyone with everything."""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from typing import Callable, Dict, List, NamedTuple, Sequence, Tuple

from scripts.bench_parts import wrk
from scripts.bench_parts.contenders import Field, Loop, check_answers
from scripts.bench_parts.lab import ROOT, Lab
from scripts.bench_parts.messages import edged_message
from scripts.bench_parts.models import Instance, folder_of, models_folder, spec_of
from scripts.bench_parts.names import APART, BARE, EDGED, EVERYONE, LIMITS, MOBILENET, PICODET
from scripts.bench_parts.pictures import picture
from scripts.bench_parts.rounds import Series, best, interleave, ratios, spread
from scripts.bench_parts.servers import Server, start_edged
from scripts.bench_parts.targets import RATIOS, Outcome, Ratio

CONNECTIONS = 4
GRID_CONNECTIONS = (1, 4, 16, 64)
GRID_PICTURES = ("480p", "720p", "1080p", "2160p")

Say = Callable[[str], None]


class Cell(NamedTuple):
    """Pictures a second of one contender, round by round."""

    model: str
    picture: str
    connections: int
    contender: str
    rates: Series


def measure_ratios(
    lab: Lab, targets: Sequence[str], say: Say, beside: Sequence[str]
) -> Tuple[Dict[str, Outcome], List[Cell]]:
    """The `targets`, all of RATIOS. Contenders that several ask for are measured once, and those
    `beside` them for comparison.
    """
    outcomes: Dict[str, Outcome] = {}
    cells: List[Cell] = []
    for model in (MOBILENET, PICODET):
        wanted = {name: RATIOS[name] for name in targets if RATIOS[name].model == model}
        with Field(lab, model) as field:
            for shown in dict.fromkeys(ratio.picture for ratio in wanted.values()):
                here = {name: one for name, one in wanted.items() if one.picture == shown}
                exact = {name: one for name, one in here.items() if not one.scaled}
                if exact:
                    rivals = dict.fromkeys(rival for one in exact.values() for rival in one.under)
                    names = EDGED[0], *beside, *rivals
                    found = _cells(lab, field, model, shown, names, (CONNECTIONS,), say)
                    cells += found
                    series = {cell.contender: cell.rates for cell in found}
                    outcomes.update({name: _outcome(series, one) for name, one in exact.items()})
                for name in here.keys() - exact.keys():
                    outcomes[name] = _scaled(lab, field, here[name], say)
    return outcomes, cells


def measure_grid(lab: Lab, say: Say) -> List[Cell]:
    """Everyone, with both models, all pictures, at every concurrency."""
    cells: List[Cell] = []
    for model in (MOBILENET, PICODET):
        with Field(lab, model) as field:
            for shown in GRID_PICTURES:
                cells += _cells(lab, field, model, shown, EVERYONE, GRID_CONNECTIONS, say)
    return cells


def _cells(
    lab: Lab,
    field: Field,
    model: str,
    shown: str,
    names: Sequence[str],
    connections: Sequence[int],
    say: Say,
) -> List[Cell]:
    jpeg = picture(lab, shown)
    contenders = {name: field.get(name, jpeg) for name in names}
    check_answers(contenders, jpeg)
    for name in names:
        contenders[name].rate(jpeg, CONNECTIONS, 1)  # warm
    cells = []
    for count in connections:
        say(f"{model}, {shown}, {count} connections: {', '.join(names)}")
        series = interleave(
            names,
            lab.rounds,
            lambda name, count=count: contenders[name].rate(jpeg, count, lab.seconds),  # type: ignore[misc]
        )
        cells += [Cell(model, shown, count, name, rates) for name, rates in series.items()]
    return cells


def _outcome(series: Dict[str, Series], ratio: Ratio) -> Outcome:
    rival = best(series, ratio.under)
    found = spread(ratios(series[EDGED[0]], series[rival]))
    bare = statistics.median(ratios(series[APART], series[rival])) if APART in series else None
    shown = [name for name in (EDGED[0], *BARE, *ratio.under) if name in series]
    rates = {name: statistics.median(series[name]) for name in shown}
    note = ", ".join(f"{name} {rate:.1f}" for name, rate in rates.items())
    return Outcome(*found, note=f"{note} pictures/s", bare=bare)


def _scaled(lab: Lab, field: Field, ratio: Ratio, say: Say) -> Outcome:
    jpeg = picture(lab, ratio.picture)
    models = models_folder(lab, [Instance(ratio.model, {"decode": "scaled"})])
    try:
        spec_of(next(models.iterdir()))
    except RuntimeError as reason:
        return Outcome(None, note=f"scaled decoding is not served: {reason}")
    message = edged_message(lab, jpeg, "binary")
    (rival,) = ratio.under
    with start_edged(lab, models) as server:
        say(f"{ratio.model}, {ratio.picture}: edged with scaled decoding, {rival}")
        other = field.get(rival, jpeg)
        series = interleave(
            ("edged scaled", rival),
            lab.rounds,
            lambda name: (
                other.rate(jpeg, CONNECTIONS, lab.seconds)
                if name == rival
                else wrk.load(server.url, message, CONNECTIONS, lab.seconds).rate
            ),
        )
    found = spread(ratios(series["edged scaled"], series[rival]))
    rates = ", ".join(f"{name} {statistics.median(told):.1f}" for name, told in series.items())
    return Outcome(*found, note=f"{rates} pictures/s")


def overlap(lab: Lab, say: Say) -> Dict[str, Outcome]:
    """One worker on all the cores, with and without decoding ahead; and so the limit's loop."""
    jpeg = picture(lab, "1080p")
    message = edged_message(lab, jpeg, "binary")
    models = models_folder(lab, [Instance(MOBILENET, {"instances": 1})])
    serial = {"PYTHONPATH": f"{ROOT / 'scripts' / 'bench_parts' / 'serial'}:{ROOT}"}
    with ExitStack() as stack:
        servers = {
            "ahead": stack.enter_context(start_edged(lab, models)),
            "serial": stack.enter_context(start_edged(lab, models, more=serial)),
        }
        loops = {}
        for name in LIMITS:
            how = name.partition(" ")[2]
            loops[name] = Loop(lab, "limit", how, folder_of(lab, MOBILENET), 1)
            stack.callback(loops[name].close)
        say("one worker, 1080p: decoding ahead, and without; one loop so")

        def rate(name: str) -> float:
            if name in loops:
                return loops[name].rate(jpeg, 1, lab.seconds)
            return wrk.load(servers[name].url, message, CONNECTIONS, lab.seconds).rate

        series = interleave([*servers, *loops], lab.rounds, rate)
    found = spread(ratios(series["ahead"], series["serial"]))
    bare = statistics.median(ratios(series["limit overlapped"], series["limit serial"]))
    rates = ", ".join(f"{name} {statistics.median(told):.1f}" for name, told in series.items())
    return {"overlap_1080p": Outcome(*found, note=f"{rates} pictures/s", bare=bare)}


def rate_of(lab: Lab, server: Server, shown: str) -> float:
    """edged's capacity for a moment, binary."""
    message = edged_message(lab, picture(lab, shown), "binary")
    return wrk.load(server.url, message, CONNECTIONS, lab.seconds).rate
