"""Serve below a path, such as `/rt/`: a proxy may have several servers at one address.

Some proxies remove the path from the target of a request, and some do not. Where it is still there, it
is removed before anything reads the target: all other code sees the same targets as without a path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import hdrs, web
from aiohttp.http_parser import RawRequestMessage

from rtdemo.web.app_keys import SETTINGS

MakeRequest = Callable[..., web.BaseRequest]
"""Makes a request of its parsed head, and of what else aiohttp's server passes."""


def setup(app: web.Application, base_path: str) -> None:
    """Add the redirect from the base path to the page.

    Arguments:
        app: the application.
        base_path: such as `/rt`; empty for none.
    """
    if base_path:
        app.router.add_get(base_path, add_slash)


async def add_slash(request: web.Request) -> web.Response:
    """Answer `GET /rt` with a redirect to `/rt/`, from where the page's relative URLs are right.

    The `Location` is relative (RFC 9110 section 10.2.2): a proxy may have removed a path before it.
    """
    last_part = request.app[SETTINGS].base_path.rpartition("/")[2]
    # As it arrived: decoded, it could have a line break, which no header may have.
    query = f"?{request.rel_url.raw_query_string}" if request.query_string else ""
    return web.Response(status=307, headers={hdrs.LOCATION: f"{last_part}/{query}"})


def below(base_path: str, make: MakeRequest) -> MakeRequest:
    """Return what makes requests without the base path in their targets.

    Arguments:
        base_path: such as `/rt`; empty for none.
        make: makes requests.
    """
    if not base_path:
        return make

    def made(message: RawRequestMessage, *rest: Any) -> web.BaseRequest:
        return make(without(base_path, message), *rest)

    return made


def without(base_path: str, message: RawRequestMessage) -> RawRequestMessage:
    """Return a head without the base path in its target; as it is if the target is not below that path.

    Arguments:
        base_path: such as `/rt`.
        message: the head. Its target may be a whole URL (RFC 9112 section 3.2.2).
    """
    target, url = message.path, message.url
    start = 0 if target.startswith("/") else target.find("/", target.find("://") + 3)
    if start < 0 or not target.startswith(f"{base_path}/", start):
        return message
    path = url.raw_path.removeprefix(base_path)
    return message._replace(
        path=target[:start] + target[start + len(base_path) :],
        url=url.with_path(path, encoded=True, keep_query=True, keep_fragment=True),
    )
