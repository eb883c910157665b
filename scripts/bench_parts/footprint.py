"""What edged costs where nobody asks it anything: memory, and the time to be there."""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Dict, List

import msgspec
import yaml

from scripts.bench_parts.capacity import Say
from scripts.bench_parts.lab import ROOT, Lab, environment, free_port
from scripts.bench_parts.messages import edged_message, post
from scripts.bench_parts.models import Instance, folder_of, models_folder
from scripts.bench_parts.names import MOBILENET
from scripts.bench_parts.pictures import picture
from scripts.bench_parts.processes import pss, tree_pss
from scripts.bench_parts.rounds import Series, interleave, spread
from scripts.bench_parts.servers import Server, edged_command, start_edged
from scripts.bench_parts.targets import Outcome

_FEW, _MANY = 1, 3
_DEMO_MODELS = 3
_USUAL = 9
_SETTLE_SECONDS = 1.0


def workers(url: str, mid: int = 1) -> List[int]:
    """Process ids of a model's workers."""
    with urllib.request.urlopen(f"{url}/api/models") as answer:
        models: List[Dict[str, Any]] = msgspec.json.decode(answer.read())["data"]
    found: List[int] = next(model["workers"] for model in models if model["mid"] == mid)
    return found


def memory(lab: Lab, say: Say) -> Dict[str, Outcome]:
    """A worker is the difference that two more of them make to the whole."""
    weights = (folder_of(lab, MOBILENET) / "model.nb").stat().st_size / (1 << 20)
    daemon: Series = []

    def whole(instances: int) -> float:
        models = models_folder(lab, [Instance(MOBILENET, {"instances": instances})])
        with start_edged(lab, models) as server:
            time.sleep(_SETTLE_SECONDS)
            daemon.append(pss(server.process.pid))
            return tree_pss(server.process.pid)

    say(f"memory with {_FEW} and {_MANY} workers")
    series = interleave((_FEW, _MANY), lab.rounds, whole)
    extra = [
        (many - few) / (_MANY - _FEW) - weights for few, many in zip(series[_FEW], series[_MANY])
    ]
    return {
        "worker_pss": Outcome(*spread(extra), note=f"weights {weights:.1f} MB"),
        "daemon_pss": Outcome(*spread(daemon)),
    }


def demo_models(lab: Lab) -> Path:
    """Three of the demo models; where there are fewer, the first once more as another."""
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=lab.path("run", "x").parent))
    there = sorted(path.parent for path in (ROOT / "models").glob("*/model.yaml"))
    for mid in range(1, _DEMO_MODELS + 1):
        made = folder / f"model-{mid}"
        shutil.copytree(there[(mid - 1) % len(there)], made)
        document = yaml.safe_load((made / "model.yaml").read_text())
        document.update({"mid": mid, "name": f"model-{mid}"})
        (made / "model.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return folder


def start(lab: Lab, say: Say) -> Dict[str, Outcome]:
    """From the command to the line that says what is served; the first start is not counted."""
    say("edged serve to ready, 3 demo models")
    models = demo_models(lab)
    spent = [_start_seconds(lab, models) for _ in range(lab.rounds + 1)]
    return {"serve_to_ready": Outcome(*spread(spent[1:]))}


def _start_seconds(lab: Lab, models: Path) -> float:
    port = free_port()
    command = edged_command(lab, models, port, {})
    began = time.perf_counter()
    with lab.path("logs", "start.log").open("wb") as said, subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=said
    ) as daemon:
        try:
            assert daemon.stdout is not None
            if not daemon.stdout.readline():
                raise RuntimeError(f"edged did not start, see {said.name}")
            took = time.perf_counter() - began
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
                readiness = msgspec.json.decode(answer.read())
            if readiness["failed"]:
                raise RuntimeError(f"not all demo models are served: {readiness}")
            return took
        finally:
            daemon.terminate()


def restart(lab: Lab, say: Say) -> Dict[str, Outcome]:
    """The only worker is killed: how much longer the next answer takes than usual."""
    say("restart of a killed worker")
    message = edged_message(lab, picture(lab, "480p"), "binary")
    models = models_folder(lab, [Instance(MOBILENET, {"instances": 1})])
    spent: Series = []
    with start_edged(lab, models) as server:
        for _ in range(lab.rounds):
            usual = statistics.median(_post_ms(server, message) for _ in range(_USUAL))
            (worker,) = workers(server.url)
            os.kill(worker, signal.SIGKILL)
            spent.append(_post_ms(server, message) - usual)
    return {"worker_restart": Outcome(*spread(spent))}


def _post_ms(server: Server, message: Any) -> float:
    began = time.perf_counter()
    post(server.url, message)
    return (time.perf_counter() - began) * 1000
