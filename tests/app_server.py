"""A server of aiohttp that answers with a test's own function; it ends with its block."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def app_server(app: web.Application) -> AsyncIterator[str]:
    """Serve an application; yield its URL, without a slash at the end."""
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def answering(handler: Handler, path: str = "/{path:.*}", method: str = "*") -> AsyncIterator[str]:
    """Answer the requests of a path with a function, and others with 404; yield the server's URL."""
    app = web.Application()
    app.router.add_route(method, path, handler)
    async with app_server(app) as url:
        yield url
