"""The view: a page about the data, with a card for each producer."""

from __future__ import annotations

from datetime import UTC, datetime

import aiohttp_jinja2
from aiohttp import hdrs, web

from rtdemo import __version__
from rtdemo.errors import Refused, printable
from rtdemo.hub.selection import MAX_NAMES
from rtdemo.protocol import message
from rtdemo.web import static_files
from rtdemo.web.access import may_read_details
from rtdemo.web.app_keys import HUB, SETTINGS
from rtdemo.web.latest_values import built_in, latest_values, private_names
from rtdemo.web.login import LOGIN, reader
from rtdemo.web.page import page_headers, reread_files
from rtdemo.web.static_files import STATIC_FILES

MAX_OTHERS = 10
"""Producers with values that a page names whose own ones have none."""


def setup(app: web.Application) -> None:
    """Add the view to the application. Its scripts and styles are those of `static_files`."""
    app.router.add_get("/view", view)


async def view(request: web.Request) -> web.Response:
    """Answer `GET /view` with the page, which has the newest value of each producer.

    Without JavaScript it is a table. A browser sends no login token with a page, so where a login is
    needed the values come with the connection.

    Raises:
        Refused: 429 after too many wrong tokens from the client's address; 500 where an edited file
            cannot be joined.
    """
    if request.app[SETTINGS].reload:
        reread_files(request)
    hub, files = request.app[HUB], request.app[STATIC_FILES]
    login = request.app[LOGIN].is_on
    picked = _names(request, "producers")
    shipped = built_in(hub)
    without = [] if picked else _names(request, "without") or []
    hidden = shipped.union(without)
    others: list[str] = []
    try:
        identity = await reader(request)
        values, more = latest_values(hub, identity, picked, hidden)
        if picked and not values:
            shared = [each.name for each in latest_values(hub, identity, None, hidden)[0]]
            others = sorted({*shared, *private_names(hub, identity)} - hidden - set(picked))[:MAX_OTHERS]
    except Refused as refused:
        if refused.status not in (401, 403):
            raise
        values, more = [], 0
    # A browser sends no token with a page.
    details = await may_read_details(request, token_is_checked=True)
    context = {
        "version": __version__,
        "script": files.url(static_files.VIEW_SCRIPT),
        "style": files.url(static_files.VIEW_STYLE),
        "icon": files.url("icon.svg"),
        "login": login,
        "details": details,
        "built_in": ",".join(sorted(shipped)),
        # Its time is not for those who may not read it.
        "log_from": 0 if login else hub.engine.log.oldest_at,
        "now": message.now(),
        "bare": request.query.get("bare") == "1",
        # The address may have any characters, such as those that reverse the heading's order.
        "picked": [printable(name) for name in picked or []],
        "without": without,
        "others": others,
        "values": values,
        "more": more,
        "time_of": _time_of,
    }
    headers = {**_framing(request), hdrs.CACHE_CONTROL: "no-store"}
    text = aiohttp_jinja2.render_string("view.html", request, context)
    return web.Response(text=text, content_type="text/html", headers=headers)


def _names(request: web.Request, parameter: str) -> list[str] | None:
    """Return the names of producers in a parameter of the address; None without it."""
    given = request.query.get(parameter)
    if given is None:
        return None
    return list(dict.fromkeys(name for name in given.split(",") if name))[:MAX_NAMES]


def _framing(request: web.Request) -> dict[str, str]:
    """Return the headers of the page, with who may show it in a frame."""
    embedders = request.app[SETTINGS].allow_embed
    # An isolated page frames only what allows that (HTML section 7.1.4).
    resource = {"Cross-Origin-Resource-Policy": "cross-origin"} if embedders else {}
    return {**page_headers(request, embedders), **resource}


def _time_of(sent_at: float) -> str:
    """Return a time as HTML's `datetime` has it."""
    return datetime.fromtimestamp(sent_at / 1000, UTC).isoformat(timespec="milliseconds")
