"""Speed and memory of the engines on this machine, as a table.

    .venv/bin/python scripts/measure_engines.py [MODELS ...]

Each model in each of the folders MODELS (default: the models/ of this folder) is served by
each engine that is installed, one worker with one thread, and asked for its sample.jpg again
and again; one without a sample is left out.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Dict, List, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
ENGINES = ("paddlelite", "paddle")
WARM_UP, COUNTED = 5, 40


class Figures(NamedTuple):
    """Milliseconds of a whole request, its median; MB of PSS."""

    model: str
    engine: str
    request: float
    worker: float
    fork_server: float


def pss(pid: int) -> float:
    """The proportional set size in MB: shared pages count in parts."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[0]) / 1024


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def post(url: str, picture: bytes) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    with urllib.request.urlopen(urllib.request.Request(url, picture)) as answer:
        answer.read()
    return (time.perf_counter() - began) * 1000


def measure(models: Path, engine: str, state: str) -> List[Figures]:
    command = [sys.executable, "-m", "edged", "serve", f"--engine={engine}"]
    command += ["--listen=127.0.0.1:0", "--log-level=warning"]
    command += [f"--models={models}", f"--state={state}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        try:
            assert daemon.stdout is not None
            url = daemon.stdout.readline().split()[-1]
            with urllib.request.urlopen(f"{url}/api/models") as answer:
                found = json.load(answer)["data"]
            ready = [model for model in found if model["state"] == "ready"]
            return [measure_model(url, models, model) for model in ready]
        finally:
            daemon.terminate()


def one_by_one(models: Path, to: Path) -> Path:
    """A copy of the models that have a sample, with one worker and one thread each."""
    for sample in models.glob("*/sample.jpg"):
        folder = to / sample.parent.name
        shutil.copytree(sample.parent, folder)
        with open(folder / "model.yaml", "a", encoding="utf-8") as description:
            description.write("\ninstances: 1\nthreads: 1\n")
    return to


def measure_model(url: str, models: Path, model: Dict[str, object]) -> Figures:
    (sample,) = models.glob(f"*{model['name']}/sample.jpg")
    picture = sample.read_bytes()
    target = f"{url}/api/model/service/binary?mid={model['mid']}"
    times = [post(target, picture) for _ in range(WARM_UP + COUNTED)][WARM_UP:]
    (worker, *_) = model["workers"]  # type: ignore[misc]
    request = statistics.median(times)
    return Figures(
        str(model["name"]), str(model["engine"]), request, pss(worker), pss(parent(worker))
    )


def main() -> None:
    folders = [Path(argument) for argument in sys.argv[1:]] or [ROOT / "models"]
    print("| model | engine | ms a request | MB a worker | MB fork server |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        state = f"{scratch}/state"
        for number, folder in enumerate(folders):
            models = one_by_one(folder, Path(scratch, str(number)))
            if not models.exists():
                sys.exit(f"no model in {folder} has a sample.jpg")
            for engine in ENGINES:
                if importlib.util.find_spec(engine) is None:
                    continue
                for row in measure(models, engine, state):
                    print(
                        f"| {row.model} | {row.engine} | {row.request:.1f} "
                        f"| {row.worker:.0f} | {row.fork_server:.0f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
