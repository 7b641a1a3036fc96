"""Decide who may come in: the request's origin, its query, and whether there is room."""

from __future__ import annotations

import secrets
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from rtdemo.errors import Refused
from rtdemo.hub.selection import Selection, SelectionError, read_producers, read_speed
from rtdemo.protocol.client import Client, Transport
from rtdemo.web.app_keys import HUB, SETTINGS, SITES

RETRY_AFTER = 2
"""Seconds after which a client that met a draining server may try again."""
FORWARDING = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")
"""Headers by which a proxy tells of itself."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


def admit(request: web.Request, transport: Transport) -> tuple[Client, Selection]:
    """Return the client that a request becomes and what it asked for.

    Raises:
        Refused: 503 while draining; 400 for a query that is not allowed.
    """
    if request.app[HUB].draining:
        raise Refused(503, "the server is going away; try again", {"Retry-After": str(RETRY_AFTER)})
    client = Client(transport, request.remote or "", query=dict(request.query))
    return client, selection(request, client)


def last_event_id(request: web.Request) -> str | None:
    """Return the position behind which a client wants to go on; None where it names none.

    The header wins: a browser's own retry sends it, with the address of its first connect.
    """
    given = request.headers.get("Last-Event-ID") or request.query.get("last_event_id")
    return given or None


def selection(request: web.Request, client: Client) -> Selection:
    """Read `?producers=a,b` and `?speed=2`.

    Who comes back may have picked names that this log does not know yet, or no longer.

    Raises:
        Refused: 400 with the names that exist, or the speeds that may be given.
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
    """Let in who may administer.

    Raises:
        Refused: as `check_token` says.
    """
    check_token(request, "admin", request.app[SETTINGS].admin_token)


def check_token(request: web.Request, kind: str, token: str) -> None:
    """Let in a token's holder, or where no token is set this machine's own users.

    A proxy on the same host is not a local user: what it forwards has its headers.

    Arguments:
        kind: of the setting `--KIND-token`.

    Raises:
        Refused: 401 without the token where one is set, 403 from elsewhere where none is.
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
    """Tell whether a request comes from this machine, through no proxy, and to this machine by name.

    A page of any site may have its own name lead here (DNS rebinding); then the browser asks from
    this machine, with an origin that is the host's.
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
    """Let a page in from its own server's address or an allowed one, and no other.

    Browsers send `Origin` with each WebSocket handshake and each POST (RFC 6454, RFC 6455 section
    10.2); without it the peer is no browser and the rule has nobody to protect.

    Raises:
        Refused: 403 with the setting that lets the origin in.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None or origin in request.app[SETTINGS].allow_origin:
        return
    if not _is_own(origin, request):
        raise Refused(403, f"origin {origin[:200]!r} may not connect; allow it with --allow-origin")


def _is_own(given: str, request: web.Request) -> bool:
    """Compare with the address that the request was sent to: the same host, its port or one of ours.

    The page on the web site's port opens its socket on the WebSocket site's. Behind a proxy that
    ends TLS the scheme is not known here, so both defaults stand for a port that is not written.
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


def check_handshake(request: web.Request) -> None:
    """Let only a WebSocket handshake of version 13 pass (RFC 6455 section 4.2.1).

    Raises:
        Refused: 426 with the headers that say what to ask for, and where the page is.
    """
    headers = request.headers
    is_upgrade = (
        request.method == hdrs.METH_GET
        and headers.get(hdrs.UPGRADE, "").strip().lower() == "websocket"
        and "upgrade" in ",".join(headers.getall(hdrs.CONNECTION, [])).lower()
    )
    if is_upgrade and headers.get(hdrs.SEC_WEBSOCKET_VERSION) == "13":
        if not headers.get(hdrs.SEC_WEBSOCKET_KEY, "").isascii():
            raise Refused(400, "Sec-WebSocket-Key is not 16 bytes in Base64")
        return
    page = f"http://{_page_host(request)}/"
    raise Refused(
        426,
        f"only WebSocket (version 13) is spoken here; the page is at {page}",
        {hdrs.UPGRADE: "websocket", hdrs.CONNECTION: "Upgrade", hdrs.SEC_WEBSOCKET_VERSION: "13"},
    )


def _page_host(request: web.Request) -> str:
    """Return where the page is: on the web site as it was asked for, else on the web site's port."""
    sites = request.app[SITES]
    try:
        asked = urlsplit(f"//{request.host}")
        host, port = asked.hostname or "localhost", asked.port
    except ValueError:
        host, port = "localhost", sites.websocket
    if port != sites.websocket:
        return request.host
    return f"[{host}]:{sites.web}" if ":" in host else f"{host}:{sites.web}"
