"""The sockets that the daemon listens on: its own, and those that systemd holds for it.

One that systemd holds (socket activation, sd_listen_fds(3)) outlives the daemon: whoever
connects during a restart waits in it.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import stat
from contextlib import suppress
from typing import Dict, List, MutableMapping, Sequence, Tuple

from aiohttp import web

from edged.errors import ConfigError
from edged.listen import Address, Addresses, Tcp, Unix

_FIRST_DESCRIPTOR = 3
_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
# For the owner of the daemon and the group; whoever may write may connect.
_UNIX_MODE = 0o660
# Where a machine has no IPv6, a name may still have an address of it.
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def take_held(environment: MutableMapping[str, str]) -> List[socket.socket]:
    """What systemd has passed, if it is for this process; taken out of `environment`, so that
    no child looks for it. Raises ConfigError when it is no socket that listens.
    """
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()):
        return []
    if not count.isdigit():
        raise ConfigError(f"LISTEN_FDS={count} is not a number")
    held = []
    for descriptor in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count)):
        try:
            os.set_inheritable(descriptor, False)
            one = socket.socket(fileno=descriptor)
            listens = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as error:
            raise ConfigError(f"LISTEN_FDS: descriptor {descriptor}: {error.strerror}") from None
        if one.family not in _FAMILIES or one.type != socket.SOCK_STREAM or not listens:
            raise ConfigError(f"LISTEN_FDS: descriptor {descriptor} does not listen for streams")
        held.append(one)
    return held


class Listeners:
    """`open` its own addresses at once, those of `held` sockets when it is time to."""

    def __init__(self, addresses: Addresses, held: Sequence[socket.socket]) -> None:
        """Raises ConfigError when `addresses` does not name a socket that is held: nobody
        would answer there, or somebody whom it is not meant for.
        """
        by_address = {_key(_address_of(one)): one for one in held}
        self._own = [address for address in addresses if _key(address) not in by_address]
        for address in addresses:
            by_address.pop(_key(address), None)
        if by_address:
            stranger = _address_of(next(iter(by_address.values())))
            for one in held:
                one.close()
            raise ConfigError(
                f"listen: systemd passes a socket for {stranger}, which is not among "
                f"{addresses}: make `listen` and edged.socket (systemctl edit edged.socket) agree"
            )
        self._held = list(held)
        self._sites: List[web.SockSite] = []
        self._files: Dict[str, Tuple[int, int]] = {}
        self.addresses: List[Address] = [_address_of(one) for one in held]

    @property
    def any_held(self) -> bool:
        return bool(self._held)

    async def open(self, runner: web.AppRunner) -> None:
        """Raises ConfigError when one is taken, or is none of this machine's."""
        for address in self._own:
            try:
                opened = await self._bind(address)
            except (OSError, UnicodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is no name of a host"
                raise ConfigError(f"cannot listen on {address}: {reason}") from None
            self.addresses += map(_address_of, opened)
            await self._accept(runner, opened)

    async def open_held(self, runner: web.AppRunner) -> None:
        await self._accept(runner, self._held)

    async def close(self) -> None:
        """New connections are refused, or wait where systemd holds the socket."""
        for site in self._sites:
            await site.stop()
        for one in self._held:
            one.close()
        await asyncio.get_running_loop().run_in_executor(None, self._remove_files)

    async def _accept(self, runner: web.AppRunner, opened: Sequence[socket.socket]) -> None:
        for one in opened:
            site = web.SockSite(runner, one, backlog=socket.SOMAXCONN)
            await site.start()
            self._sites.append(site)

    async def _bind(self, address: Address) -> List[socket.socket]:
        loop = asyncio.get_running_loop()
        if isinstance(address, Unix):
            return [await loop.run_in_executor(None, self._bind_file, address.path)]
        found = await loop.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        wanted = {(family, where) for family, _, _, _, where in found}
        opened: List[socket.socket] = []
        for family, where in sorted(wanted):
            try:
                opened.append(socket.create_server(where, family=family))
            except OSError as error:
                if error.errno in _NOT_HERE and len(wanted) > 1:
                    continue
                for one in opened:
                    one.close()
                raise OSError(error.errno, os.strerror(error.errno or 0)) from None
        if not opened:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        return opened

    def _bind_file(self, path: str) -> socket.socket:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_stale(path)
            server.bind(path)
            os.chmod(path, _UNIX_MODE)
            server.listen()  # nobody could connect before
            self._files[path] = _identity(path)
        except BaseException:
            server.close()
            raise
        return server

    def _remove_files(self) -> None:
        """Unless it is another's by now."""
        for path, made in self._files.items():
            with suppress(OSError):
                if _identity(path) == made:
                    os.unlink(path)


def _remove_stale(path: str) -> None:
    """What a daemon left that was killed. Raises OSError when it is somebody's."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "there is a file already that is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # whose queue is full is somebody too
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _identity(path: str) -> Tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def _address_of(server: socket.socket) -> Address:
    name = server.getsockname()
    return Unix(os.fsdecode(name)) if server.family == socket.AF_UNIX else Tcp(*name[:2])


def _key(address: Address) -> object:
    """Equal for two ways to write one address."""
    if isinstance(address, Unix):
        return os.path.normpath(address.path)
    with suppress(ValueError):
        return ipaddress.ip_address(address.host), address.port
    return address
