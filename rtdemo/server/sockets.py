"""Bind the sites' listening sockets, and hand them over to worker processes."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import select
import signal
import socket
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from rtdemo.errors import ListenError, RtdemoError
from rtdemo.settings.settings import SETTINGS, Settings

log = logging.getLogger(__name__)

HANDOVER_VARIABLE = "RTDEMO_WORKER"
"""Environment variable with the `WorkerHandover` of a worker process; its parent sets it."""


class WorkerSignals(NamedTuple):
    """Signals that a parent sends to its workers, in addition to SIGTERM, which stops one.

    Arguments:
        retire: stop, and accept nothing meanwhile: the successor accepts from the same sockets.
        end_at_once: stop, and end the connections that are still open at once.
    """

    retire: signal.Signals
    end_at_once: signal.Signals


WORKER_SIGNALS = WorkerSignals(signal.SIGUSR1, signal.SIGQUIT)
NOTSENT_BYTES = 64 * 1024
"""Bytes that may wait in the kernel for a client without having been sent.

Without this the kernel holds megabytes for a slow reader, and is writable again only when a third of
them is read: 1 MB at 100 kB/s takes longer than the outbox's timeout.
"""
MIN_UNACKNOWLEDGED_S = 10.0
"""Shortest time for a peer to acknowledge what was sent, however short the heartbeat is."""
INHERITED_OPTIONS = [
    (level, getattr(socket, name), value)
    for level, name, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
        (socket.IPPROTO_TCP, "TCP_NOTSENT_LOWAT", NOTSENT_BYTES),
    )
    if hasattr(socket, name)  # the last one is not on every system
]
"""Options of listening sockets. Each accepted connection has them too, without a system call."""
_FREE_PORT_RETRIES = 10
_MISSING_FAMILY_ERRORS = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
"""Error numbers for an address family, such as IPv6, that this machine does not have."""


def sites(settings: Settings) -> list[tuple[str, str, int]]:
    """Return each site's settings prefix (`""` or `"websocket_"`), host and port."""
    found = [("", settings.host, settings.port)]
    if not settings.single_site:
        found.append(("websocket_", settings.websocket_host, settings.websocket_port))
    return found


def bind(prefix: str, host: str, port: int, reuse_port: bool = False) -> list[socket.socket]:
    """Bind one socket for each address of a host name.

    Arguments:
        prefix: of the site's two settings, `""` or `"websocket_"`; errors name them.
        host: empty for every interface, over IPv4 and, if the machine has it, over IPv6.
        port: 0 for a free one, which is then the same for all addresses.
        reuse_port: set SO_REUSEPORT: further sockets may be bound to the port, and the kernel
            spreads connections over all of them.

    Raises:
        ListenError: if an address is in use, not allowed, or not one of this machine.
    """
    try:
        for _ in range(_FREE_PORT_RETRIES):
            try:
                return _bind_all(host, port, reuse_port)
            except OSError as error:
                # The port that was free on IPv4 may be in use on IPv6.
                if port != 0 or error.errno != errno.EADDRINUSE:
                    raise
        return _bind_all(host, port, reuse_port)
    except UnicodeError as error:
        setting = SETTINGS[f"{prefix}host"]
        cause = OSError("not a valid host name")
        raise ListenError(host, port, setting.flag, setting.variable, cause) from error
    except OSError as error:
        is_host = isinstance(error, socket.gaierror) or error.errno in _MISSING_FAMILY_ERRORS
        setting = SETTINGS[prefix + ("host" if is_host else "port")]
        raise ListenError(host, port, setting.flag, setting.variable, error) from error


def end_unacknowledged(sock: socket.socket, heartbeat: float) -> None:
    """Let the kernel abort connections whose peer acknowledges nothing for the time of a heartbeat.

    The client of an event stream sends nothing, so only missing acknowledgements show that it has
    disappeared. It ends within two heartbeats, as a WebSocket that answers no ping does. A client that
    reads nothing for so long, while bytes wait, ends too.

    Arguments:
        sock: a listening socket; each accepted connection has the option too.
        heartbeat: seconds between heartbeats.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # not on every system
        timeout_ms = round(max(heartbeat, MIN_UNACKNOWLEDGED_S) * 1000)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)


def _bind_all(host: str, port: int, reuse_port: bool) -> list[socket.socket]:
    addresses = _addresses(host, port)
    sockets: list[socket.socket] = []
    missing_family: OSError | None = None
    try:
        for family, address in addresses:
            try:
                sockets.append(_bind_one(family, (address[0], port, *address[2:]), reuse_port))
            except OSError as error:
                # "Every interface" means those that exist: a machine may have no IPv6.
                if host or error.errno not in _MISSING_FAMILY_ERRORS:
                    raise
                missing_family = error
            else:
                port = sockets[0].getsockname()[1]
        if not sockets and missing_family is not None:
            raise missing_family
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _addresses(host: str, port: int) -> list[tuple[int, tuple[object, ...]]]:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [(family, address) for family, _, _, _, address in dict.fromkeys(found)]


def _bind_one(family: int, address: tuple[object, ...], reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        for level, option, value in INHERITED_OPTIONS:
            sock.setsockopt(level, option, value)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(address)
        return sock
    except OSError:
        sock.close()
        raise


class WorkerHandover(msgspec.Struct, frozen=True):
    """What a parent process hands over to a worker, as JSON in an environment variable.

    Arguments:
        sockets: file descriptors of each site's listening sockets, by its settings' prefix.
        addresses: host and port of each site in the parent's settings, by the same prefix.
        parent: file descriptor of a pipe that reaches its end when the parent exits.
        ready: file descriptor of a pipe to write to when the worker serves.
        folder: where the workers have their socket files and counter files.
        since: when the parent started, in seconds of `time.monotonic`.
        announce: whether the worker prints its addresses.
    """

    sockets: dict[str, list[int]]
    addresses: dict[str, tuple[str, int]]
    parent: int
    ready: int
    folder: str
    since: float
    announce: bool

    @property
    def file_descriptors(self) -> list[int]:
        """All file descriptors that the worker gets."""
        sockets = [number for numbers in self.sockets.values() for number in numbers]
        return [*sockets, self.parent, self.ready]

    def open_sockets(self) -> dict[str, list[socket.socket]]:
        """Return the listening sockets of each site, by its settings' prefix."""
        return {
            prefix: [socket.socket(fileno=number) for number in numbers]
            for prefix, numbers in self.sockets.items()
        }

    def with_parent_addresses(self, settings: Settings) -> Settings:
        """Return the settings with the addresses of the parent, which the sockets are bound to.

        They differ when a `.env` file changed after the parent started; a warning is logged then.
        """
        if {prefix: (host, port) for prefix, host, port in sites(settings)} == self.addresses:
            return settings
        log.warning("the addresses are those of the parent process; restart to change them")
        changes: dict[str, object] = {"single_site": len(self.addresses) == 1}
        for prefix, (host, port) in self.addresses.items():
            changes |= {f"{prefix}host": host, f"{prefix}port": port}
        return msgspec.structs.replace(settings, **changes)

    def on_parent_exit(self, callback: Callable[[], object]) -> None:
        """Call a function once when the parent exits, for whatever reason."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(self.parent)
            callback()

        loop.add_reader(self.parent, ended)

    @property
    def is_orphaned(self) -> bool:
        """Whether the parent has exited."""
        poll = select.poll()
        poll.register(self.parent, select.POLLIN)
        return bool(poll.poll(0))

    def signal_ready(self) -> None:
        """Signal to the parent that this worker serves."""
        os.write(self.ready, b"1")
        os.close(self.ready)


def take_handover(environ: MutableMapping[str, str]) -> WorkerHandover | None:
    """Remove the handover from the environment and return it; None in a process that is no worker.

    Programs that a plugin starts do not inherit it: they would keep the ports open after the stop.

    Raises:
        RtdemoError: if the variable was not set by a parent process of this program.
    """
    text = environ.pop(HANDOVER_VARIABLE, "")
    if not text:
        return None
    try:
        handover = msgspec.json.decode(text, type=WorkerHandover)
        for number in handover.file_descriptors:
            os.set_inheritable(number, False)
    except (msgspec.DecodeError, OSError) as error:
        raise RtdemoError(
            f"{HANDOVER_VARIABLE} is reserved for a server and its workers; unset it"
        ) from error
    return handover


@dataclass(frozen=True, slots=True)
class Pipe:
    """The file descriptors of both ends of a pipe."""

    read: int
    write: int

    def close(self) -> None:
        """Close both ends."""
        os.close(self.read)
        os.close(self.write)


def pipe() -> Pipe:
    """Open a pipe."""
    return Pipe(*os.pipe())
