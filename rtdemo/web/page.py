"""The page, its modules and its style."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, Any, cast

import aiohttp_jinja2
import jinja2
from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from rtdemo import __version__
from rtdemo.errors import Refused
from rtdemo.settings.folders import bundled
from rtdemo.web import answers
from rtdemo.web.access import may_read_details
from rtdemo.web.app_keys import SETTINGS, SITES
from rtdemo.web.host import split_host
from rtdemo.web.login import LOGIN

_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; connect-src 'self' {sockets}; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; object-src 'none'"
)
_HOST_AND_PORT = re.compile(r"([A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?", re.ASCII)
MAX_TAGS_CHARACTERS = 1000
"""Characters of `If-Match` or `If-None-Match`: a browser sends one tag, and each costs time."""
STATIC = Path(__file__).with_name("static")
_FILES = web.AppKey("_FILES", frozenset[str])


def setup(app: web.Application) -> None:
    """Add the page, its modules and its style to the application."""
    loader = jinja2.FileSystemLoader(bundled("templates"))
    aiohttp_jinja2.setup(app, loader=loader, autoescape=True)
    app.router.add_get("/", index)
    app[_FILES] = frozenset(
        path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()
    )
    app.router.add_get("/static/{name:.+}", static_file)


async def index(request: web.Request) -> web.Response:
    """Answer `GET /` with the page."""
    settings = request.app[SETTINGS]
    context = {
        "version": __version__,
        "websocket_port": _websocket_port(request),
        "lab": settings.lab,
        "probes": settings.probes,
        "details": await may_read_details(request),
        "login": request.app[LOGIN].is_on,
    }
    response = aiohttp_jinja2.render_template("index.html", request, context)
    response.headers[answers.CONTENT_SECURITY_POLICY] = _content_security_policy(request)
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers[hdrs.CACHE_CONTROL] = "no-cache"
    return response


async def static_file(request: web.Request) -> web.StreamResponse:
    """Answer `GET /static/NAME` with a file that was there at the start: no other name is looked up.

    Raises:
        Refused: 416 for a range that the file does not have; 400 for too many entity tags.
        HTTPNotFound: there is no such file.
    """
    name = request.match_info["name"]
    if name not in request.app[_FILES]:
        raise web.HTTPNotFound
    for header in (hdrs.IF_MATCH, hdrs.IF_NONE_MATCH):
        if len(request.headers.get(header, "")) > MAX_TAGS_CHARACTERS:
            raise Refused(400, f"{header} is over {MAX_TAGS_CHARACTERS} characters; send fewer tags")
    path = STATIC / name
    _check_range(request, path)
    return _StaticFile(path)


class _StaticFile(web.FileResponse):
    """Send a file through the transport, which reports when the client does not read.

    asyncio's `sendfile` writes past it, and waits without bound. uvloop has none. And aiohttp's 412 has
    no text.
    """

    async def _precondition_failed(self, request: web.BaseRequest) -> AbstractStreamWriter:
        line = answers.one_line("the file is not the one that If-Match or If-Unmodified-Since names")
        self.set_status(412)
        self.content_type = "text/plain"
        self.content_length = len(line)
        writer = cast("AbstractStreamWriter", await web.StreamResponse.prepare(self, request))
        if request.method != hdrs.METH_HEAD:
            await writer.write(line.encode())
        return writer

    async def _sendfile(
        self, request: web.BaseRequest, fobj: IO[Any], offset: int, count: int
    ) -> AbstractStreamWriter:
        writer = cast("AbstractStreamWriter", await web.StreamResponse.prepare(self, request))
        return await self._sendfile_fallback(writer, fobj, offset, count)


def _check_range(request: web.Request, path: Path) -> None:
    """Refuse a range that cannot be sent, with a line of text; aiohttp's own 416 has none."""
    size = path.stat().st_size
    try:
        start = request.http_range.start
    except ValueError:
        start = size
    if start is not None and start >= size:
        sentence = f"Range: the file has {size} bytes; ask for a range in it, as bytes=0-99"
        raise Refused(416, sentence, {hdrs.CONTENT_RANGE: f"bytes */{size}"})


def _content_security_policy(request: web.Request) -> str:
    """Return the page's policy. It names the addresses of the WebSocket: a scheme alone allows any host.

    The scheme is not known behind a proxy that ends TLS, so both are named. A policy cannot name an
    IPv6 address (CSP Level 3 section 2.3.1): there, the two schemes stay.
    """
    return _CONTENT_SECURITY_POLICY.format(sockets=" ".join(_socket_sources(request)))


def _socket_sources(request: web.Request) -> list[str]:
    given = split_host(request).netloc
    if given.startswith("["):
        return ["ws:", "wss:"]
    match = _HOST_AND_PORT.fullmatch(given)
    if match is None:
        return []
    port = _websocket_port(request)
    hosts = [given] if port is None else [given, f"{match[1]}:{port}"]
    return [f"{scheme}://{host}" for host in hosts for scheme in ("ws", "wss")]


def _websocket_port(request: web.Request) -> int | None:
    """Return the WebSocket site's port if the browser can probably reach it, else None.

    A request for another port than ours came through a proxy, which forwards one address only. The
    page then opens its socket at /ws of that address.
    """
    sites = request.app[SITES]
    requested_port = split_host(request).port or (443 if request.secure else 80)
    return sites.websocket if requested_port == sites.web else None
