"""The warm process that workers are forked from.

Started by the daemon as `python -m edged.worker.zygote CONTROL DAEMON`: the descriptor of a
SOCK_SEQPACKET socket and the daemon's pid. It imports what workers need once, an engine when
the first worker with it is asked for, stays single-threaded, forks a worker when asked,
hands the worker's channel over with SCM_RIGHTS, and reports every death. It holds no
descriptor of a living worker, so a worker's channel closes with the worker.
"""

from __future__ import annotations

import array
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import NoReturn, Sequence, Set

from edged import wire
from edged.errors import EngineError
from edged.worker.process import (
    become_batch,
    die_with_parent,
    ignore_stop_signals,
    keep_freed_memory,
)

_PACKET = 4096
# Bytes that a channel takes without its reader: most pictures. The usual 208 KiB would wake
# the daemon once more for the rest of them. The kernel gives less where it allows less.
_IN_ONE_GO = 2 << 20


class Zygote:
    """The loop of the fork server, on `control`."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: Set[int] = set()
        self._warm: Set[str] = set()
        self._child_died, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # the wake-up descriptor needs a handler

    def run(self) -> None:
        """Until the daemon closes the control socket: then EOFError, or BrokenPipeError."""
        while True:
            readable, _, _ = select.select([self._control.fileno(), self._child_died], [], [])
            if self._child_died in readable:
                os.read(self._child_died, _PACKET)
                self._reap()
            if self._control.fileno() in readable:
                packet = self._control.recv(_PACKET)
                if not packet:
                    raise EOFError
                self._obey(wire.decode_to_zygote(packet))

    def _obey(self, message: wire.ToZygote) -> None:
        if isinstance(message, wire.Spawn):
            self._warm_up(message.warm)
            self._spawn(message.id)
        elif message.pid in self._children:
            os.kill(message.pid, signal.SIGKILL)

    def _warm_up(self, engine: str) -> None:
        if not engine or engine in self._warm:
            return
        self._warm.add(engine)
        from edged.worker import engines

        with suppress(EngineError):  # the worker meets the same, and has a model to blame
            engines.warm(engine)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._children.discard(pid)
            signalled = os.WIFSIGNALED(status)
            code = -os.WTERMSIG(status) if signalled else os.WEXITSTATUS(status)
            self._send(wire.Exited(pid, code))

    def _spawn(self, request: int) -> None:
        daemon_end, worker_end = socket.socketpair()
        for end in (daemon_end, worker_end):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _IN_ONE_GO)
        words, stderr = socket.socketpair()  # no pipe: see the daemon's `_adopt`
        zygote = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:  # no memory, or no process more: the living ones go on
            pid = -1
            self._send(wire.NotSpawned(request, str(error)))
        if pid == 0:
            daemon_end.close()
            words.close()
            self._become_worker(zygote, worker_end, stderr)
        worker_end.close()
        stderr.close()
        try:
            if pid > 0:
                self._children.add(pid)
                self._send(wire.Spawned(request, pid), [daemon_end.fileno(), words.fileno()])
        finally:
            daemon_end.close()
            words.close()

    def _become_worker(
        self, zygote: int, channel: socket.socket, stderr: socket.socket
    ) -> NoReturn:
        """The child's side of a fork: never returns into the loop, whatever happens."""
        try:
            die_with_parent(zygote)
            become_batch()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # A library's prints end in the worker's stderr, never in the channel.
            os.dup2(stderr.fileno(), 1)
            os.dup2(stderr.fileno(), 2)
            stderr.close()
            os.close(self._child_died)
            os.close(self._wake)
            self._control.close()
            from edged.worker.main import serve

            status = serve(channel)
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    def _send(self, message: wire.FromZygote, descriptors: Sequence[int] = ()) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        self._control.sendmsg([wire.encode_packet(message)], rights if descriptors else [])


def main() -> None:
    control, daemon = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent(daemon)
    ignore_stop_signals()
    keep_freed_memory()
    import cv2

    import edged.worker.main  # noqa: F401 - what every worker needs, imported once

    cv2.setNumThreads(1)  # its pool would not survive the fork; a model has a core of its own
    with socket.socket(fileno=control) as channel, suppress(EOFError, ConnectionError):
        Zygote(channel).run()


if __name__ == "__main__":
    main()
