"""The page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import aiohttp_jinja2
import jinja2
from aiohttp import hdrs, web

from rtdemo import __version__
from rtdemo.errors import JoinError, Refused
from rtdemo.settings.folders import bundled
from rtdemo.web import answers, static_files
from rtdemo.web.access import may_read_details
from rtdemo.web.app_keys import SETTINGS, SITES
from rtdemo.web.host import host_name, is_loopback, split_host
from rtdemo.web.login import LOGIN
from rtdemo.web.representation import Representation
from rtdemo.web.static_files import STATIC_FILES

_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; connect-src 'self' {sockets}; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors {embedders}; object-src 'none'"
)
_HOST_AND_PORT = re.compile(r"([A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?", re.ASCII)
_ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
"""With both, browsers give the page timers of 5 to 20 µs instead of 0.1 to 1 ms (HTML section 7.1.5)."""


class _Facts(NamedTuple):
    """What the page depends on, beside the settings.

    Arguments:
        websocket_port: as by `websocket_port`.
        details: whether its reader may read details.
    """

    websocket_port: int | None
    details: bool


_PAGES = web.AppKey("_PAGES", dict[_Facts, Representation])


def setup(app: web.Application) -> None:
    """Add the page to the application, with its scripts and styles."""
    loader = jinja2.FileSystemLoader(bundled("templates"))
    aiohttp_jinja2.setup(app, loader=loader, autoescape=True)
    app[_PAGES] = {}
    app.router.add_get("/", index)
    static_files.setup(app)


async def index(request: web.Request) -> web.Response:
    """Answer `GET /` with the page.

    Raises:
        Refused: as by `Representation.answer`; 500 where an edited file cannot be joined.
    """
    facts = _Facts(websocket_port(request), await may_read_details(request))
    headers = {**page_headers(request), hdrs.CACHE_CONTROL: static_files.REVALIDATED}
    return _page(request, facts).answer(request, headers)


def page_headers(request: web.Request, embedders: Iterable[str] = ()) -> dict[str, str]:
    """Return the headers of a page, but for its caching.

    No answer has `X-Frame-Options`: browsers ignore it beside `frame-ancestors` (CSP Level 3 section
    6.4.2.2), and it cannot name an origin.

    Arguments:
        request: of the page.
        embedders: origins whose pages may show it in a frame.
    """
    return {
        answers.CONTENT_SECURITY_POLICY: _content_security_policy(request, embedders),
        "Referrer-Policy": "no-referrer",
        **(_ISOLATION if _is_trustworthy(request) else {}),
    }


def _page(request: web.Request, facts: _Facts) -> Representation:
    """Return the page, made once for the same facts; with `--reload` each time from the files."""
    pages = request.app[_PAGES]
    if request.app[SETTINGS].reload:
        pages.clear()
        reread_files(request)
    page = pages.get(facts)
    if page is None:
        page = pages[facts] = Representation(_html(request, facts), "text/html; charset=utf-8")
    return page


def reread_files(request: web.Request) -> None:
    """Read the scripts and styles again, which may have changed.

    Raises:
        Refused: 500 where an edited file cannot be joined.
    """
    try:
        request.app[STATIC_FILES].read()
    except JoinError as error:
        raise Refused(500, str(error)) from error


def _html(request: web.Request, facts: _Facts) -> bytes:
    settings, files = request.app[SETTINGS], request.app[STATIC_FILES]
    context = {
        "version": __version__,
        "script": files.url(static_files.SCRIPT),
        "style": files.url(static_files.STYLE),
        "icon": files.url("icon.svg"),
        "websocket_port": facts.websocket_port,
        "lab": settings.lab,
        "probes": settings.probes,
        "details": facts.details,
        "login": request.app[LOGIN].is_on,
    }
    return aiohttp_jinja2.render_string("index.html", request, context).encode()


def _is_trustworthy(request: web.Request) -> bool:
    """Return whether the browser takes the page's origin for trustworthy, as far as this is visible.

    Elsewhere it ignores the headers of isolation, and Chromium reports each as an error. Behind a proxy
    that ends TLS, only the browser knows its scheme. It sends `Sec-Fetch-Dest` to trustworthy origins
    only (Fetch Metadata section 2), and no page can set it. A client that lies isolates itself.
    """
    return request.secure or is_loopback(host_name(request)) or "Sec-Fetch-Dest" in request.headers


def _content_security_policy(request: web.Request, embedders: Iterable[str]) -> str:
    """Return the page's policy. It names the addresses of the WebSocket: a scheme alone allows any host.

    The scheme is not known behind a proxy that ends TLS, so both are named. A policy cannot name an
    IPv6 address (CSP Level 3 section 2.3.1): there, the two schemes stay.
    """
    return _CONTENT_SECURITY_POLICY.format(
        sockets=" ".join(_socket_sources(request)), embedders=" ".join(embedders) or "'none'"
    )


def _socket_sources(request: web.Request) -> list[str]:
    given = split_host(request).netloc
    if given.startswith("["):
        return ["ws:", "wss:"]
    match = _HOST_AND_PORT.fullmatch(given)
    if match is None:
        return []
    port = websocket_port(request)
    hosts = [given] if port is None else [given, f"{match[1]}:{port}"]
    return [f"{scheme}://{host}" for host in hosts for scheme in ("ws", "wss")]


def websocket_port(request: web.Request) -> int | None:
    """Return the WebSocket site's port if the browser can probably reach it, else None.

    A request for another port than ours came through a proxy, which forwards one address only, and a
    base path is for a proxy. The page then opens its socket beside itself, at /ws or /rt/ws.
    """
    sites = request.app[SITES]
    if request.app[SETTINGS].base_path:
        return None
    requested_port = split_host(request).port or (443 if request.secure else 80)
    return sites.websocket if requested_port == sites.web else None
