"""Open a site's listening sockets."""

from __future__ import annotations

import errno
import socket

from rtdemo.errors import ListenError
from rtdemo.settings import SETTINGS, Settings

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
