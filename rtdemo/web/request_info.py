"""Tell what a request or a connection came through, as far as this end can see."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from aiohttp import web

from rtdemo.protocol.client import Transport
from rtdemo.protocol.connection_info import ConnectionInfo
from rtdemo.web.admission import FORWARDING
from rtdemo.web.app_keys import HUB

SHOWN = {
    *(name.lower() for name in FORWARDING),
    *("accept", "accept-encoding", "cache-control", "cf-ray", "cf-visitor", "connection", "host"),
    *("last-event-id", "origin", "sec-websocket-extensions", "sec-websocket-protocol"),
    *("sec-websocket-version", "te", "upgrade", "x-forwarded-port", "x-forwarded-proto"),
}
"""Headers whose values are told; of others, such as what a proxy adds for its backend, the names are."""


def of(request: web.Request, transport: Transport, compression: str | None) -> ConnectionInfo:
    """Return the route of an open connection."""
    return ConnectionInfo(
        server=request.app[HUB].engine.server,
        process=os.getpid(),
        transport=transport,
        http=version(request),
        tls=request.secure,
        no_delay=_no_delay(request),
        compression=compression,
        forwarding=forwarding(request),
        remote=request.remote or "",
    )


def version(request: web.Request) -> str:
    """Return the HTTP version of a request as it arrived, such as `1.1`."""
    return f"{request.version.major}.{request.version.minor}"


def forwarding(request: web.Request) -> list[str]:
    """Return the names of the headers by which a proxy tells of itself."""
    return [name for name in FORWARDING if name in request.headers]


def headers(request: web.Request) -> Mapping[str, str]:
    """Return the headers that arrived, with the values of those that hold no secret."""
    return {
        name: ", ".join(request.headers.getall(name)) if name.lower() in SHOWN else "(not shown)"
        for name in dict.fromkeys(request.headers)
    }


def _no_delay(request: web.Request) -> bool | None:
    sock = request.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
