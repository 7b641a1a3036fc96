"""Two servers on one Redis behind HAProxy, with a shared producer that ticks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.cluster.process import Process, rtdemo
from tests.cluster.proxies import haproxy
from tests.redis_server import RedisServer

TICKER = """
from rtdemo import producer

@producer(every=0.2, shared=True)
def ticker(seq):
    return f"tick {seq}"
"""


class Deployment:
    """The programs of the deployment; each can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        (folder / "redis").mkdir()
        (folder / "ticker.py").write_text(TICKER)
        self.redis = RedisServer(folder / "redis")
        arguments = (str(folder / "ticker.py"), "--engine", self.redis.url)
        self.servers = [rtdemo(folder, name, *arguments) for name in ("one", "two")]
        self.proxy = haproxy(folder, [server.port for server in self.servers])

    async def leader(self, http: aiohttp.ClientSession) -> Process:
        """Wait until a server runs the shared producers; return it."""
        while True:
            for server in self.servers:
                async with http.get(f"{server.url}/api/stats") as answer:
                    if (await answer.json())["log"]["leading"]:
                        return server
            await asyncio.sleep(0.05)


@asynccontextmanager
async def deployment(folder: Path) -> AsyncIterator[Deployment]:
    """Run a deployment while the block runs."""
    parts = Deployment(folder)
    try:
        await parts.redis.start()
        for process in (*parts.servers, parts.proxy):
            await process.start()
        yield parts
    finally:
        for process in (parts.proxy, *parts.servers):
            await process.kill()
        await parts.redis.stop()
