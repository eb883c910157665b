"""The fork server by itself: the daemon's side of its socket is in the test's hands."""

from __future__ import annotations

import array
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, List, NamedTuple

import pytest

from edged import wire
from tests.support import LITE, ROOT, alive, descendants, wait_for
from tests.worker.engines.conftest import Op, combined, options, spec_of, write_program

SECONDS = 30.0


class Worker(NamedTuple):
    pid: int
    channel: socket.socket
    words: int

    def receive(self) -> wire.FromWorker:
        lengths = wire.decode_lengths(self._exactly(wire.LENGTHS_SIZE))
        body = self._exactly(lengths[0])
        self._exactly(lengths[1])
        return wire.decode_from_worker(body)

    def _exactly(self, size: int) -> bytes:
        return self.channel.recv(size, socket.MSG_WAITALL) if size else b""

    def last_words(self) -> str:
        words = b""
        while select.select([self.words], [], [], SECONDS)[0]:
            chunk = os.read(self.words, 65536)
            if not chunk:
                break
            words += chunk
        return words.decode()


class Server:
    """A fork server, run by `code` where that is given."""

    def __init__(self, code: str = "from edged.worker.zygote import main; main()") -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(SECONDS)
        self._workers: List[Worker] = []
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )

    def spawn(self) -> Worker:
        self.control.send(wire.encode_packet(wire.Spawn(1, "")))
        packet, ancillary, _, _ = self.control.recvmsg(4096, socket.CMSG_SPACE(8))
        message = wire.decode_from_zygote(packet)
        assert isinstance(message, wire.Spawned)
        channel, words = array.array("i", ancillary[0][2])
        worker = Worker(message.pid, socket.socket(fileno=channel), words)
        self._workers.append(worker)
        worker.channel.settimeout(SECONDS)
        return worker

    def next_message(self) -> wire.FromZygote:
        return wire.decode_from_zygote(self.control.recv(4096))

    def close(self) -> None:
        self.control.close()
        for worker in self._workers:
            worker.channel.close()
            os.close(worker.words)
        assert self.process.wait(SECONDS) == 0


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def test_a_worker_ends_with_its_channel(server: Server) -> None:
    worker = server.spawn()
    assert descendants(server.process.pid) == [worker.pid]
    worker.channel.shutdown(socket.SHUT_RDWR)
    assert server.next_message() == wire.Exited(worker.pid, 0)
    assert worker.last_words() == ""


def test_a_kill(server: Server) -> None:
    """Only of its own children: another pid is not the worker's any more."""
    bystander, worker = subprocess.Popen(["sleep", "60"]), server.spawn()
    for pid in (bystander.pid, worker.pid):
        server.control.send(wire.encode_packet(wire.Kill(pid)))
    assert server.next_message() == wire.Exited(worker.pid, -signal.SIGKILL)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_worker_is_a_batch_process(server: Server) -> None:
    worker = server.spawn()
    wait_for(lambda: os.sched_getscheduler(worker.pid) == os.SCHED_BATCH)
    assert os.sched_getscheduler(server.process.pid) == os.SCHED_OTHER


@pytest.mark.parametrize("refused", ["sched_getscheduler", "sched_setscheduler"])
def test_a_worker_lives_where_it_may_not_have_a_scheduler(refused: str) -> None:
    """A sandbox says EPERM, musl ENOSYS, to the question already."""
    server = Server(
        "import os\n"
        "def refuse(*_):\n"
        "    raise PermissionError(1, 'Operation not permitted')\n"
        f"os.{refused} = refuse\n"
        "from edged.worker.zygote import main; main()"
    )
    worker = server.spawn()
    worker.channel.sendall(wire.encode(wire.LoadNothing(1 << 30)))
    assert worker.receive() == wire.Loaded()
    server.close()


def test_many_die_at_once(server: Server) -> None:
    pids = [server.spawn().pid for _ in range(10)]
    for pid in pids:
        os.kill(pid, signal.SIGSEGV)
    exits = [server.next_message() for _ in pids]
    assert sorted(exits, key=str) == sorted(
        (wire.Exited(pid, -signal.SIGSEGV) for pid in pids), key=str
    )


def test_it_holds_nothing_of_its_workers(server: Server) -> None:
    """Or a worker's channel would not close with the worker."""
    server.spawn()
    before = open_files(server)
    workers = [server.spawn() for _ in range(5)]
    assert open_files(server) == before
    os.kill(workers[1].pid, signal.SIGKILL)
    assert workers[1].channel.recv(1) == b""
    assert workers[1].last_words() == ""


def test_a_worker_has_its_own_and_no_more(server: Server) -> None:
    """Nothing of the fork server, and nothing of the workers before it."""
    server.spawn()
    worker = server.spawn()
    wait_for(lambda: prints_to(worker))
    # Its channel, and the three that everyone has.
    wait_for(lambda: len(os.listdir(f"/proc/{worker.pid}/fd")) == 4)


def open_files(server: Server) -> int:
    time.sleep(0.2)  # it closes what it has just sent
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def prints_to(worker: Worker) -> bool:
    """Whether what any library prints goes to one socket, which is not its channel."""
    folder = f"/proc/{worker.pid}/fd"
    try:
        links = {fd: os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)}
    except FileNotFoundError:  # it is still closing what is not its own
        return False
    printed = links.pop("1")
    return (
        printed == links.pop("2")
        and printed.startswith("socket:")
        and printed not in links.values()
    )


def test_the_stop_signals_are_the_daemons(server: Server) -> None:
    worker = server.spawn()
    wait_for(lambda: prints_to(worker))
    for pid in (server.process.pid, worker.pid):
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
    assert alive(server.spawn().pid)
    assert alive(worker.pid)


def test_no_worker_outlives_it(server: Server) -> None:
    worker = server.spawn()
    wait_for(lambda: prints_to(worker))
    os.kill(worker.pid, signal.SIGSTOP)
    server.process.kill()
    server.process.wait()
    server.process.returncode = 0  # as it should be
    wait_for(lambda: not alive(worker.pid), 3)


def test_a_process_that_cannot_be_had() -> None:
    """No memory for a fork is no reason to end the workers that there are."""
    server = Server(
        "import os; fork, calls = os.fork, []\n"
        "def fail():\n"
        "    calls.append(1)\n"
        "    if len(calls) == 2: raise OSError(12, 'Cannot allocate memory')\n"
        "    return fork()\n"
        "os.fork = fail\n"
        "from edged.worker.zygote import main; main()"
    )
    first = server.spawn()
    before = open_files(server)
    server.control.send(wire.encode_packet(wire.Spawn(2, "")))
    answer = server.next_message()
    assert isinstance(answer, wire.NotSpawned)
    assert answer.id == 2
    assert "Cannot allocate memory" in answer.reason
    assert open_files(server) == before
    server.spawn()
    assert alive(first.pid)
    server.close()


def test_the_engines_words_stay_out_of_the_channel(server: Server, tmp_path: Path) -> None:
    """It does not know the operator: Paddle Lite aborts, Paddle Inference raises."""
    files = combined(write_program(tmp_path / "model", [Op("sqrx", "image", "out")]))
    worker = server.spawn()
    spec = spec_of(files)
    engine = "paddlelite" if LITE else "paddle"
    load = wire.Load(spec, options(tmp_path / "cache", engine=engine), 1 << 30)
    worker.channel.sendall(wire.encode(load))
    message = worker.receive()
    assert isinstance(message, wire.Failure)
    assert "sqrx" in message.message
    assert worker.channel.recv(1) == b""


def test_what_is_printed_stays_out_of_the_channel() -> None:
    """By C and by Python, before and during a load."""
    server = Server(
        "import os, sys\n"
        "import edged.worker.main as worker\n"
        "def serve(channel):\n"
        "    print('from Python')\n"
        "    os.write(1, b'to 1\\n'); os.write(2, b'to 2\\n')\n"
        "    os.system('echo from a child')\n"
        "    return 7\n"
        "worker.serve = serve\n"
        "from edged.worker.zygote import main; main()"
    )
    worker = server.spawn()
    assert worker.channel.recv(100) == b""
    words = worker.last_words().split("\n")
    assert {"from Python", "to 1", "to 2", "from a child"} <= set(words)
    assert server.next_message() == wire.Exited(worker.pid, 7)
    server.close()
