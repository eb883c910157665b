"""The servers under test: each started in a session of its own, and ended with all of it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, List, Mapping, Optional, Sequence

import msgspec

from scripts.bench_parts.answers import Answer
from scripts.bench_parts.lab import PACKAGE, ROOT, Lab, environment, free_port
from scripts.bench_parts.messages import Message, form, in_json, post, raw

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class Server:
    """A process and all that it starts. Use as a context, or `close` it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        log: Path,
        more: Optional[Mapping[str, str]] = None,
        cwd: Path = ROOT,
    ) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        with log.open("wb") as said:
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment(more),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, ask: Callable[[], object]) -> None:
        """Until `ask` raises no error any more. Raises RuntimeError when it always does."""
        end = time.monotonic() + _START_SECONDS
        reason: Exception = TimeoutError()
        while time.monotonic() < end and self.process.poll() is None:
            try:
                ask()
                return
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                reason = error
                time.sleep(0.2)
        raise RuntimeError(f"{self.name} did not come up ({reason}), see {self.log}")

    def close(self) -> None:
        """SIGTERM to the process that was started, SIGKILL to whatever of it is then left."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def edged_command(lab: Lab, models: Path, port: int, settings: Mapping[str, object]) -> List[str]:
    flags = [f"--{name}={value}" for name, value in settings.items()]
    fixed = [f"--listen=127.0.0.1:{port}", f"--models={models}", f"--state={lab.path('state')}"]
    return [lab.python("own"), "-m", "edged", "serve", *fixed, "--log-level=warning", *flags]


def start_edged(
    lab: Lab, models: Path, more: Optional[Mapping[str, str]] = None, **settings: object
) -> Server:
    """With all its models ready. `more` is for its environment."""
    port = free_port()
    command = edged_command(lab, models, port, settings)
    server = Server("edged", command, port, lab.path("logs", f"edged-{port}.log"), more)
    try:
        server.wait(lambda: _all_ready(server.url))
    except BaseException:
        server.close()
        raise
    return server


def _all_ready(url: str) -> None:
    with urllib.request.urlopen(f"{url}/readyz") as answer:
        readiness = msgspec.json.decode(answer.read())
    if not readiness["ready"] or readiness["failed"]:
        raise RuntimeError(f"not all models are ready: {readiness}")


class Peer:
    """How one of the other servers is started, asked and understood."""

    def __init__(
        self,
        name: str,
        command: Callable[[Lab, int, Path], Sequence[str]],
        message: Callable[[Lab, Path], Message],
        answer: Callable[[Any], Answer] = lambda document: document["answer"],
    ) -> None:
        self.name = name
        self._command = command
        self.message = message
        self.answer = answer

    def start(self, lab: Lab, function: str, model: Path, picture: Path) -> Server:
        """With `function` (of functions.py) inside, when it answers for `picture`."""
        port = free_port()
        folder = lab.path("run", f"{self.name}-{port}")
        folder.mkdir()
        command = self._command(lab, port, folder)
        more = {"BENCH_FUNCTION": function, "BENCH_MODEL": str(model)}
        log = lab.path("logs", f"{self.name}-{function}-{port}.log")
        server = Server(f"{self.name} {function}", command, port, log, more, folder)
        message = self.message(lab, picture)
        try:
            server.wait(lambda: post(server.url, message))
        except BaseException:
            server.close()
            raise
        return server


def _fastapi(lab: Lab, port: int, folder: Path) -> List[str]:
    app = f"{PACKAGE}.peers.fastapi_app:app"
    options = [f"--port={port}", f"--workers={lab.cores}", "--no-access-log", "--log-level=warning"]
    return [lab.python("fastapi"), "-m", "uvicorn", app, *options]


def _app(name: str, venv: str = "own") -> Callable[[Lab, int, Path], List[str]]:
    """A module of peers/ that takes a port and a number of cores."""
    return lambda lab, port, folder: lab.module(f"peers.{name}_app", port, lab.cores, venv=venv)


def _mlserver(lab: Lab, port: int, folder: Path) -> List[str]:
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": lab.cores,
        "debug": False,
    }
    model = {"name": "bench", "implementation": f"{PACKAGE}.peers.mlserver_app.Runtime"}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    return [str(Path(lab.python("mlserver")).with_name("mlserver")), "start", str(folder)]


def _bentoml(lab: Lab, port: int, folder: Path) -> List[str]:
    service = f"{PACKAGE}.peers.bentoml_app:Bench"
    options = ["--host=127.0.0.1", f"--port={port}", f"--working-dir={ROOT}"]
    return [lab.python("bentoml"), "-m", "bentoml", "serve", service, *options]


def _v2(text: str) -> object:
    """The inference protocol that MLServer speaks."""
    told = {"name": "picture", "shape": [1, 1], "datatype": "BYTES", "data": [text]}
    return {"inputs": [{**told, "parameters": {"content_type": "base64"}}]}


def _v2_answer(document: Any) -> Answer:
    (output,) = document["outputs"]
    rows, columns = output["shape"]
    flat: List[float] = output["data"]
    return [flat[row * columns : (row + 1) * columns] for row in range(rows)]


PEERS = (
    Peer("thin", _app("thin"), lambda lab, picture: raw(picture, "/predict")),
    Peer("apart", _app("apart"), lambda lab, picture: raw(picture, "/predict")),
    Peer("fastapi", _fastapi, lambda lab, picture: raw(picture, "/predict")),
    Peer(
        "litserve",
        _app("litserve", "litserve"),
        lambda lab, picture: form(lab, picture, "/predict", "picture", {}),
    ),
    Peer(
        "mlserver",
        _mlserver,
        lambda lab, picture: in_json(lab, picture, "/v2/models/bench/infer", _v2),
        _v2_answer,
    ),
    Peer("bentoml", _bentoml, lambda lab, picture: raw(picture, "/predict")),
)
