"""The daemon's end of the fork server: asks it for model processes, hears of their deaths."""

from __future__ import annotations

import array
import asyncio
import logging
import os
import signal
import socket
import sys
from collections import deque
from typing import Deque, Dict, NamedTuple, Optional

from edged import wire
from edged.errors import EdgedError

_log = logging.getLogger(__name__)

_PACKET = 4096
_TWO_DESCRIPTORS = socket.CMSG_SPACE(2 * array.array("i").itemsize)
_OWN_DOING = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}
)
_TAIL_LINES = 40
_READ_AHEAD = 1 << 20
_RESTART_PAUSES = (0.0, 0.2, 1.0, 5.0)


class Death(NamedTuple):
    """How a worker ended. `status`: a negative signal number or an exit status.

    None where nobody saw it, because the zygote had died first.
    """

    status: Optional[int]

    @property
    def seen(self) -> bool:
        return self.status is not None

    @property
    def own_doing(self) -> bool:
        """It crashed by itself or hit its own limit; nobody killed it from outside."""
        if self.status is None:
            return False
        return -self.status in _OWN_DOING or self.status == wire.EXIT_MEMORY

    def __str__(self) -> str:
        if self.status is None:
            return "it was lost with the fork server"
        if self.status == wire.EXIT_MEMORY:
            return "it went over its memory_limit"
        if self.status < 0:
            return f"it was ended by {signal.Signals(-self.status).name}"
        return f"it exited with status {self.status}"


class LastWords(asyncio.Protocol):
    """The tail of a worker's stderr; what the engine prints goes to the debug log."""

    def __init__(self) -> None:
        self.lines: Deque[str] = deque(maxlen=_TAIL_LINES)
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data)[-65536:].split(b"\n")
        for line in lines:
            self._add(line)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self._add(self._rest)
        if not self.closed.done():
            self.closed.set_result(None)

    def _add(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self.lines.append(text[:500])
            _log.debug("worker: %s", text)


class Process(NamedTuple):
    """A forked worker: its channel, and its end when that comes."""

    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    death: asyncio.Future[Death]
    words: LastWords


class _Spawned(NamedTuple):
    pid: int
    channel: int
    words: int
    death: asyncio.Future[Death]


class Zygote:
    """The fork server as the daemon sees it; started when first needed, again when it died.

    The loop must run on the main thread: PDEATHSIG in the fork server fires when the
    thread that started it ends.
    """

    def __init__(self) -> None:
        self._control: Optional[socket.socket] = None
        self._process: Optional[asyncio.subprocess.Process] = None
        self._starting = asyncio.Lock()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._spawns: Dict[int, asyncio.Future[_Spawned]] = {}
        self._deaths: Dict[int, asyncio.Future[Death]] = {}
        self._last_id = 0

    @property
    def pid(self) -> Optional[int]:
        return self._process.pid if self._control and self._process else None

    async def spawn(self) -> Process:
        """A worker that waits for its Load. Raises EdgedError when none can be started."""
        for pause in _RESTART_PAUSES:
            await asyncio.sleep(pause)
            try:
                spawned = await self._ask_for_worker()
            except ConnectionError:
                _log.warning("the fork server died; it is started again")
                continue
            return await _adopt(spawned)
        raise EdgedError("the fork server cannot be started; the log has its last words")

    def kill(self, pid: int) -> None:
        """SIGKILL, by way of the parent, which knows that the pid is still the worker's."""
        if self._control is not None:
            try:
                self._control.send(wire.encode_packet(wire.Kill(pid)))
            except OSError:
                self._lost()

    async def close(self) -> None:
        """Ends the fork server; the workers must have been closed before."""
        process = self._process
        self._lost()
        if process is not None:
            await process.wait()

    async def _ask_for_worker(self) -> _Spawned:
        async with self._starting:
            if self._control is None:
                await self._start()
        if self._control is None:
            raise ConnectionResetError
        self._last_id += 1
        answer: asyncio.Future[_Spawned] = asyncio.get_running_loop().create_future()
        self._spawns[self._last_id] = answer
        self._control.send(wire.encode_packet(wire.Spawn(self._last_id)))
        return await answer

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self._ready = loop.create_future()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "edged.worker.zygote",
                str(theirs.fileno()),
                str(os.getpid()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                env=environment,
            )
        self._control = ours
        loop.add_reader(ours.fileno(), self._on_packet, ours)
        await self._ready

    def _on_packet(self, control: socket.socket) -> None:
        try:
            packet, ancillary, _, _ = control.recvmsg(_PACKET, _TWO_DESCRIPTORS)
        except BlockingIOError:
            return
        except ConnectionError:
            packet, ancillary = b"", []
        if not packet:
            self._lost()
            return
        message = wire.decode_from_zygote(packet)
        if isinstance(message, wire.Ready):
            self._ready.set_result(None)
        elif isinstance(message, wire.Spawned):
            self._on_spawned(message, array.array("i", ancillary[0][2]))
        else:
            self._deaths.pop(message.pid).set_result(Death(message.status))

    def _on_spawned(self, message: wire.Spawned, descriptors: array.array[int]) -> None:
        channel, words = descriptors
        death = self._deaths[message.pid] = asyncio.get_running_loop().create_future()
        answer = self._spawns.pop(message.id)
        if answer.done():  # whoever asked has gone: the closed channel ends the worker
            os.close(channel)
            os.close(words)
        else:
            answer.set_result(_Spawned(message.pid, channel, words, death))

    def _lost(self) -> None:
        """The control socket is gone, and with it, by PDEATHSIG, every worker."""
        if self._control is None:
            return
        asyncio.get_running_loop().remove_reader(self._control.fileno())
        self._control.close()
        self._control = None
        gone = ConnectionResetError("the fork server died")
        if not self._ready.done():
            self._ready.set_exception(gone)
        for answer in self._spawns.values():
            if not answer.done():
                answer.set_exception(gone)
        for death in self._deaths.values():
            if not death.done():
                death.set_result(Death(None))
        self._spawns.clear()
        self._deaths.clear()


async def _adopt(spawned: _Spawned) -> Process:
    channel = socket.socket(fileno=spawned.channel)
    reader, writer = await asyncio.open_unix_connection(sock=channel, limit=_READ_AHEAD)
    words = os.fdopen(spawned.words, "rb")
    _, last_words = await asyncio.get_running_loop().connect_read_pipe(LastWords, words)
    return Process(spawned.pid, reader, writer, spawned.death, last_words)
