"""Take listening sockets from the program that started this one, as systemd passes them.

The socket unit keeps them open while the service restarts. Clients that connect meanwhile wait, and the
next start accepts them: a restart refuses nobody.

Source: sd_listen_fds(3), https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping, Sequence
from ipaddress import ip_address

import msgspec

from rtdemo.errors import RtdemoError
from rtdemo.server.sockets import INHERITED_OPTIONS, sites
from rtdemo.settings.settings import Settings

FIRST_DESCRIPTOR = 3
"""SD_LISTEN_FDS_START: the first file descriptor that is passed."""
WEBSOCKET_NAME = "websocket"
"""Name (`FileDescriptorName=`) of sockets for the websocket site; all others are for the web site."""
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")

Activated = Mapping[str, Sequence[socket.socket]]
"""Listening sockets of each site, by its settings' prefix; a site that got none is missing."""
NOT_ACTIVATED: Activated = {}
"""What a program gets that was started without sockets."""


def take_sockets(environ: MutableMapping[str, str]) -> Activated:
    """Remove the variables from the environment, and return the listening sockets that they describe.

    Programs that a plugin starts inherit neither the variables nor the sockets.

    Raises:
        RtdemoError: if a descriptor is not a listening TCP socket.
    """
    pid, count, names = (environ.pop(name, "") for name in _VARIABLES)
    # Another process was meant, which has started this one and left its variables.
    if pid != str(os.getpid()) or not count.isdecimal():
        return NOT_ACTIVATED
    found: dict[str, list[socket.socket]] = {}
    named = names.split(":")
    for index in range(int(count)):
        is_websocket = index < len(named) and named[index] == WEBSOCKET_NAME
        of_site = found.setdefault("websocket_" if is_websocket else "", [])
        of_site.append(_take(FIRST_DESCRIPTOR + index))
    return found


def with_addresses(settings: Settings, activated: Activated) -> Settings:
    """Return the settings with the addresses of the sockets, which are bound already.

    Raises:
        RtdemoError: if sockets are for a site that is not served.
    """
    if activated.keys() - {prefix for prefix, _, _ in sites(settings)}:
        raise RtdemoError(
            f"LISTEN_FDS passes a socket with the name {WEBSOCKET_NAME}, and --single-site leaves its"
            " site out; remove the socket from the unit, or --single-site"
        )
    changes: dict[str, object] = {}
    for prefix, sockets in activated.items():
        changes[f"{prefix}host"], changes[f"{prefix}port"] = _address(sockets)
    return msgspec.structs.replace(settings, **changes)


def check_workers(activated: Activated) -> None:
    """Refuse sockets for a server with several workers, which need one set of sockets each.

    Raises:
        RtdemoError: if there are any.
    """
    if activated:
        raise RtdemoError(
            "LISTEN_FDS passes one set of sockets, and several workers need one each; start rtdemo with"
            " --workers 1, or without its socket unit"
        )


def _take(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
        if sock.family not in _FAMILIES or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.detach()
            raise OSError("not a listening TCP socket")
    except OSError as error:
        raise RtdemoError(
            f"LISTEN_FDS: file descriptor {descriptor}: {error.strerror or error}; pass listening TCP"
            " sockets, as ListenStream= with a port in a socket unit of systemd"
        ) from error
    sock.setblocking(False)
    for level, option, value in INHERITED_OPTIONS:
        sock.setsockopt(level, option, value)
    return sock


def _address(sockets: Sequence[socket.socket]) -> tuple[str, int]:
    """Return the host and port that settings would have: the address that is open to most clients."""
    addresses = [sock.getsockname()[:2] for sock in sockets]
    host, port = min(addresses, key=lambda address: _closedness(address[0]))
    return ("" if ip_address(host).is_unspecified else host), port


def _closedness(host: str) -> int:
    address = ip_address(host)
    return 0 if address.is_unspecified else 2 if address.is_loopback else 1
