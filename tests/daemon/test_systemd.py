"""What the daemon tells systemd, read as systemd reads it; its units, as systemd judges them."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import pytest

from edged.config import load_settings
from edged.daemon.systemd import Systemd
from tests.daemon.test_listen import programs
from tests.support import DEMO_MODELS, ROOT, RunningDaemon, wait_for

Start = Callable[..., RunningDaemon]
UNITS = ROOT / "systemd"


class Listener:
    """Systemd's end of NOTIFY_SOCKET; `name` as the variable has it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self._socket.setblocking(False)
        self.said: List[str] = []

    def hears(self, word: str) -> bool:
        """Whether it was said by now."""
        while True:
            try:
                self.said.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return any(word in message.splitlines() for message in self.said)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["a file", "an abstract address"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    name = str(tmp_path / "notify") if request.param == "a file" else f"@edged-test-{os.getpid()}"
    listener = Listener(name)
    yield listener
    listener.close()


def test_from_the_start_to_the_end(start_small: Start, listener: Listener) -> None:
    environment = {"NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": "4000000"}
    daemon = start_small(wait=False, environment=environment)
    fork_server = wait_for(lambda: programs(daemon))[0]
    os.kill(fork_server, signal.SIGSTOP)
    wait_for(lambda: listener.hears("WATCHDOG=1"))
    assert not listener.hears("READY=1")
    assert listener.said[0] == "EXTEND_TIMEOUT_USEC=30000000"
    os.kill(fork_server, signal.SIGCONT)
    daemon.wait_loaded()
    assert listener.hears("READY=1")
    listener.said.clear()
    wait_for(lambda: listener.hears("WATCHDOG=1"))
    daemon.close()
    assert listener.hears("STOPPING=1")
    assert not any("EXTEND" in message for message in listener.said if "STOPPING" not in message)
    assert "EXTEND_TIMEOUT_USEC=40000000" in listener.said[-1]  # a deadline of 10 s, and 30


def test_what_stands_still_is_not_fed(start_small: Start, listener: Listener) -> None:
    environment = {"NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": "1000000"}
    daemon = start_small(environment=environment)
    os.kill(daemon.process.pid, signal.SIGSTOP)
    listener.hears("")
    listener.said.clear()
    time.sleep(2)
    assert not listener.hears("WATCHDOG=1")
    os.kill(daemon.process.pid, signal.SIGCONT)
    wait_for(lambda: listener.hears("WATCHDOG=1"))


def test_a_loop_that_turns_is_not_enough(listener: Listener) -> None:
    """The workers must have been looked at, since it was last fed."""
    variables = {"NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": "200000"}

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        swept = loop.time()
        feeding = loop.create_task(Systemd(dict(variables)).feed_watchdog(lambda: swept))
        await asyncio.sleep(0.5)
        assert not listener.hears("WATCHDOG=1")
        swept = loop.time()
        await asyncio.sleep(0.5)
        assert listener.hears("WATCHDOG=1")
        listener.said.clear()
        await asyncio.sleep(0.5)
        assert not listener.hears("WATCHDOG=1")
        feeding.cancel()

    asyncio.run(asyncio.wait_for(scenario(), 60))


@pytest.mark.parametrize("pid", ["1", "x"])
def test_the_watchdog_of_another_process_is_not_fed(listener: Listener, pid: str) -> None:
    variables = {"NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": "1", "WATCHDOG_PID": pid}
    loop_time = iter(range(10**9))
    asyncio.run(Systemd(variables).feed_watchdog(lambda: next(loop_time)))  # it ends at once
    assert variables == {}
    assert not listener.hears("WATCHDOG=1")


def test_a_reload_is_told_until_it_is_done(
    daemon: RunningDaemon, listener: Listener, models: Path
) -> None:
    shutil.copytree(models / "digits", models / "12-more", copy_function=renamed)
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: listener.hears("READY=1"))
    assert daemon.model(12)["state"] == "ready"
    began, *asked, done = listener.said
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=[1-9]\d*", began)
    assert set(asked) <= {"EXTEND_TIMEOUT_USEC=30000000"}
    assert done == "READY=1"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with the digits (mid 1)."""
    shutil.copytree(DEMO_MODELS / "digits", tmp_path / "models" / "digits")
    return tmp_path / "models"


@pytest.fixture
def daemon(start_daemon: Start, listener: Listener, models: Path) -> RunningDaemon:
    """It has said that it is ready, and nothing since."""
    daemon = start_daemon(models=models, environment={"NOTIFY_SOCKET": listener.name})
    assert listener.hears("READY=1")
    listener.said.clear()
    return daemon


def renamed(source: str, copy: str) -> None:
    """As `shutil.copy`, but for the mid and the name that a model.yaml says."""
    text = Path(source).read_bytes()
    if source.endswith("model.yaml"):
        text = re.sub(rb"(?m)^(mid|name): .*\n", b"", text)
    Path(copy).write_bytes(text)


def test_a_reload_that_fails_ends_too(
    daemon: RunningDaemon, listener: Listener, models: Path
) -> None:
    models.rename(models.with_name("elsewhere"))
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: listener.hears("READY=1"))
    assert "is not read again" in daemon.log()


def test_two_reloads_at_once_end_with_the_second(listener: Listener) -> None:
    async def scenario() -> None:
        systemd = Systemd({"NOTIFY_SOCKET": listener.name})
        systemd.ready()
        async with systemd.reloading():
            async with systemd.reloading():
                assert listener.hears("RELOADING=1")
                listener.said.clear()
            assert not listener.hears("READY=1")
        assert listener.hears("READY=1")

    asyncio.run(scenario())


def test_the_stop_of_the_daemon_is_not_taken_back_by_a_reload(listener: Listener) -> None:
    async def scenario() -> None:
        systemd = Systemd({"NOTIFY_SOCKET": listener.name})
        systemd.ready()
        async with systemd.reloading():
            systemd.stopping(1)
        assert listener.hears("STOPPING=1")
        assert listener.said[-1].startswith("STOPPING=1")

    asyncio.run(scenario())


def test_a_reload_before_it_is_ready(start_small: Start, listener: Listener) -> None:
    """It is read again, and the start neither ends nor is it said to be done."""
    daemon = start_small(wait=False, environment={"NOTIFY_SOCKET": listener.name})
    wait_for(lambda: is_caught(daemon.process.pid, signal.SIGTERM))
    daemon.process.send_signal(signal.SIGHUP)
    fork_server = wait_for(lambda: programs(daemon))[0]
    os.kill(fork_server, signal.SIGSTOP)
    daemon.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert daemon.process.poll() is None
    assert not listener.hears("READY=1")
    os.kill(fork_server, signal.SIGCONT)
    daemon.wait_loaded()
    assert listener.hears("READY=1")
    assert not listener.hears("RELOADING=1")


def is_caught(pid: int, number: int) -> bool:
    """Whether the process has a handler for the signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = re.findall(r"(?m)^SigCgt:\s+([0-9a-f]+)$", status)
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_when_nobody_listens_any_more_it_serves(start_small: Start, tmp_path: Path) -> None:
    daemon = start_small(environment={"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert daemon.request("GET", "/healthz").status == 200
    assert "systemd does not hear READY=1" in daemon.log()


# -- the units


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("there is no systemd-analyze")
    return found


def test_the_units_are_sound(analyze: str, tmp_path: Path) -> None:
    for name in ("edged.service", "edged.socket"):
        content = (UNITS / name).read_text()
        # What is not installed here would be found missing.
        there = re.sub(r"(?m)^ExecStart=.*", "ExecStart=/bin/true", content)
        (tmp_path / name).write_text(there)
    units = [str(tmp_path / name) for name in ("edged.service", "edged.socket")]
    done = subprocess.run([analyze, "verify", "--man=no", *units], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_is_confined(analyze: str) -> None:
    command = [
        analyze,
        "security",
        "--offline=true",
        "--threshold=20",
        str(UNITS / "edged.service"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze judges no file")
    assert done.returncode == 0, done.stdout[-200:]


def test_what_the_engines_need_is_left_to_them() -> None:
    settings = settings_of(UNITS / "edged.service")
    assert not {"MemoryDenyWriteExecute", "ProcSubset"} & set(settings)
    assert "@resources" not in settings["SystemCallFilter"]


def test_a_reload_by_systemd(start_daemon: Start, models: Path) -> None:
    """As it runs the command, on a machine with nothing but a shell."""
    command = shlex.split(settings_of(UNITS / "edged.service")["ExecReload"])
    daemon = start_daemon(models=models)
    shutil.copytree(models / "digits", models / "12-more", copy_function=renamed)
    subprocess.run(command, env={"MAINPID": str(daemon.process.pid), "PATH": ""}, check=True)
    wait_for(lambda: len(daemon.request("GET", "/api/models").json["data"]) == 2)


def settings_of(unit: Path) -> Dict[str, str]:
    """By name; those of a name that stands there more than once are joined."""
    settings: Dict[str, str] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE):
        settings[name] = f"{settings.get(name, '')} {value}".strip()
    return settings


def test_socket_configuration_and_setting_name_one_address() -> None:
    settings = load_settings(str(UNITS / "edged.yaml"), {}, {})
    (address,) = settings.listen
    assert settings_of(UNITS / "edged.socket")["ListenStream"] == str(address) == "0.0.0.0:9876"
    assert settings.wants_token is False
