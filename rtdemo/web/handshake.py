"""The WebSocket handshake: which requests are one, and the 426 answer to all others."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import hdrs, web

from rtdemo.errors import Refused
from rtdemo.web.app_keys import SITES


def check_handshake(request: web.Request) -> None:
    """Admit WebSocket handshakes of version 13 only (RFC 6455 section 4.2.1).

    Raises:
        Refused: 426 with the headers of a valid handshake and the page's address; 400 for a bad key.
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
        f"this address accepts only WebSocket (version 13); the page is at {page}",
        {hdrs.UPGRADE: "websocket", hdrs.CONNECTION: "Upgrade", hdrs.SEC_WEBSOCKET_VERSION: "13"},
    )


def _page_host(request: web.Request) -> str:
    """Return the page's host and port: the request's own, unless they are the WebSocket site's."""
    sites = request.app[SITES]
    try:
        requested = urlsplit(f"//{request.host}")
        host, port = requested.hostname or "localhost", requested.port
    except ValueError:
        host, port = "localhost", sites.websocket
    if port != sites.websocket:
        return request.host
    return f"[{host}]:{sites.web}" if ":" in host else f"{host}:{sites.web}"
