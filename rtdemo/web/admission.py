"""Decide whether a connection is admitted: its origin and its query."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from rtdemo.errors import Refused
from rtdemo.hub.past import NO_PAST, PARAMETERS, Past, read_past
from rtdemo.hub.selection import EVERYTHING, Selection, SelectionError, read_producers, read_speed
from rtdemo.protocol.client import Client, Transport, new_id
from rtdemo.web.app_keys import HUB, OTHER_WORKERS, SETTINGS, SITES
from rtdemo.web.host import split_host
from rtdemo.web.limits import check_room

RETRY_SOON = {"Retry-After": "2"}
"""Header of a refusal for a reason that soon passes; the value is in seconds."""
TICKET = "ticket"
"""Parameter of the query with a login ticket. Plugins do not see it."""
_NO_QUERY: Mapping[str, str] = MappingProxyType({})
_IF_LATER = "; latest=1 also accepts a name that is published later"
"""End of the refusal of a name that is not known."""
_MAX_ORIGIN_CHARACTERS = 200
"""Characters of a refused origin that are shown."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Admitted(NamedTuple):
    """A client whose connection may open, and what it asked for.

    Arguments:
        client: the peer.
        selection: what it receives.
        past: what it receives before live messages.
    """

    client: Client
    selection: Selection
    past: Past


def admit(request: web.Request, transport: Transport, address: str, user: str | None) -> Admitted:
    """Return the client of a request that opens a connection, and what it asked for.

    Arguments:
        request: opens the connection.
        transport: of the connection.
        address: of the client, which `check_connect` has admitted.
        user: the name that the login proved; None where login is off.

    Raises:
        Refused: 503 while the server drains or has no file descriptor for a stream; 400 for a query
            that is not allowed; 429 or 503 over a limit of connections.
    """
    app = request.app
    hub = app[HUB]
    if user is not None:
        # The login may have waited, and nothing does from here until the connection counts.
        check_room(hub, address)
    if hub.refusing:
        raise shutting_down()
    if hub.is_full:
        hub.refused["descriptors"] += 1
        raise Refused(503, "the server has no file descriptor for another stream; try again", RETRY_SOON)
    id_ = new_id(app[OTHER_WORKERS].own_pid)
    if not request.query_string:
        return Admitted(Client(transport, address, user, _NO_QUERY, id_), EVERYTHING, NO_PAST)
    query = {name: value for name, value in request.query.items() if name != TICKET}
    client = Client(transport, address, user, query, id_)
    wanted = past(request) if not PARAMETERS.isdisjoint(query) else NO_PAST
    return Admitted(client, selection(request, client, wanted), wanted)


def shutting_down() -> Refused:
    """Return the refusal of a server that stops."""
    return Refused(503, "the server is shutting down; try again", RETRY_SOON)


def last_event_id(request: web.Request) -> str | None:
    """Return the position at which a client resumes; None for a new client.

    The header has precedence: a browser's own reconnect sends it with the address of its first
    connect, which may have an older `?last_event_id=`.
    """
    given = request.headers.get("Last-Event-ID") or request.query.get("last_event_id")
    return given or None


def selection(request: web.Request, client: Client, wanted: Past) -> Selection:
    """Return what the query `?producers=a,b&speed=2` asks for.

    A client that resumes may have picked names that this server's log no longer has, or not yet. One
    that asks for the past shows what there is, and may be opened before the first message of a name.

    Raises:
        Refused: 400 with the names that exist, or the speeds that are allowed.
    """
    query = request.query
    try:
        speed = read_speed(query["speed"]) if "speed" in query else 1.0
        if "producers" not in query:
            return Selection(None, speed)
        names = [name.strip() for name in query["producers"].split(",") if name.strip()]
        is_new = last_event_id(request) is None and wanted == NO_PAST
        known = request.app[HUB].names(client) if is_new else names
        return Selection(read_producers(names, known, _IF_LATER), speed)
    except SelectionError as error:
        raise Refused(400, str(error)) from error


def past(request: web.Request) -> Past:
    """Return what the query `?latest=1&rewind=10m` asks for.

    Raises:
        Refused: 400 with what is allowed.
    """
    try:
        return read_past(request.query)
    except SelectionError as error:
        raise Refused(400, str(error)) from error


def check_origin(request: web.Request) -> None:
    """Admit pages from the server's own address or an allowed origin, and no others.

    Browsers send `Origin` with each WebSocket handshake and each POST (RFC 6454, RFC 6455 section
    10.2). A request without it is not from a browser, and has no user to protect.

    The log names a refused origin once a minute.

    Raises:
        Refused: 403 with the setting that allows the origin.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None or origin in request.app[SETTINGS].allow_origin:
        return
    if not _is_own(origin, request):
        shown = origin[:_MAX_ORIGIN_CHARACTERS]
        request.app[HUB].limits.report_origin(shown)
        raise Refused(403, f"origin {shown!r} may not connect; allow it with --allow-origin")


def _is_own(given: str, request: web.Request) -> bool:
    """Return whether an origin is the address of the request: the same host, on its or our ports.

    The page on the web site's port opens its socket on the WebSocket site's port. Behind a proxy that
    ends TLS the server does not see the scheme: a missing port may mean 80 or 443.
    """
    try:
        origin = urlsplit(given)
        origin_port = origin.port
    except ValueError:
        return False
    host = split_host(request)
    default = _DEFAULT_PORTS.get(origin.scheme)
    if default is None or not origin.hostname or origin.hostname != host.hostname:
        return False
    port = origin_port or default
    return port in request.app[SITES].ports or port == (host.port or default)
