"""Run the suite on six servers, and print the table of docs/conform.md: make conform."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

from rtdemo.lab.conform.check import LEVELS
from rtdemo.lab.conform.exchange import Target
from rtdemo.lab.conform.report import Report, judge
from rtdemo.lab.conform.run import Suite
from rtdemo.server.server import Server
from rtdemo.settings.settings import Settings
from tests.lab.conform.test_other_servers import NODE, ROOT, served

SECONDS = 35.0


@asynccontextmanager
async def rtdemo() -> AsyncIterator[str]:
    """Run rtdemo with its built-in producers; yield the URL of its stream."""
    free = {"host": "127.0.0.1", "websocket_host": "127.0.0.1", "port": 0, "websocket_port": 0}
    server = Server(Settings(**free, drain_seconds=0.0), ())  # type: ignore[arg-type]  # settings of tests
    await server.start()
    yield f"{server.web_url.rstrip('/')}/api/sse"
    await server.stop()


def servers() -> dict[str, AbstractAsyncContextManager[str]]:
    """Return the servers by their names, with versions."""
    node = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    packages = json.loads((ROOT / "tests/package.json").read_text())["devDependencies"]
    uvicorn = f"uvicorn {version('uvicorn')}"
    return {
        f"rtdemo {version('rtdemo')}": rtdemo(),
        f"aiohttp-sse {version('aiohttp-sse')} on aiohttp {version('aiohttp')}": served(
            "aiohttp_sse_server.py"
        ),
        f"sse-starlette {version('sse-starlette')} on {uvicorn}": served("sse_starlette_server.py"),
        f"FastAPI {version('fastapi')} on {uvicorn}": served("fastapi_server.py"),
        f"better-sse {packages['better-sse']} on Node {node}": served("better_sse_server.mjs"),
        f"node:http of Node {node}": served("node_http_server.mjs"),
    }


async def report_on(server: AbstractAsyncContextManager[str]) -> Report:
    """Return the report on a server that runs for this."""
    async with server as url:
        suite = Suite(Target(url), SECONDS)
        await suite.run()
        return judge(suite.evidence, suite.checks)


def row(name: str, report: Report) -> str:
    """Return a line of the table."""
    cells = [name]
    for level in LEVELS:
        made = [r for r in report.checks if r.level == level and r.verdict != "not tested"]
        cells.append(f"{sum(r.verdict == 'pass' for r in made)}/{len(made)}")
    missed = [r for r in report.checks if r.verdict in ("fail", "warn")]
    must = [f"**`{result.code}`**" for result in missed if result.level == "MUST"]
    should = [f"`{result.code}`" for result in missed if result.level == "SHOULD"]
    return f"| {' | '.join(cells)} | {', '.join(must + should) or 'none'} |"


async def main() -> None:
    """Test all servers at the same time."""
    running = servers()
    reports = await asyncio.gather(*map(report_on, running.values()))
    print("| server | MUST | SHOULD | advice | MUST (bold) and SHOULD that are not kept |")
    print("|---|---|---|---|---|")
    for name, report in zip(running, reports, strict=True):
        print(row(name, report))


if __name__ == "__main__":
    asyncio.run(main())
