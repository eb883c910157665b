"""Addresses as the setting `listen` writes them, and what is known of them without a socket."""

from __future__ import annotations

import ipaddress
from typing import List, NamedTuple, Tuple, Union

_UNIX = "unix:"
# Of `sun_path` in unix(7), less the zero at its end.
_LONGEST_PATH = 107


class Tcp(NamedTuple):
    """`host` is an IPv4 or IPv6 address or a name."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self}"

    @property
    def is_local(self) -> bool:
        """Whether no other machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class Unix(NamedTuple):
    path: str

    def __str__(self) -> str:
        return f"{_UNIX}{self.path}"

    @property
    def url(self) -> str:
        """There is no URL of such a socket that clients agree on."""
        return str(self)

    @property
    def is_local(self) -> bool:
        return True


Address = Union[Tcp, Unix]


class Addresses(Tuple[Address, ...]):
    """One or more, all different. As text they have spaces between."""

    def __str__(self) -> str:
        return " ".join(map(str, self))


def parse_addresses(text: str) -> Addresses:
    """Raises ValueError naming the part that is no address."""
    addresses: List[Address] = []
    for part in text.split():
        address = _parse(part)
        if address in addresses:
            raise ValueError(f"{part} stands there twice")
        addresses.append(address)
    if not addresses:
        raise ValueError("there is no address in it")
    return Addresses(addresses)


def _parse(part: str) -> Address:
    if part.startswith(_UNIX):
        return Unix(_path(part[len(_UNIX) :]))
    host, colon, port = part.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and host.isprintable()):
        raise ValueError(f"{part!r} is none of HOST:PORT, [IPV6]:PORT and unix:/PATH")
    if int(port[:6]) > 65535:
        raise ValueError(f"{part!r}: a port is 65535 at most")
    return Tcp(_host(host), int(port))


def _host(text: str) -> str:
    if ":" not in text and "[" not in text:
        return text
    inside = text[1:-1]
    try:
        if text != f"[{inside}]":
            raise ValueError
        ipaddress.IPv6Address(inside.split("%")[0])  # CPython 3.8 knows no %eth0
    except ValueError:
        raise ValueError(f"{text!r} is not an IPv6 address in brackets") from None
    return inside


def _path(text: str) -> str:
    if not (text.startswith("/") and text.isprintable()):
        raise ValueError(f"{text!r} is not the whole path of a socket, from / on")
    if len(text.encode()) > _LONGEST_PATH:
        raise ValueError(f"the path of a socket has {_LONGEST_PATH} bytes at most: {text!r}")
    return text
