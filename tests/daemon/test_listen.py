"""Where the daemon listens: several addresses, Unix sockets, and sockets that systemd holds."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Callable, Iterator, List

import pytest

from tests.daemon.contract import BINARY
from tests.support import DEMO_MODELS, RunningDaemon, wait_for

Start = Callable[..., RunningDaemon]
SAMPLE = (DEMO_MODELS / "digits" / "sample.jpg").read_bytes()


def ask(where: socket.socket, path: str = "/healthz", body: bytes = b"") -> None:
    method = "POST" if body else "GET"
    head = f"{method} {path} HTTP/1.1\r\nHost: board\r\nConnection: close\r\n"
    where.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def status(where: socket.socket) -> int:
    """Of the answer, which is read to its end."""
    content = where.makefile("rb").read()
    return int(content.split()[1]) if content else 0


def unix(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(60)
    client.connect(str(path))
    return client


def healthy(client: socket.socket) -> bool:
    with client:
        ask(client)
        return status(client) == 200


@pytest.fixture
def held() -> Iterator[socket.socket]:
    """As systemd opens one: it listens, and nobody accepts yet."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address(server: socket.socket) -> str:
    host, port = server.getsockname()[:2]
    return f"{host}:{port}"


def connect(server: socket.socket) -> socket.socket:
    return socket.create_connection(server.getsockname()[:2], timeout=120)


def test_every_address_is_served_and_named(start_small: Start, tmp_path: Path) -> None:
    file = tmp_path / "edged.sock"
    daemon = start_small(listen=f"127.0.0.1:0 unix:{file} [::1]:0")
    named = next(line for line in daemon.log().splitlines() if line.startswith("edged "))
    assert named.endswith(f", unix:{file}, http://[::1]:{named.rsplit(':', 1)[1]}")
    assert f"serving at {named.split(' on ')[1]}." in daemon.log()
    assert daemon.request("GET", "/healthz").status == 200
    assert healthy(unix(file))
    assert healthy(socket.create_connection(("::1", int(named.rsplit(":", 1)[1])), timeout=60))


def test_a_unix_socket_is_for_user_and_group_and_goes_with_the_daemon(
    start_small: Start, tmp_path: Path
) -> None:
    file = tmp_path / "edged.sock"
    daemon = start_small(listen=f"127.0.0.1:0 unix:{file}")
    assert stat.S_IMODE(file.stat().st_mode) == 0o660
    daemon.close()
    assert not file.exists()


def test_the_curl_line_of_a_unix_socket_works(start_small: Start, tmp_path: Path) -> None:
    file = tmp_path / "it's.sock"
    daemon = start_small(listen=f"unix:{file}", wait=False)
    line = wait_for(lambda: next((s for s in daemon.log().splitlines() if "  curl" in s), ""))
    done = subprocess.run(line, shell=True, capture_output=True, timeout=60)
    assert b'"code":0' in done.stdout


def test_what_a_killed_daemon_left_is_replaced(start_small: Start, tmp_path: Path) -> None:
    file = tmp_path / "edged.sock"
    listen = f"127.0.0.1:0 unix:{file}"
    killed = start_small(listen=listen)
    killed.process.kill()
    killed.process.wait()
    assert file.exists()
    start_small(listen=listen)
    assert healthy(unix(file))


def test_a_unix_socket_that_is_in_use_is_left_alone(start_small: Start, tmp_path: Path) -> None:
    file = tmp_path / "edged.sock"
    start_small(listen=f"127.0.0.1:0 unix:{file}")
    second = start_small(listen=f"unix:{file}", wait=False)
    assert second.process.wait(60) == 1
    assert f"cannot listen on unix:{file}: Address already in use" in second.log()
    assert healthy(unix(file))


def test_one_whose_daemon_has_no_time_is_in_use_too(start_small: Start, tmp_path: Path) -> None:
    file = tmp_path / "edged.sock"
    with closing(socket.socket(socket.AF_UNIX)) as server, ExitStack() as waiting:
        server.bind(str(file))
        server.listen(0)
        with suppress(BlockingIOError):
            while True:
                client = waiting.enter_context(closing(socket.socket(socket.AF_UNIX)))
                client.setblocking(False)
                client.connect(str(file))
        second = start_small(listen=f"unix:{file}", wait=False)
        assert second.process.wait(60) == 1
        assert f"cannot listen on unix:{file}: " in second.log()
    assert file.exists()


def test_a_file_that_is_no_socket_is_left_alone(start_small: Start, tmp_path: Path) -> None:
    file = tmp_path / "edged.sock"
    file.write_text("mine")
    daemon = start_small(listen=f"unix:{file}", wait=False)
    assert daemon.process.wait(60) == 1
    assert "no socket" in daemon.log()
    assert file.read_text() == "mine"


def test_the_socket_of_another_daemon_is_not_removed(start_small: Start, tmp_path: Path) -> None:
    file = tmp_path / "edged.sock"
    first = start_small(listen=f"127.0.0.1:0 unix:{file}")
    file.unlink()
    start_small(listen=f"127.0.0.1:0 unix:{file}")
    first.close()
    assert healthy(unix(file))


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:0 no.such.host.invalid:1", "127.0.0.1:0 192.0.2.7:1"]
)
def test_an_address_of_another_machine_is_named(start_small: Start, listen: str) -> None:
    daemon = start_small(listen=listen, auth="off", wait=False)
    assert daemon.process.wait(60) == 1
    assert f"cannot listen on {listen.split()[1]}: " in daemon.log()
    assert len(daemon.log().splitlines()) == 1


# -- what systemd holds


def test_whoever_connects_before_waits_until_models_are_loaded(
    start_small: Start, held: socket.socket
) -> None:
    with connect(held) as client:
        ask(client, f"{BINARY}?mid=1", SAMPLE)
        start_small(held=[held], listen=address(held), deadline=100)
        assert status(client) == 200


def test_no_longer_than_an_answer_may_take(start_small: Start, held: socket.socket) -> None:
    daemon = start_small(held=[held], listen=address(held), deadline=1, wait=False)
    fork_server = wait_for(lambda: programs(daemon))[0]
    os.kill(fork_server, signal.SIGSTOP)
    try:
        with connect(held) as client:
            ask(client, "/readyz")
            assert status(client) == 503
    finally:
        os.kill(fork_server, signal.SIGCONT)


def programs(daemon: RunningDaemon) -> List[int]:
    def is_program(pid: int) -> bool:
        return b"edged.worker.zygote" in Path(f"/proc/{pid}/cmdline").read_bytes()

    return [pid for pid in daemon.children() if is_program(pid)]


def test_it_outlives_the_daemon(start_small: Start, held: socket.socket, tmp_path: Path) -> None:
    """A Unix socket too, whose file is systemd's to remove; and another address beside."""
    file = tmp_path / "edged.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(file))
        other.listen()
        listen = f"127.0.0.1:0 unix:{file} {address(held)}"
        daemon = start_small(held=[held, other], listen=listen)
        assert healthy(connect(held))
        assert healthy(unix(file))
        daemon.close()
        waiting = [connect(held), unix(file)]
        for client in waiting:
            ask(client)
        start_small(held=[held, other], listen=listen)
        for client in waiting:
            assert status(client) == 200
            client.close()


def test_children_do_not_see_it(start_small: Start, held: socket.socket, tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "1000000"}
    daemon = start_small(held=[held], listen=address(held), environment=environment)
    for pid in daemon.children():
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        for name in (b"LISTEN_", b"NOTIFY_", b"WATCHDOG_"):
            assert not any(variable.startswith(name) for variable in variables)
        links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        assert f"socket:[{os.fstat(held.fileno()).st_ino}]" not in links


def test_one_that_listen_does_not_name_is_refused(start_small: Start, held: socket.socket) -> None:
    daemon = start_small(held=[held], wait=False)
    assert daemon.process.wait(60) == 1
    assert f"systemd passes a socket for {address(held)}" in daemon.log()
    assert "systemctl edit edged.socket" in daemon.log()
    assert len(daemon.log().splitlines()) == 1


def test_one_that_does_not_listen_is_refused(start_small: Start) -> None:
    with socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))
        daemon = start_small(held=[idle], listen=address(idle), wait=False)
        assert daemon.process.wait(60) == 1
    assert "descriptor 3 does not listen" in daemon.log()


def test_what_was_passed_to_another_process_is_not_taken(start_small: Start) -> None:
    daemon = start_small(environment={"LISTEN_PID": "1", "LISTEN_FDS": "1"})
    assert daemon.request("GET", "/healthz").status == 200
