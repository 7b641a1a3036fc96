"""Decide who may come in: the request's origin, its query, and whether there is room."""

from __future__ import annotations

import math
from urllib.parse import SplitResult, urlsplit

from aiohttp import hdrs, web

from rtdemo.client import Client, Transport
from rtdemo.errors import Refused
from rtdemo.hub import Selection
from rtdemo.keys import HUB, SETTINGS, SITES

SLOWEST, FASTEST = 0.1, 20.0
RETRY_AFTER = 2
"""Seconds after which a client that met a draining server may try again."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


def admit(request: web.Request, transport: Transport) -> tuple[Client, Selection]:
    """Return the client that a request becomes and what it asked for.

    Raises:
        Refused: 503 while draining; 400 for a query that is not allowed.
    """
    if request.app[HUB].draining:
        raise Refused(503, "the server is going away; try again", {"Retry-After": str(RETRY_AFTER)})
    client = Client(transport, request.remote or "", query=dict(request.query))
    return client, selection(request, transport)


def selection(request: web.Request, transport: Transport) -> Selection:
    """Read `?producers=a,b` and `?speed=2`.

    Raises:
        Refused: 400 with the names that exist, or the speeds that may be given.
    """
    query = request.query
    producers = None
    if "producers" in query:
        producers = _names(query["producers"], request.app[HUB].plugins.roster.names(transport))
    return Selection(producers, _speed(query["speed"]) if "speed" in query else 1.0)


def _names(text: str, known: list[str]) -> frozenset[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Refused(
            400, f"producers: there is no {unknown[0][:100]!r}; there are {', '.join(known) or 'none'}"
        )
    return frozenset(names)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not SLOWEST <= speed <= FASTEST:
        raise Refused(400, f"speed: {text[:100]!r} is not a number from {SLOWEST} to {FASTEST:g}")
    return speed


def check_origin(request: web.Request) -> None:
    """Let a page in from its own server's address or an allowed one, and no other.

    Browsers send `Origin` with each WebSocket handshake and each POST (RFC 6454, RFC 6455 section
    10.2); without it the peer is no browser and the rule has nobody to protect.

    Raises:
        Refused: 403 with the setting that lets the origin in.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None or origin in request.app[SETTINGS].allow_origin:
        return
    if not _is_own(urlsplit(origin), request):
        raise Refused(403, f"origin {origin[:200]!r} may not connect; allow it with --allow-origin")


def _is_own(origin: SplitResult, request: web.Request) -> bool:
    """Compare with the address that the request was sent to: the same host, its port or one of ours.

    The page on the web site's port opens its socket on the WebSocket site's. Behind a proxy that
    ends TLS the scheme is not known here, so both defaults stand for a port that is not written.
    """
    try:
        host, origin_port = urlsplit(f"//{request.host}"), origin.port
        host_port = host.port
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(origin.scheme)
    if default is None or not origin.hostname or origin.hostname != host.hostname:
        return False
    port = origin_port or default
    return port in request.app[SITES].ports or port == (host_port or default)
