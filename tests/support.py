"""Helpers of the tests that are not fixtures."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Match, NamedTuple, Optional, Sequence

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT.parent / "shared" / "fixtures"
DEMO_MODELS = ROOT / "models"
LITE = importlib.util.find_spec("paddlelite") is not None
"""Whether Paddle Lite is installed."""

_START_SECONDS = 60.0

# Runs a command with descriptors from 3 on (sd_listen_fds(3)): those that its first argument names.
_AS_SYSTEMD = """
import fcntl, os, sys
passed = [int(text) for text in sys.argv[1].split(",")]
given = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 50) for descriptor in passed]
for descriptor in passed:
    os.close(descriptor)
for place, descriptor in enumerate(given, 3):
    os.dup2(descriptor, place)
    os.close(descriptor)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(given)))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Answer(NamedTuple):
    status: int
    headers: Dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RunningDaemon:
    """`edged serve` on a free port, as a process of its own. Keywords are its settings.

    `libraries` is a folder whose modules go before those that are installed. `stderr` is a
    descriptor in the place of the file that `log` reads. `held` are sockets that it gets as
    from systemd, `environment` what it has beside the test's own.
    """

    def __init__(
        self,
        wait: bool = True,
        libraries: Optional[Path] = None,
        stderr: int = subprocess.STDOUT,
        held: Sequence[socket.socket] = (),
        environment: Optional[Mapping[str, str]] = None,
        **settings: object,
    ) -> None:
        self._log = tempfile.NamedTemporaryFile(prefix="edged-test-", suffix=".log")  # noqa: SIM115
        # Tests look for the line of each request.
        given = {"listen": "127.0.0.1:0", "log_rate": 100000, **settings}
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
        command = [sys.executable, "-m", "tests.guarded", "serve", *flags]
        descriptors = [one.fileno() for one in held]
        if held:
            command = [sys.executable, "-c", _AS_SYSTEMD, ",".join(map(str, descriptors)), *command]
        variables = {k: v for k, v in os.environ.items() if not k.startswith("EDGED_")}
        variables.update(environment or {}, PYTHONWARNINGS="error")
        if libraries is not None:
            variables["PYTHONPATH"] = str(libraries)
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=self._log,
            stderr=stderr,
            env=variables,
            pass_fds=descriptors,
        )
        self.port = 0
        if wait:
            try:
                self.wait_loaded()
            except AssertionError:
                self.close()
                raise

    def wait_loaded(self) -> None:
        """Until every model is ready or failed, as the daemon itself announces."""
        self.port = int(wait_for(self._announced).group(1))

    def _announced(self) -> Optional[Match[str]]:
        found = re.search(r"on http://[^:]+:(\d+)", self.log())
        if found is None and self.process.poll() is not None:
            raise AssertionError(f"the daemon ended at once:\n{self.log()}")
        return found

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        return Path(self._log.name).read_text(errors="replace")

    def complaints(self, since: int = 0) -> List[str]:
        """The log's lines behind so many characters, but for those about requests."""
        lines = self.log()[since:].splitlines()
        return [line for line in lines if " INFO edged.requests: " not in line]

    def request(
        self,
        method: str,
        path: str,
        body: Optional[bytes] = None,
        headers: Optional[Dict[str, str]] = None,
        timeout: float = 60.0,
    ) -> Answer:
        """One request on a connection of its own; nothing is added to `headers` but Host and
        Content-Length."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            content = response.read()
            return Answer(
                response.status, {k.lower(): v for k, v in response.getheaders()}, content
            )
        finally:
            connection.close()

    def post(self, path: str, body: bytes, headers: Optional[Dict[str, str]] = None) -> Answer:
        return self.request("POST", path, body, headers)

    def model(self, mid: int) -> Dict[str, Any]:
        """The entry of a model in `/api/models`: `state`, `workers` (pids), `counters` ..."""
        models: List[Dict[str, Any]] = self.request("GET", "/api/models").json["data"]
        return next(model for model in models if model["mid"] == mid)

    def children(self) -> List[int]:
        """All processes below the daemon: the fork server and its workers."""
        return descendants(self.process.pid)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        self._log.close()

    def __enter__(self) -> RunningDaemon:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def wait_for(condition: Callable[[], Any], seconds: float = _START_SECONDS) -> Any:
    """What `condition` gives as soon as that is true. AssertionError when it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {condition}")


def descendants(pid: int) -> List[int]:
    found = []
    for entry in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
            for child in entry.read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
