"""The page, its modules and its style."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import aiohttp_jinja2
import jinja2
from aiohttp import hdrs, web

from rtdemo import __version__
from rtdemo.settings.folders import bundled
from rtdemo.web.app_keys import SETTINGS, SITES
from rtdemo.web.login import LOGIN

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        # The WebSocket site is another origin, and ws: another scheme.
        "connect-src 'self' ws: wss:",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    )
)
STATIC = Path(__file__).with_name("static")


def setup(app: web.Application) -> None:
    """Add the page, its modules and its style to the application."""
    loader = jinja2.FileSystemLoader(bundled("templates"))
    aiohttp_jinja2.setup(app, loader=loader, autoescape=True)
    app.router.add_get("/", index)
    app.router.add_static("/static/", STATIC)


async def index(request: web.Request) -> web.Response:
    """Answer `GET /` with the page."""
    settings = request.app[SETTINGS]
    context = {
        "version": __version__,
        "websocket_port": _websocket_port(request),
        "lab": settings.lab,
        "probes": settings.probes,
        "login": request.app[LOGIN].is_on,
    }
    response = aiohttp_jinja2.render_template("index.html", request, context)
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers[hdrs.CACHE_CONTROL] = "no-cache"
    return response


def _websocket_port(request: web.Request) -> int | None:
    """Return the WebSocket site's port if the browser can probably reach it, else None.

    A request for another port than ours came through a proxy, which forwards one address only. The
    page then opens its socket at /ws of that address.
    """
    sites = request.app[SITES]
    try:
        requested_port = urlsplit(f"//{request.host}").port or 80
    except ValueError:
        return None
    return sites.websocket if requested_port == sites.web else None
