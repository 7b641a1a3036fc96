"""What a request or a connection came through, as far as the server can see it."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from aiohttp import web

from rtdemo.protocol.client import Transport
from rtdemo.protocol.connection_info import ConnectionInfo
from rtdemo.web.admission import FORWARDING
from rtdemo.web.app_keys import HUB

SHOWN_HEADERS = {
    *(name.lower() for name in FORWARDING),
    *("accept", "accept-encoding", "cache-control", "cf-ray", "cf-visitor", "connection", "host"),
    *("last-event-id", "origin", "sec-websocket-extensions", "sec-websocket-protocol"),
    *("sec-websocket-version", "te", "upgrade", "x-forwarded-port", "x-forwarded-proto"),
}
"""Headers that are shown with their values. Others, such as a proxy's for its backend, are shown by
name only: their values may be secret."""


def of_connection(request: web.Request, transport: Transport, compression: str | None) -> ConnectionInfo:
    """Return what an open connection came through.

    Arguments:
        request: the request that opened it.
        transport: the connection's transport.
        compression: name of the compression of what the server sends; None for none.
    """
    return ConnectionInfo(
        server=request.app[HUB].engine.server,
        process=os.getpid(),
        transport=transport,
        http=http_version(request),
        tls=request.secure,
        no_delay=_no_delay(request),
        compression=compression,
        forwarding=forwarding_headers(request),
        remote=request.remote or "",
    )


def http_version(request: web.Request) -> str:
    """Return the HTTP version of a request as it arrived, such as `1.1`."""
    return f"{request.version.major}.{request.version.minor}"


def forwarding_headers(request: web.Request) -> list[str]:
    """Return the names of the headers by which proxies report themselves."""
    return [name for name in FORWARDING if name in request.headers]


def headers(request: web.Request) -> Mapping[str, str]:
    """Return a request's headers by name; values that may be secret are replaced."""
    return {
        name: ", ".join(request.headers.getall(name)) if name.lower() in SHOWN_HEADERS else "(not shown)"
        for name in dict.fromkeys(request.headers)
    }


def _no_delay(request: web.Request) -> bool | None:
    sock = request.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
