"""Closed-loop load by wrk: as many requests under way as there are connections."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import List, NamedTuple

from scripts.bench_parts.lab import environment
from scripts.bench_parts.messages import Message

_LONGEST = 60
_SCRIPT = Path(__file__).with_name("post.lua")


class Load(NamedTuple):
    """`rate` is of the answers with status 200, a second; latencies are in milliseconds."""

    rate: float
    answers: int
    refused: int
    p50: float
    p99: float


def command(
    url: str, message: Message, connections: int, seconds: int, distinct: bool = False
) -> List[str]:
    options = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    arguments = [str(message.body), message.content_type, message.accept]
    arguments += ["distinct"] * distinct
    return [*options, "-s", str(_SCRIPT), url + message.path, "--", *arguments]


def load(
    url: str, message: Message, connections: int, seconds: int, distinct: bool = False
) -> Load:
    """For `seconds`, or longer where that is too short for a single answer. `distinct`: the
    message is a JPEG, and each request has another file of it.

    Raises RuntimeError when answers got lost, or none came in a minute.
    """
    told = command(url, message, connections, seconds, distinct)
    run = subprocess.run(told, capture_output=True, text=True, check=False, env=environment())
    last = run.stdout.strip().rpartition("\n")[2]
    if run.returncode != 0 or not last.startswith("{"):
        raise RuntimeError(f"wrk failed: {run.stderr or run.stdout}")
    said = json.loads(last)
    good = said["answers"] - said["refused"]
    if not (said["lost"] or good or said["refused"]) and seconds < _LONGEST:
        return load(url, message, connections, 2 * seconds, distinct)
    if said["lost"] or not good:
        raise RuntimeError(f"wrk on {url}{message.path}: {last}")
    took = said["microseconds"] / 1e6
    return Load(good / took, good, said["refused"], said["p50"] / 1000, said["p99"] / 1000)
