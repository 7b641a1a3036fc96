"""Two servers on one Redis behind proxies, with a shared producer that ticks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.cluster.process import Process, rtdemo
from tests.cluster.proxies import PROXIES
from tests.redis_server import RedisServer

TICK_S = 0.2
"""Seconds from one tick to the next."""
TICKER = """
from rtdemo import producer

@producer(every={tick_s}, shared=True)
def ticker(seq):
    return f"tick {{seq}}"
"""


class Deployment:
    """The programs of the deployment; each can be killed and started again.

    Arguments:
        folder: for their files.
        proxies: names in `PROXIES`; each is in front of both servers.
        settings: further arguments of the servers.
        tick_s: seconds from one tick to the next.
    """

    def __init__(
        self, folder: Path, proxies: Sequence[str], settings: Sequence[str], tick_s: float
    ) -> None:
        (folder / "redis").mkdir()
        (folder / "ticker.py").write_text(TICKER.format(tick_s=tick_s))
        self.redis = RedisServer(folder / "redis")
        arguments = (str(folder / "ticker.py"), "--engine", self.redis.url, *settings)
        self.servers = [rtdemo(folder, name, *arguments) for name in ("one", "two")]
        ports = [server.port for server in self.servers]
        self.proxies = {name: PROXIES[name](_made(folder / name), ports) for name in proxies}

    @property
    def proxy(self) -> Process:
        """The first proxy."""
        return next(iter(self.proxies.values()))

    async def leader(self, http: aiohttp.ClientSession) -> Process:
        """Wait until a server runs the shared producers; return it."""
        while True:
            for server in self.servers:
                async with http.get(f"{server.url}/api/stats") as answer:
                    if (await answer.json())["log"]["leading"]:
                        return server
            await asyncio.sleep(0.05)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@asynccontextmanager
async def deployment(
    folder: Path,
    proxies: Sequence[str] = ("haproxy",),
    settings: Sequence[str] = (),
    tick_s: float = TICK_S,
) -> AsyncIterator[Deployment]:
    """Run a deployment while the block runs."""
    parts = Deployment(folder, proxies, settings, tick_s)
    try:
        await parts.redis.start()
        await asyncio.gather(*(server.start() for server in parts.servers))
        await asyncio.gather(*(proxy.start() for proxy in parts.proxies.values()))
        yield parts
    finally:
        for process in (*parts.proxies.values(), *parts.servers):
            await process.end()
        await parts.redis.stop()
