"""Open pages of another origin that embed the values of a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page

from rtdemo.server.server import Server
from tests.browser.conftest import TIMEOUT_MS, BrowserErrors, Serve
from tests.browser.view.conftest import publish

__all__ = ["publish"]

Visit = Callable[..., Awaitable[Page]]
OpenHost = Callable[..., Awaitable[Page]]
Answer = Callable[[], Awaitable[web.Response]]
HTML = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page of others</title>
<style>{style}</style><script type="module" src="{script}"></script></head>
<body><main><h1>A page of others</h1>{body}</main></body></html>"""


class Site:
    """Another web server on this machine: browsers let a page from elsewhere not reach loopback.

    Attributes:
        html: its only page.
        ticket: answers `POST /ticket`.
        origin: its origin, once it has started.
    """

    def __init__(self) -> None:
        self.html = ""
        self.ticket: Answer | None = None
        self.origin = ""
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_get("/favicon.ico", self._nothing)
        app.router.add_post("/ticket", self._ticket)
        self._runner = web.AppRunner(app)

    async def start(self) -> None:
        """Serve on a free port."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.origin = f"http://page.localhost:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close all connections."""
        await self._runner.cleanup()

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(text=self.html, content_type="text/html")

    async def _nothing(self, _request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _ticket(self, _request: web.Request) -> web.Response:
        assert self.ticket is not None
        return await self.ticket()


@pytest_asyncio.fixture(loop_scope="session")
async def site() -> AsyncIterator[Site]:
    """A web server of others."""
    site = Site()
    await site.start()
    yield site
    await site.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def allowing(serve: Serve, site: Site) -> Server:
    """A server that the site's pages may connect to."""
    return await serve(allow_origin=(site.origin,))


@pytest_asyncio.fixture(loop_scope="session")
async def visit(
    browser: Browser, site: Site, serve: Serve, browser_errors: BrowserErrors
) -> AsyncIterator[Visit]:
    """Open the site's page, with what a browser context takes.

    It needs `serve` so that it is over before the servers are: the page of a server that has stopped
    would report that.
    """
    contexts: list[BrowserContext] = []

    async def visited(**options: Any) -> Page:
        context = await browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        page = await context.new_page()
        page.on("console", browser_errors.note)
        page.on("pageerror", lambda error: browser_errors.append(str(error)))
        await page.goto(site.origin)
        return page

    yield visited
    for context in contexts:
        await context.close()
    assert browser_errors == [], "the browser reported errors"


@pytest.fixture
def open_host(visit: Visit, allowing: Server, site: Site) -> OpenHost:
    """Open a page of the site: its body, its elements' server, and what a browser context takes."""
    served = allowing

    async def opened(body: str, server: Server = served, *, style: str = "", **options: Any) -> Page:
        script = f"{server.web_url}/static/embed.js"
        site.html = HTML.format(style=style, script=script, body=body)
        return await visit(**options)

    return opened
