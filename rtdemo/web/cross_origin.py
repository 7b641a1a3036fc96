"""Let pages of other origins read answers: the CORS protocol (Fetch section 3.3).

What is not listed here stays hidden from them, and preflight requests for it are refused. Only pages
that may connect (`check_origin`) read an answer. Only the files of the elements are for every page.
"""

from __future__ import annotations

from contextlib import suppress

from aiohttp import hdrs, web

from rtdemo.errors import Refused
from rtdemo.web.admission import check_origin

PATHS = frozenset(("/api/messages", "/api/producers", "/api/sse", "/api/ticket", "/healthz"))
"""What a client in a page needs: streams, texts, names and units, tickets, and a sign of life."""
EVERY_ORIGIN = {
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""Headers of a file that every page may load, also an isolated one (HTML section 7.1.4)."""
_PREFLIGHT_S = 600
"""Seconds for which a browser need not ask again."""
_ALLOWED = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Last-Event-ID",
    hdrs.ACCESS_CONTROL_MAX_AGE: str(_PREFLIGHT_S),
}


def allow_reading(request: web.Request, response: web.StreamResponse) -> None:
    """Let a page that may connect read an answer, also a refusal; browsers hide it from other pages.

    Reading changes nothing, so the answer is sent in any case.

    Arguments:
        request: with the page's `Origin`.
        response: about to be sent.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None or request.path not in PATHS:
        return
    response.headers[hdrs.VARY] = hdrs.ORIGIN
    with suppress(Refused):
        check_origin(request)
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = hdrs.RETRY_AFTER


def is_preflight(request: web.Request) -> bool:
    """Return whether a browser asks what a page may send (Fetch section 3.3.2)."""
    return (
        request.method == hdrs.METH_OPTIONS
        and hdrs.ORIGIN in request.headers
        and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        and request.path in PATHS
    )


def preflight(request: web.Request) -> web.Response:
    """Answer what a page may send: a login token, and the position at which it resumes.

    Raises:
        Refused: 403 for a page of a foreign origin.
    """
    check_origin(request)
    return web.Response(status=204, headers=_ALLOWED)
