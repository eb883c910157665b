"""Latencies: what the server adds, their tail under load, and what an overload does."""

from __future__ import annotations

import json
import statistics
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List

import msgspec

from scripts.bench_parts import wrk
from scripts.bench_parts.capacity import Say, rate_of
from scripts.bench_parts.contenders import Field, Http, Loop
from scripts.bench_parts.lab import ROOT, Lab, environment
from scripts.bench_parts.messages import Message, edged_message, edged_results, post, raw
from scripts.bench_parts.models import Instance, folder_of, models_folder
from scripts.bench_parts.names import APART, BARE, MOBILENET, THIN
from scripts.bench_parts.pictures import picture
from scripts.bench_parts.processes import cpu_seconds
from scripts.bench_parts.rounds import Series, interleave, percentile, spread
from scripts.bench_parts.servers import start_edged
from scripts.bench_parts.targets import Outcome

_TAIL_LOAD, _OVERLOAD = 0.7, 3.0
_PROBES = 20
_DRAWN = 80


def added(lab: Lab, say: Say) -> Dict[str, Outcome]:
    """Over the best serial call in the process, one client, 200 KB; by the bare servers too."""
    jpeg = picture(lab, "200KB")
    models = models_folder(lab, [Instance(MOBILENET)])
    with ExitStack() as stack:
        loop = Loop(lab, "limit", "serial", folder_of(lab, MOBILENET), 1)
        stack.callback(loop.close)
        field = stack.enter_context(Field(lab, MOBILENET))
        server = stack.enter_context(start_edged(lab, models))
        asked = {how: (server.url, edged_message(lab, jpeg, how)) for how in ("binary", "base64")}
        for name in BARE:
            bare = field.get(name, jpeg)
            assert isinstance(bare, Http)
            asked[name] = bare.server.url, bare.message(jpeg)
        say(f"latency at concurrency 1, 200 KB: the call in the process, {', '.join(asked)}")

        def measure(name: str) -> float:
            if name == "call":
                told: float = loop.order(jpeg, lab.seconds)[0]["median_ms"]
                return told
            return wrk.load(*asked[name], 1, lab.seconds).p50

        series = interleave(("call", *asked), lab.rounds, measure)
    least = statistics.median(_over_the_call(series, APART))
    return {
        f"added_latency_{how}": Outcome(
            *spread(_over_the_call(series, how)),
            note=", ".join(
                f"{name} {statistics.median(series[name]):.2f}" for name in (how, "call", *BARE)
            )
            + " ms",
            bare=least if how == "binary" else None,
        )
        for how in ("binary", "base64")
    }


def _over_the_call(series: Dict[str, Series], name: str) -> Series:
    return [one - other for one, other in zip(series[name], series["call"])]


def open_loop(lab: Lab, url: str, message: Message, rate: float, probes: int) -> Dict[str, Any]:
    """What the generator prints; see there."""
    target = [url + message.path, message.body, message.content_type]
    command = lab.module("open_loop", *target, rate, 2 * lab.seconds, probes)
    said = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    found: Dict[str, Any] = json.loads(said.stdout)
    if found["lost"] == found["sent"]:
        raise RuntimeError(f"the generator got no answer: {said.stderr[-1000:]}")
    return found


def tail(lab: Lab, say: Say) -> Dict[str, Outcome]:
    """70 % of the capacity that was measured right before, round by round."""
    message = edged_message(lab, picture(lab, "1080p"), "binary")
    models = models_folder(lab, [Instance(MOBILENET)])
    found: Series = []
    medians: Series = []
    with start_edged(lab, models) as server:
        say("tail of the latency at 70 % of capacity, 1080p")
        for _ in range(lab.rounds):
            capacity = rate_of(lab, server, "1080p")
            said = open_loop(lab, server.url, message, capacity * _TAIL_LOAD, 0)
            latencies: List[float] = said["latencies"].get("200", [])
            if said["lost"] or len(latencies) < said["sent"]:
                return {"tail_70": Outcome(None, note="not all were answered")}
            medians.append(percentile(latencies, 0.5))
            found.append(percentile(latencies, 0.99) / medians[-1])
    return {"tail_70": Outcome(*spread(found), note=f"p50 {statistics.median(medians):.1f} ms")}


def overload(lab: Lab, say: Say) -> Dict[str, Outcome]:
    """Three times the capacity that was measured right before.

    Bare is the share of the cores that client and daemon leave to the workers, over what they
    are left at the capacity.
    """
    message = edged_message(lab, picture(lab, "1080p"), "binary")
    models = models_folder(lab, [Instance(MOBILENET)])
    found: Dict[str, Series] = {name: [] for name in ("goodput", "refusals", "left", "client")}
    early, probed, lost = 0, 0, 0
    with start_edged(lab, models) as server:
        say("overload: 3 × capacity, 1080p")
        for _ in range(lab.rounds):
            spent = [cpu_seconds(server.process.pid, alone=True)]
            capacity = rate_of(lab, server, "1080p")
            spent.append(cpu_seconds(server.process.pid, alone=True))
            said = open_loop(lab, server.url, message, capacity * _OVERLOAD, _PROBES)
            spent.append(cpu_seconds(server.process.pid, alone=True))
            lost += said["lost"]
            found["goodput"].append(said["good"] / said["took"] / capacity)
            found["client"].append(said["cpu"] / said["took"] / lab.cores)
            before = 1 - (spent[1] - spent[0]) / lab.seconds / lab.cores
            daemon = (spent[2] - spent[1]) / said["took"] / lab.cores
            found["left"].append((1 - found["client"][-1] - daemon) / before)
            refused: List[float] = said["latencies"].get("429", [])
            if refused:
                found["refusals"].append(percentile(refused, 0.99))
            early, probed = early + said["refused_probes"][0], probed + said["refused_probes"][1]
    note = f"the client itself takes {statistics.median(found['client']):.0%} of the cores"
    note += f"; {lost} requests lost" if lost else ""
    nobody = Outcome(None, note="nobody was refused")
    return {
        "overload_goodput": Outcome(
            *spread(found["goodput"]), note=note, bare=statistics.median(found["left"])
        ),
        "overload_refusal_p99": Outcome(*spread(found["refusals"]))
        if found["refusals"]
        else nobody,
        "overload_refused_early": Outcome(
            early / probed, early / probed, early / probed, f"{early} of {probed}"
        )
        if probed
        else Outcome(None, note="no request that held its body back was refused"),
    }


def show(lab: Lab, say: Say) -> Dict[str, Outcome]:
    """What show=1 adds to a request, over drawing and encoding by themselves.

    Bare is what they add to a loop with the model, and the way of so many bytes more from a bare
    server.
    """
    jpeg = picture(lab, "1080p")
    plain, drawn = (edged_message(lab, jpeg, "binary", show=wish) for wish in (False, True))
    models = models_folder(lab, [Instance(MOBILENET)])
    found: Dict[str, Series] = {name: [] for name in ("added", "alone", "in_loop", "way")}
    with start_edged(lab, models) as server, Field(lab, MOBILENET) as field:
        answers = [post(server.url, message) for message in (plain, drawn)]
        thin = field.get(THIN, jpeg)
        assert isinstance(thin, Http)
        sizes = [len(msgspec.json.encode(answer)) for answer in answers]
        few, many = (raw(jpeg, f"/bytes?count={size}") for size in sizes)
        say("show=1 at 1080p: with, without, drawing alone and in a loop, the way alone")

        def longer(url: str, more: Message, less: Message) -> float:
            one, other = (wrk.load(url, message, 1, lab.seconds).p50 for message in (more, less))
            return one - other

        for _ in range(lab.rounds):
            found["added"].append(longer(server.url, drawn, plain))
            found["way"].append(longer(thin.server.url, many, few))
            for name, spent in _draw_alone(lab, jpeg, edged_results(answers[0])).items():
                found[name].append(spent)
    medians = {name: statistics.median(series) for name, series in found.items()}
    note = (
        "adds {added:.2f} ms, alone {alone:.2f} ms, in a loop {in_loop:.2f}, the way {way:.2f} ms"
    )
    return {
        "show_1080p": Outcome(
            *spread([one / other for one, other in zip(found["added"], found["alone"])]),
            note=note.format(**medians),
            bare=(medians["in_loop"] + medians["way"]) / medians["alone"],
        )
    }


def _draw_alone(lab: Lab, jpeg: Path, results: List[Dict[str, Any]]) -> Dict[str, float]:
    text = msgspec.json.encode(results).decode()
    said = subprocess.run(
        lab.module("draw", jpeg, folder_of(lab, MOBILENET), text, _DRAWN),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    spent: Dict[str, float] = json.loads(said.stdout.strip().rpartition("\n")[2])
    return spent
