"""Much of something: models in one request, idle connections, registered models."""

from __future__ import annotations

import statistics
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List

from scripts.bench_parts import wrk
from scripts.bench_parts.capacity import CONNECTIONS, Say, rate_of
from scripts.bench_parts.lab import ROOT, Lab, environment
from scripts.bench_parts.messages import edged_message
from scripts.bench_parts.models import Instance, models_folder
from scripts.bench_parts.names import MOBILENET, PICODET
from scripts.bench_parts.pictures import picture
from scripts.bench_parts.processes import cpu_seconds, tree_pss
from scripts.bench_parts.rounds import Series, interleave, ratios, spread
from scripts.bench_parts.servers import Server, start_edged
from scripts.bench_parts.targets import Outcome

_IDLE_CONNECTIONS = 1000
_REGISTERED = (1, 16, 32)
_SETTLE_SECONDS = 1.0
_COLLECTED_A_MINUTE = 60


def three_models(lab: Lab, say: Say) -> Dict[str, Outcome]:
    """CPU time of the daemon and all below it for one answer, client not counted.

    Bare are workers that share nothing: the daemon's part is spent once, not thrice.
    """
    jpeg = picture(lab, "1080p")
    models = models_folder(lab, [Instance(MOBILENET), Instance(MOBILENET), Instance(PICODET)])
    messages = {
        "all three": edged_message(lab, jpeg, "multipart", (1, 2, 3)),
        **{f"mid {mid}": edged_message(lab, jpeg, "multipart", (mid,)) for mid in (1, 2, 3)},
    }
    daemons: Dict[str, Series] = {name: [] for name in messages}
    with start_edged(lab, models) as server:
        say("three models in one 1080p multipart, and each alone")

        def measure(name: str) -> float:
            pid = server.process.pid
            before = cpu_seconds(pid), cpu_seconds(pid, alone=True)
            done = wrk.load(server.url, messages[name], 1, lab.seconds)
            daemons[name].append((cpu_seconds(pid, alone=True) - before[1]) / done.answers)
            return (cpu_seconds(pid) - before[0]) / done.answers * 1000

        series = interleave(list(messages), lab.rounds, measure)
    singles = list(messages)[1:]
    alone = [sum(told) for told in zip(*(series[name] for name in singles))]
    saved = [1000 * (sum(told) - max(told)) for told in zip(*(daemons[name] for name in singles))]
    medians = {name: statistics.median(told) for name, told in series.items()}
    note = ", ".join(f"{name} {told:.1f}" for name, told in medians.items())
    return {
        "three_models_cpu": Outcome(
            *spread(ratios(series["all three"], alone)),
            note=f"{note} ms of CPU",
            bare=statistics.median(1 - part / whole for part, whole in zip(saved, alone)),
        )
    }


def idle_connections(lab: Lab, say: Say) -> Dict[str, Outcome]:
    models = models_folder(lab, [Instance(MOBILENET)])
    with start_edged(lab, models) as server:
        say(f"capacity at 720p with {_IDLE_CONNECTIONS} idle connections, and without")

        def rate(idle: int) -> float:
            if not idle:
                return rate_of(lab, server, "720p")
            with _held(lab, server, idle):
                return rate_of(lab, server, "720p")

        series = interleave((_IDLE_CONNECTIONS, 0), lab.rounds, rate)
    found = ratios(series[_IDLE_CONNECTIONS], series[0])
    return {"idle_connections": Outcome(*spread(found))}


@contextmanager
def _held(lab: Lab, server: Server, count: int) -> Iterator[None]:
    """Keeps `count` connections open that have had one answer each and want no other."""
    port = server.url.rpartition(":")[2]
    command = lab.module("idle", port, count)
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"ready\n":
            raise RuntimeError("the idle connections were not all accepted")
        yield


def registered(lab: Lab, say: Say) -> Dict[str, Outcome]:
    """The first model has a worker for each core, the others, never asked, have one."""
    say(f"{', '.join(map(str, _REGISTERED))} registered models")
    memory: Dict[int, float] = {}
    for count in _REGISTERED:
        with start_edged(lab, _many(lab, count)) as server:
            time.sleep(_SETTLE_SECONDS)
            memory[count] = tree_pss(server.process.pid)
    few, most = _REGISTERED[0], _REGISTERED[-1]
    with start_edged(lab, _many(lab, few)) as one, start_edged(lab, _many(lab, most)) as all_:
        servers = {few: one, most: all_}
        series = interleave(
            list(servers), lab.rounds, lambda count: rate_of(lab, servers[count], "720p")
        )
    note = ", ".join(f"{count} models {told:.0f}" for count, told in memory.items())
    growth = _growth(memory)
    return {
        "registered_32": Outcome(*spread(ratios(series[most], series[few]))),
        "registered_memory": Outcome(growth, growth, growth, note=f"{note} MB"),
    }


def collecting(lab: Lab, say: Say) -> Dict[str, Outcome]:
    """Every picture is another one, and wanted as long as the minute has room for it."""
    block = {"dataset": "bench", "per_minute": _COLLECTED_A_MINUTE, "total": 10_000_000}
    message = edged_message(lab, picture(lab, "720p"), "binary")
    plain = models_folder(lab, [Instance(MOBILENET)])
    collected = models_folder(lab, [Instance(MOBILENET, {"collect": block})])
    # The lab's own would fill up from run to run.
    state = lab.path("run", "collecting")
    with start_edged(lab, collected, state=state) as on, start_edged(lab, plain) as off:
        servers = {"collecting": on, "plain": off}
        say(f"capacity at 720p, collecting {_COLLECTED_A_MINUTE} a minute, and without")
        series = interleave(
            list(servers),
            lab.rounds,
            lambda name: (
                wrk.load(servers[name].url, message, CONNECTIONS, lab.seconds, distinct=True).rate
            ),
        )
    found = ratios(series["collecting"], series["plain"])
    return {"collect_720p": Outcome(*spread(found))}


def _many(lab: Lab, count: int) -> Path:
    asked = Instance(MOBILENET, {"instances": lab.cores})
    others: List[Instance] = [Instance(MOBILENET, {"instances": 1})] * (count - 1)
    return models_folder(lab, [asked, *others])


def _growth(memory: Dict[int, float]) -> float:
    """What a model of the second half adds, over what one of the first does."""
    few, half, most = _REGISTERED
    first = (memory[half] - memory[few]) / (half - few)
    second = (memory[most] - memory[half]) / (most - half)
    return second / first
