"""Run `rtdemo bench` as a command, and servers to measure."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import websockets
from aiohttp import web
from aiohttp.typedefs import Handler

from tests.cluster.process import rtdemo


class Done(NamedTuple):
    """The exit code and the output of a command."""

    code: int | None
    out: str
    err: str

    @property
    def problems(self) -> str:
        """Standard error without the lines of progress, of which a slow machine has more."""
        lines = self.err.splitlines(keepends=True)
        return "".join(line for line in lines if not re.fullmatch(r"rtdemo: .*; about .* left\n", line))


async def start(*arguments: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtdemo", "bench", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finish(process: asyncio.subprocess.Process) -> Done:
    out, err = await asyncio.wait_for(process.communicate(), 100)
    return Done(process.returncode, out.decode(), err.decode())


async def bench(*arguments: object) -> Done:
    return await finish(await start(*arguments))


@asynccontextmanager
async def plugin_server(folder: Path, plugin: str = "") -> AsyncIterator[str]:
    """Run a server with a plugin in its own process; yield its URL."""
    file = folder / "extra.py"
    file.write_text(plugin)
    server = rtdemo(folder, "server", str(file))
    await server.start()
    try:
        yield server.url
    finally:
        await server.kill()


@asynccontextmanager
async def http_server(handler: Handler) -> AsyncIterator[str]:
    """Run a server of aiohttp with one handler for POST requests to any path; yield its URL."""
    app = web.Application()
    app.router.add_route("POST", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def refuse_http(
    connection: websockets.ServerConnection, request: websockets.Request
) -> websockets.Response | None:
    """Answer requests to rtdemo's API with 404, as a server that has only a WebSocket."""
    return connection.respond(404, "nothing\n") if request.path.startswith("/api") else None
