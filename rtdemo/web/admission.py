"""Decide whether a request is admitted: its origin, its token and its query."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from ipaddress import ip_address
from types import MappingProxyType
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from rtdemo.errors import Refused
from rtdemo.hub.selection import Selection, SelectionError, read_producers, read_speed
from rtdemo.protocol.client import Client, Transport
from rtdemo.web.app_keys import HUB, SETTINGS, SITES

RETRY_SOON = {"Retry-After": "2"}
"""Header of a refusal for a reason that soon passes; the value is in seconds."""
FORWARDING = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")
"""Headers by which a proxy reports itself."""
TICKET = "ticket"
"""Parameter of the query with a login ticket. Plugins do not see it."""
_NO_QUERY: Mapping[str, str] = MappingProxyType({})
_DEFAULT_PORTS = {"http": 80, "https": 443}


def admit(request: web.Request, transport: Transport, user: str | None) -> tuple[Client, Selection]:
    """Return the client of a request that opens a connection, and what it asked for.

    Arguments:
        request: opens the connection.
        transport: of the connection.
        user: the name that the login proved; None where login is off.

    Raises:
        Refused: 503 while the server drains or has no file descriptor for a stream; 400 for a query
            that is not allowed.
    """
    hub = request.app[HUB]
    if hub.draining:
        raise Refused(503, "the server is going away; try again", RETRY_SOON)
    if hub.is_full:
        hub.refused["descriptors"] += 1
        raise Refused(503, "the server has no file descriptor for another stream; try again", RETRY_SOON)
    if not request.query_string:
        return Client(transport, request.remote or "", user, _NO_QUERY), Selection()
    query = {name: value for name, value in request.query.items() if name != TICKET}
    client = Client(transport, request.remote or "", user, query)
    return client, selection(request, client)


def last_event_id(request: web.Request) -> str | None:
    """Return the position at which a client resumes; None for a new client.

    The header has precedence: a browser's own reconnect sends it with the address of its first
    connect, which may have an older `?last_event_id=`.
    """
    given = request.headers.get("Last-Event-ID") or request.query.get("last_event_id")
    return given or None


def selection(request: web.Request, client: Client) -> Selection:
    """Return what the query `?producers=a,b&speed=2` asks for.

    A client that resumes may have picked names that this server's log no longer has, or not yet.

    Raises:
        Refused: 400 with the names that exist, or the speeds that are allowed.
    """
    query = request.query
    names = [name.strip() for name in query.get("producers", "").split(",") if name.strip()]
    try:
        speed = read_speed(query["speed"]) if "speed" in query else 1.0
        if "producers" not in query:
            return Selection(None, speed)
        known = request.app[HUB].names(client) if last_event_id(request) is None else names
        return Selection(read_producers(names, known), speed)
    except SelectionError as error:
        raise Refused(400, str(error)) from error


def check_admin(request: web.Request) -> None:
    """Admit administrators only.

    Raises:
        Refused: as by `check_token`.
    """
    check_token(request, "admin", request.app[SETTINGS].admin_token)


def check_token(request: web.Request, kind: str, token: str) -> None:
    """Admit the holder of a token; where no token is set, the users of this machine.

    A proxy on the same host is no local user: the requests that it forwards have its headers.

    Arguments:
        kind: which setting `--KIND-token` has the token.
        token: the value of that setting; empty where it is not set.

    Raises:
        Refused: 401 without the token where one is set; 403 from elsewhere where none is.
    """
    check_origin(request)
    if token:
        given = request.headers.get(hdrs.AUTHORIZATION, "")
        if not secrets.compare_digest(given.encode(), f"Bearer {token}".encode()):
            challenge = {"WWW-Authenticate": "Bearer"}
            raise Refused(401, f"send the {kind} token as Authorization: Bearer", challenge)
    elif not is_local(request):
        raise Refused(
            403, f"only this machine may do that; set --{kind}-token to allow it from elsewhere"
        )


def is_local(request: web.Request) -> bool:
    """Return whether a request comes from this machine, through no proxy, to a name of this machine.

    The name is checked against DNS rebinding: a foreign site can let its own name resolve to this
    machine. A local browser then sends requests from this machine, with an origin that equals the
    host.
    """
    forwarded = any(name in request.headers for name in FORWARDING)
    return not forwarded and _is_loopback(request.remote or "") and _is_loopback(_host(request))


def _host(request: web.Request) -> str:
    try:
        return urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_origin(request: web.Request) -> None:
    """Admit pages from the server's own address or an allowed origin, and no others.

    Browsers send `Origin` with each WebSocket handshake and each POST (RFC 6454, RFC 6455 section
    10.2). A request without it is not from a browser, and has no user to protect.

    Raises:
        Refused: 403 with the setting that allows the origin.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None or origin in request.app[SETTINGS].allow_origin:
        return
    if not _is_own(origin, request):
        raise Refused(403, f"origin {origin[:200]!r} may not connect; allow it with --allow-origin")


def _is_own(given: str, request: web.Request) -> bool:
    """Return whether an origin is the address of the request: the same host, on its or our ports.

    The page on the web site's port opens its socket on the WebSocket site's port. Behind a proxy that
    ends TLS the server does not see the scheme: a missing port may mean 80 or 443.
    """
    try:
        origin, host = urlsplit(given), urlsplit(f"//{request.host}")
        origin_port = origin.port
        host_port = host.port
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(origin.scheme)
    if default is None or not origin.hostname or origin.hostname != host.hostname:
        return False
    port = origin_port or default
    return port in request.app[SITES].ports or port == (host_port or default)
