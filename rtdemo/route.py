"""Tell what a request or a connection came through, as far as this end can see."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

import msgspec
from aiohttp import hdrs, web

from rtdemo.admission import FORWARDING
from rtdemo.client import Transport
from rtdemo.keys import HUB

_SECRET = (hdrs.AUTHORIZATION, hdrs.COOKIE, hdrs.PROXY_AUTHORIZATION)


class Route(msgspec.Struct, rename="camel", frozen=True):
    """Hold what two connections must have in common to be compared.

    Arguments:
        server: its name among the servers of the deployment; empty where it is the only one.
        process: the id of the process that holds the connection.
        http: version of the request as it arrived.
        no_delay: whether Nagle's algorithm is off (TCP_NODELAY); null where that cannot be told.
        compression: of what the server sends; null for none.
        forwarding: headers by which proxies tell of themselves.
        remote: the address of whoever is connected: a client, or the last proxy.
    """

    server: str
    process: int
    transport: Transport
    http: str
    tls: bool
    no_delay: bool | None
    compression: str | None
    forwarding: list[str]
    remote: str


def of(request: web.Request, transport: Transport, compression: str | None) -> Route:
    """Return the route of an open connection."""
    return Route(
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
    """Return the headers that arrived, without what is secret in them."""
    shown = dict[str, str]()
    for name in dict.fromkeys(request.headers):
        secret = name.title() in _SECRET
        shown[name] = "(not shown)" if secret else ", ".join(request.headers.getall(name))
    return shown


def _no_delay(request: web.Request) -> bool | None:
    sock = request.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
