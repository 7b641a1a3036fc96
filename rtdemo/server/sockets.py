"""Open a site's listening sockets."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import select
import socket
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass

import msgspec

from rtdemo.errors import ListenError, RtdemoError
from rtdemo.settings.settings import SETTINGS, Settings

_TRIES_FOR_A_FREE_PORT = 10
_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


def sites(settings: Settings) -> list[tuple[str, str, int]]:
    """Return each site's prefix of its settings' names, host and port."""
    found = [("", settings.host, settings.port)]
    if not settings.single_site:
        found.append(("websocket_", settings.websocket_host, settings.websocket_port))
    return found


def bind(prefix: str, host: str, port: int, shared: bool = False) -> list[socket.socket]:
    """Bind one socket for each address that a host name stands for.

    Arguments:
        prefix: of the two settings, `""` or `"websocket_"`.
        host: empty for every interface, over IPv4 and over IPv6 where the machine has it.
        port: 0 for a free one, the same for all addresses.
        shared: whether further sockets may be bound to it, among which the kernel spreads connections.

    Raises:
        ListenError: when an address is in use, not allowed or not this machine's.
    """
    try:
        for _ in range(_TRIES_FOR_A_FREE_PORT):
            try:
                return _bind_all(host, port, shared)
            except OSError as error:
                # The port that was free on IPv4 may be taken on IPv6.
                if port != 0 or error.errno != errno.EADDRINUSE:
                    raise
        return _bind_all(host, port, shared)
    except UnicodeError as error:
        setting = SETTINGS[f"{prefix}host"]
        cause = OSError("is no host name")
        raise ListenError(host, port, setting.flag, setting.variable, cause) from error
    except OSError as error:
        is_host = isinstance(error, socket.gaierror) or error.errno in _NO_SUCH_FAMILY
        setting = SETTINGS[prefix + ("host" if is_host else "port")]
        raise ListenError(host, port, setting.flag, setting.variable, error) from error


def _bind_all(host: str, port: int, shared: bool) -> list[socket.socket]:
    addresses = _addresses(host, port)
    sockets: list[socket.socket] = []
    lacking: OSError | None = None
    try:
        for family, address in addresses:
            try:
                sockets.append(_bind_one(family, (address[0], port, *address[2:]), shared))
            except OSError as error:
                # Every interface means those that there are: a machine may lack IPv6.
                if host or error.errno not in _NO_SUCH_FAMILY:
                    raise
                lacking = error
            else:
                port = sockets[0].getsockname()[1]
        if not sockets and lacking is not None:
            raise lacking
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _addresses(host: str, port: int) -> list[tuple[int, tuple[object, ...]]]:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [(family, address) for family, _, _, _, address in dict.fromkeys(found)]


def _bind_one(family: int, address: tuple[object, ...], shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(address)
        return sock
    except OSError:
        sock.close()
        raise


log = logging.getLogger(__name__)
VARIABLE = "RTDEMO_WORKER"
"""Environment variable that tells a process that it is a worker; its parent sets it."""


class Inheritance(msgspec.Struct, frozen=True):
    """Hold what a worker gets from its parent, as numbers of open files.

    Arguments:
        sockets: the listening sockets of each site, by its settings' prefix.
        addresses: the host and port that the parent's settings gave each of them.
        parent: a pipe that ends with the parent.
        ready: a pipe to write to once the worker serves.
        folder: where the workers listen for each other and note what they count.
        since: when the parent started, by `time.monotonic`.
        announce: whether the worker prints where it serves.
    """

    sockets: dict[str, list[int]]
    addresses: dict[str, tuple[str, int]]
    parent: int
    ready: int
    folder: str
    since: float
    announce: bool

    @property
    def files(self) -> list[int]:
        """Every file that is handed over."""
        sockets = [number for numbers in self.sockets.values() for number in numbers]
        return [*sockets, self.parent, self.ready]

    def open(self) -> dict[str, list[socket.socket]]:
        """Return the sockets."""
        return {
            prefix: [socket.socket(fileno=number) for number in numbers]
            for prefix, numbers in self.sockets.items()
        }

    def settled(self, settings: Settings) -> Settings:
        """Return settings with the parent's addresses, whose sockets these are."""
        if {prefix: (host, port) for prefix, host, port in sites(settings)} == self.addresses:
            return settings
        log.warning("the addresses are the parent's; restart to change them")
        changes: dict[str, object] = {"single_site": len(self.addresses) == 1}
        for prefix, (host, port) in self.addresses.items():
            changes |= {f"{prefix}host": host, f"{prefix}port": port}
        return msgspec.structs.replace(settings, **changes)

    def on_orphaned(self, call: Callable[[], object]) -> None:
        """Have something called once the parent has ended, however: nobody replaces this worker then."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(self.parent)
            call()

        loop.add_reader(self.parent, ended)

    @property
    def is_orphaned(self) -> bool:
        """Whether the parent has ended."""
        looking = select.poll()
        looking.register(self.parent, select.POLLIN)
        return bool(looking.poll(0))

    def tell_ready(self) -> None:
        """Tell the parent that connections are served from now on."""
        os.write(self.ready, b"1")
        os.close(self.ready)


def take(environ: MutableMapping[str, str]) -> Inheritance | None:
    """Return what this process inherited; None where it is no worker.

    It goes no further: a program that a plugin starts would keep the ports after the stop.

    Raises:
        RtdemoError: when the variable was set by somebody else.
    """
    text = environ.pop(VARIABLE, "")
    if not text:
        return None
    try:
        heir = msgspec.json.decode(text, type=Inheritance)
        for number in heir.files:
            os.set_inheritable(number, False)
    except (msgspec.DecodeError, OSError) as error:
        raise RtdemoError(f"{VARIABLE} is set by a server for its workers; unset it") from error
    return heir


@dataclass(frozen=True, slots=True)
class Pipe:
    """Hold both ends of a pipe."""

    read: int
    write: int

    def close(self) -> None:
        """Close both ends."""
        os.close(self.read)
        os.close(self.write)


def pipe() -> Pipe:
    """Open a pipe."""
    return Pipe(*os.pipe())
