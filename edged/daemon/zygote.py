"""The daemon's end of the fork server: asks it for model processes, hears of their deaths."""

from __future__ import annotations

import array
import asyncio
import errno
import logging
import os
import socket
import sys
from contextlib import suppress
from functools import partial
from typing import Any, Callable, Dict, NamedTuple, Optional, Set

from edged import wire
from edged.daemon.channel import Channel
from edged.daemon.process import Death, LastWords, Process
from edged.errors import EdgedError

_log = logging.getLogger(__name__)

_PACKET = 4096
_TWO_DESCRIPTORS = socket.CMSG_SPACE(2 * array.array("i").itemsize)
_RESTART_PAUSES = (0.0, 0.2, 1.0, 5.0)
# Seconds until a fork server that is silent counts as hung. Before its first worker it
# imports numpy and cv2, maybe from a cold SD card.
_SPAWN_PATIENCE = 180.0
_KILL_PATIENCE = 5.0
_CLOSE_SECONDS = 2.0
_STDERR = 2


class _Spawned(NamedTuple):
    pid: int
    channel: socket.socket
    words: socket.socket
    death: asyncio.Future[Death]


class _Asked(NamedTuple):
    """`warm` is the engine that the fork server imports first, if it has not yet."""

    answer: asyncio.Future[_Spawned]
    warm: str


class Zygote:
    """The fork server as the daemon sees it; started when first needed, again when it died.

    The loop must run on the main thread: PDEATHSIG in the fork server fires when the
    thread that started it ends.
    """

    def __init__(self) -> None:
        # Engines that it has imported, or some fork server before it; and those that one
        # did not survive: whoever wants such an engine imports it by itself.
        self._warm: Set[str] = set()
        self._deadly: Set[str] = set()
        self._loop = asyncio.get_running_loop()
        self._control: Optional[socket.socket] = None
        self._process: Optional[asyncio.subprocess.Process] = None
        self._ends: Set[asyncio.Task[int]] = set()  # of this fork server and of lost ones
        self._starting = asyncio.Lock()
        self._spawns: Dict[int, _Asked] = {}
        self._deaths: Dict[int, asyncio.Future[Death]] = {}
        self._last_id = 0

    async def spawn(self, engine: str) -> Process:
        """A worker that waits for its Load, with the engine imported if that can be shared.

        Raises EdgedError when none can be started.
        """
        for pause in _RESTART_PAUSES:
            await asyncio.sleep(pause)
            try:
                spawned = await self._ask_for_worker(engine)
            except OSError as error:
                reason = str(error)
                _log.warning("no worker could be started: %s", reason)
                continue
            return await _adopt(spawned, partial(self._kill, spawned.pid))
        raise EdgedError(f"no worker can be started: {reason}")

    def _kill(self, pid: int) -> None:
        """SIGKILL, by way of the parent, which knows that the pid is still the worker's."""
        death = self._deaths.get(pid)
        if death is not None:
            self._send(wire.Kill(pid))
            self._loop.call_later(_KILL_PATIENCE, self._doubt, death)

    async def close(self) -> None:
        """Ends the fork server; the workers must have been closed before."""
        process, ends = self._process, list(self._ends)
        self._forget(ConnectionResetError("the daemon stops"))
        if process is not None and ends:
            await asyncio.wait(ends, timeout=_CLOSE_SECONDS)
            with suppress(ProcessLookupError):
                process.kill()
        await asyncio.gather(*ends)

    async def _ask_for_worker(self, engine: str) -> _Spawned:
        async with self._starting:
            if self._control is None:
                await self._start()
        self._last_id += 1
        answer: asyncio.Future[_Spawned] = self._loop.create_future()
        warm = "" if engine in self._deadly else engine
        self._spawns[self._last_id] = _Asked(answer, warm)
        self._send(wire.Spawn(self._last_id, warm))
        doubt = self._loop.call_later(_SPAWN_PATIENCE, self._doubt, answer)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            answer.add_done_callback(_release)
            raise
        finally:
            doubt.cancel()

    async def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "edged.worker.zygote",
                str(theirs.fileno()),
                str(os.getpid()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=_STDERR,  # a command's own output may be JSON for a program
                env=environment,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        end = self._loop.create_task(self._process.wait())
        self._ends.add(end)
        end.add_done_callback(self._ends.discard)
        self._control = ours
        self._loop.add_reader(ours.fileno(), self._on_packet, ours)

    def _send(self, message: wire.ToZygote) -> None:
        if self._control is None:
            self._lost("died")
            return
        try:
            self._control.send(wire.encode_packet(message))
        except OSError:  # also where it has not read for so long that the socket is full
            self._lost("takes no orders")

    def _on_packet(self, control: socket.socket) -> None:
        try:
            packet, ancillary, _, _ = control.recvmsg(_PACKET, _TWO_DESCRIPTORS)
        except BlockingIOError:
            return
        except ConnectionError:
            packet, ancillary = b"", []
        if not packet:
            self._lost("died")
            return
        message = wire.decode_from_zygote(packet)
        if isinstance(message, wire.Spawned):
            descriptors = array.array("i", b"".join(data for _, _, data in ancillary))
            self._on_spawned(message, descriptors)
        elif isinstance(message, wire.NotSpawned):
            _settle(self._spawns.pop(message.id).answer, OSError(message.reason))
        else:
            _settle(self._deaths.pop(message.pid), Death(message.status))

    def _on_spawned(self, message: wire.Spawned, descriptors: array.array[int]) -> None:
        death = self._deaths[message.pid] = self._loop.create_future()
        answer, warm = self._spawns.pop(message.id)
        self._warm.add(warm)
        if len(descriptors) == 2:
            channel, words = (socket.socket(fileno=one) for one in descriptors)
            answer.set_result(_Spawned(message.pid, channel, words, death))
            return
        # The kernel could not hand them over; with its channel closed the worker ends.
        for descriptor in descriptors:
            os.close(descriptor)
        _settle(answer, OSError(errno.EMFILE, os.strerror(errno.EMFILE)))

    def _doubt(self, awaited: asyncio.Future[Any]) -> None:
        if not awaited.done():
            self._lost("does not answer")

    def _lost(self, why: str) -> None:
        """The fork server is gone, or useless, and with it, by PDEATHSIG, every worker."""
        if self._process is not None:
            _log.error("the fork server %s; it is replaced", why)
            with suppress(ProcessLookupError):
                self._process.kill()
        self._forget(ConnectionResetError(f"the fork server {why}"))

    def _forget(self, error: ConnectionResetError) -> None:
        if self._control is not None:
            self._loop.remove_reader(self._control.fileno())
            self._control.close()
        self._control = self._process = None
        spawns, deaths = list(self._spawns.values()), list(self._deaths.values())
        self._deadly.update({asked.warm for asked in spawns} - self._warm)
        self._spawns.clear()
        self._deaths.clear()
        for asked in spawns:
            _settle(asked.answer, error)
        for death in deaths:
            _settle(death, Death(None))


def _release(answer: asyncio.Future[_Spawned]) -> None:
    """Whoever asked for the worker has gone: with its channel closed it ends."""
    if answer.exception() is None:
        answer.result().channel.close()
        answer.result().words.close()


def _settle(future: asyncio.Future[Any], outcome: object) -> None:
    """Unless nobody waits any more."""
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


async def _adopt(spawned: _Spawned, kill: Callable[[], None]) -> Process:
    """asyncio closes what it could not take over.

    Both are sockets: a pipe's descriptor uvloop closes twice, and between the two it may be
    another thread's file.
    """
    loop = asyncio.get_running_loop()
    try:
        _, channel = await loop.create_unix_connection(Channel, sock=spawned.channel)
    except BaseException:
        spawned.words.close()
        raise
    try:
        _, last_words = await loop.create_unix_connection(LastWords, sock=spawned.words)
    except BaseException:
        channel.close()
        raise
    return Process(spawned.pid, channel, spawned.death, last_words, kill)
