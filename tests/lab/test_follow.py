"""Errors of servers that `rtdemo tail` and other commands follow."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web

from rtdemo.errors import ServerError
from rtdemo.lab import address
from rtdemo.lab.follow import Follower, refusal_error, stop_at_redirects
from rtdemo.protocol.client import Transport

URL = "https://here.test/api/sse"
HTML = "<html>\n<h1>Bad gateway</h1>"


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (500, "login failed; see the server log\n", "answered 500: login failed; see the server log"),
        (403, "not you\n", "answered 403: not you; see the server log"),
        (401, "log in", "answered 401: log in; give a login token with --token"),
        (502, HTML, "answered 502: <html> <h1>Bad gateway</h1>; see the server log"),
        (404, "", "answered 404; see the server log"),
    ],
)
def test_refusal_is_one_line_that_says_what_to_do_once(status: int, body: str, line: str) -> None:
    """The server's own words may say it already."""
    assert str(refusal_error(URL, status, body, {})) == f"{URL} {line}"


@pytest.mark.parametrize("transport", ["websocket", "sse"])
async def test_redirect_is_reported_and_not_followed(transport: Transport) -> None:
    """The user should know which server it is about; a query may have a secret."""

    async def redirect(request: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect("http://elsewhere.test/live?key=secret")

    app = web.Application()
    app.router.add_get("/{path:.*}", redirect)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        given = address.parse(f"http://127.0.0.1:{runner.addresses[0][1]}")
        async with aiohttp.ClientSession(middlewares=(stop_at_redirects,)) as http:
            with pytest.raises(ServerError) as raised:
                await anext(Follower(http, given, transport).texts())
    finally:
        await runner.cleanup()
    assert str(raised.value).endswith("redirects to http://elsewhere.test/live; give that address")
