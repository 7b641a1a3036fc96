"""What a request or a connection came through, as far as the server can see it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from aiohttp import web

from rtdemo.protocol import message
from rtdemo.protocol.client import Client
from rtdemo.protocol.connection_info import ConnectionInfo
from rtdemo.web.app_keys import SETTINGS
from rtdemo.web.client_address import client_address
from rtdemo.web.forwarding import forwarding_headers
from rtdemo.web.heartbeat import MAX_SILENCE_S

SHOWN_HEADERS = {
    *("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"),
    *("accept", "accept-encoding", "cache-control", "cf-ray", "cf-visitor", "connection", "host"),
    *("last-event-id", "origin", "sec-websocket-extensions", "sec-websocket-protocol"),
    *("sec-websocket-version", "te", "upgrade", "x-forwarded-port", "x-forwarded-proto"),
}
"""Headers that are shown with their values. Others, such as a proxy's for its backend, are shown by
name only: their values may be secret."""


class Arrival(NamedTuple):
    """How a request arrived, as far as it is alike for many connections.

    Arguments:
        http: HTTP version.
        tls: whether the server itself decrypts the connection.
        forwarding: names of the headers by which proxies report themselves.
    """

    http: str
    tls: bool
    forwarding: tuple[str, ...]


_interned = lru_cache(256)(Arrival)


def arrival(request: web.Request) -> Arrival:
    """Return how a request arrived: the same object for requests that arrived alike."""
    return _interned(http_version(request), request.secure, tuple(forwarding_headers(request)))


def of_connection(
    arrival: Arrival, client: Client, transport: asyncio.Transport, server: str
) -> ConnectionInfo:
    """Return what an open connection came through.

    Arguments:
        arrival: of the request that opened it.
        client: the peer.
        transport: the connection's transport.
        server: the server's name in the deployment; empty if it is the only one.
    """
    return ConnectionInfo(
        server=server,
        process=os.getpid(),
        transport=client.transport,
        http=arrival.http,
        tls=arrival.tls,
        no_delay=_no_delay(transport),
        compression=None,
        forwarding=list(arrival.forwarding),
        remote=client.remote,
    )


def http_version(request: web.Request) -> str:
    """Return the HTTP version of a request as it arrived, such as `1.1`."""
    return f"{request.version.major}.{request.version.minor}"


def describe(request: web.Request) -> dict[str, object]:
    """Return a request as it arrived, without possible secrets, and what its client may expect."""
    heartbeat_s = request.app[SETTINGS].heartbeat
    return {
        "method": request.method,
        "path": request.path,
        "http": http_version(request),
        "scheme": request.scheme,
        "remote": client_address(request),
        "headers": headers(request),
        "forwarding": forwarding_headers(request),
        "heartbeat": heartbeat_s,
        "sseHeartbeat": min(heartbeat_s, MAX_SILENCE_S),
        "process": os.getpid(),
        "now": message.now(),
    }


def headers(request: web.Request) -> Mapping[str, str]:
    """Return a request's headers by name; values that may be secret are replaced."""
    return {
        name: ", ".join(request.headers.getall(name)) if name.lower() in SHOWN_HEADERS else "(not shown)"
        for name in dict.fromkeys(request.headers)
    }


def _no_delay(transport: asyncio.Transport) -> bool | None:
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
