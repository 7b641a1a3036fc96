"""Which requests are WebSocket handshakes, and the answers to all others: 400, 404, 405 and 426."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11
from websockets.utils import accept_key

from rtdemo.errors import Refused
from rtdemo.web import answers
from rtdemo.web.app_keys import SETTINGS, SITES
from rtdemo.web.host import split_host

PATH = "/ws"
"""Path of the WebSocket on the web site."""
KEY_BYTES = 16
"""Length of the key that a client sends, before Base64 (RFC 6455 section 4.1)."""
_ACCEPTED = (
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)
"""Beginning of the answer that accepts a handshake, up to what depends on the client's key."""


def check_handshake(request: web.Request) -> None:
    """Admit WebSocket handshakes of version 13 only (RFC 6455 section 4.2.1).

    Raises:
        Refused: 405 for another method than GET; 426, with the headers of a handshake, for another GET;
            400 for a bad key, for several keys, for a body, and for HTTP/1.0.
    """
    headers = request.headers
    if request.method != hdrs.METH_GET:
        raise Refused(
            405,
            f"this address accepts only WebSocket, by GET; the page is at {_page_url(request)}",
            {hdrs.ALLOW: hdrs.METH_GET},
        )
    is_upgrade = (
        headers.get(hdrs.UPGRADE, "").strip().lower() == "websocket"
        and "upgrade" in ",".join(headers.getall(hdrs.CONNECTION, [])).lower()
    )
    if is_upgrade and headers.getall(hdrs.SEC_WEBSOCKET_VERSION, []) == ["13"]:
        if request.version < HttpVersion11:
            raise Refused(400, "a WebSocket handshake needs HTTP/1.1; a proxy on the way may speak 1.0")
        keys = headers.getall(hdrs.SEC_WEBSOCKET_KEY, [])
        if len(keys) != 1 or not _is_key(keys[0]):
            raise Refused(400, "Sec-WebSocket-Key: send exactly one, of 16 bytes in Base64")
        if request.body_exists:
            # Its bytes would be read as frames.
            raise Refused(400, "a WebSocket handshake has no body; send it without one")
        return
    raise Refused(
        426,
        f"this address accepts only WebSocket (version 13); the page is at {_page_url(request)}",
        {hdrs.UPGRADE: "websocket", hdrs.CONNECTION: "Upgrade", hdrs.SEC_WEBSOCKET_VERSION: "13"},
    )


def check_no_handshake(request: web.Request) -> None:
    """Refuse a WebSocket handshake at a path of the web site that has no WebSocket, such as its page.

    Some proxies add `Upgrade` to every request; the key is only in a handshake.

    Raises:
        Refused: 404 with the path of the WebSocket.
    """
    is_handshake = hdrs.SEC_WEBSOCKET_KEY in request.headers and hdrs.UPGRADE in request.headers
    if is_handshake and request.method == hdrs.METH_GET and request.path != PATH:
        base_path = request.app[SETTINGS].base_path
        raise Refused(404, f"there is no WebSocket at this path; the WebSocket is at {base_path}{PATH}")


def accept_handshake(request: web.Request, more: Mapping[str, str] | None = None) -> bytes:
    """Return the answer that accepts a handshake (RFC 6455 section 4.2.2).

    Arguments:
        request: a handshake that `check_handshake` admits.
        more: further headers, such as `Sec-WebSocket-Extensions`.
    """
    accept = accept_key(request.headers[hdrs.SEC_WEBSOCKET_KEY])
    lines = answers.header_lines(request)
    if more:
        lines += "".join(f"{name}: {value}\r\n" for name, value in more.items())
    return f"{_ACCEPTED}{accept}\r\n{lines}\r\n".encode()


def _is_key(key: str) -> bool:
    try:
        return len(b64decode(key, validate=True)) == KEY_BYTES
    except ValueError:
        return False


def _page_url(request: web.Request) -> str:
    """Return the page's address: host and port of the request, unless they are the WebSocket site's."""
    sites, path = request.app[SITES], f"{request.app[SETTINGS].base_path}/"
    requested = split_host(request)
    host, port = requested.hostname or "localhost", requested.port
    if requested.hostname and port != sites.websocket:
        return f"{request.scheme}://{requested.netloc}{path}"
    host = f"[{host}]" if ":" in host else host
    return f"{request.scheme}://{host}:{sites.web}{path}"
