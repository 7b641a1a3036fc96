"""The user that runs the program at the other end of a connection from this machine.

A proxy on this machine connects from loopback, as a person's program does. But distributions run nginx,
HAProxy and Apache as users of their own, so their connections are recognised whatever they send. Linux
reports the user of a socket over netlink (sock_diag(7)), in about 0.2 ms, to any program.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from ipaddress import ip_address

from rtdemo.settings.trusted_proxies import normal_address

_ROOT = 0
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST = 4, 20, 1
_HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence, port."""
_REQUEST = struct.Struct("=BBBxI")
"""struct inet_diag_req_v2 before its socket: family, protocol, extensions, states."""
_SOCKET = struct.Struct("!HH16s16s12s")
"""struct inet_diag_sockid: ports and addresses in network order, then the interface and the cookie."""
_ANY_INTERFACE, _NO_COOKIE = bytes(4), b"\xff" * 8
_ANSWER = struct.Struct("=BBxx48xIIII")
"""struct inet_diag_msg as far as the user: family, state, timer, two queues, user."""
_ALL_STATES, _ESTABLISHED = 0xFFFFFFFF, 1
_TIMEOUT_S = 0.1
"""Seconds for the kernel's answer, which it gives at once."""

_Address = tuple[str, int]


def is_of_other_user(transport: asyncio.BaseTransport | None) -> bool:
    """Return whether a connection from this machine is of another user than the server's own, or root.

    If the system does not report users of sockets (systems other than Linux, some sandboxes), the answer
    is False. If it reports none for this peer, the peer has left, and the answer is True: the kernel
    reports closed sockets as root's.

    Arguments:
        transport: of a connection whose peer's address is loopback.
    """
    here, there = (_name(transport, key) for key in ("sockname", "peername"))
    if here is None or there is None or not hasattr(socket, "AF_NETLINK"):
        return False
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
            netlink.settimeout(_TIMEOUT_S)
            # The server's own end exists. A system that does not find it reports no sockets at all.
            if _look_up(netlink, here, there) is None:
                return False
            found = _look_up(netlink, there, here)
    except OSError:
        return False
    if found is None or found[0] != _ESTABLISHED:
        return True
    return found[1] not in (_ROOT, os.geteuid())


def _name(transport: asyncio.BaseTransport | None, key: str) -> _Address | None:
    name = transport.get_extra_info(key) if transport is not None else None
    if not isinstance(name, tuple):
        return None
    address = normal_address(name[0])
    return None if address is None else (address, name[1])


def _look_up(netlink: socket.socket, here: _Address, there: _Address) -> tuple[int, int] | None:
    """Return the state and the user of the TCP socket with these two ends; None if there is none."""
    source, destination = ip_address(here[0]), ip_address(there[0])
    family = socket.AF_INET if source.version == 4 else socket.AF_INET6
    wanted = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _ALL_STATES) + _SOCKET.pack(
        here[1], there[1], source.packed, destination.packed, _ANY_INTERFACE + _NO_COOKIE
    )
    length = _HEADER.size + len(wanted)
    netlink.send(_HEADER.pack(length, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0) + wanted)
    answer = netlink.recv(4096)
    kind = _HEADER.unpack_from(answer)[1]
    if kind != _SOCK_DIAG_BY_FAMILY:
        return None
    _, state, _, _, _, user = _ANSWER.unpack_from(answer, _HEADER.size)
    return state, user
