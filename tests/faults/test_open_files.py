"""Clients that hold connections open, at a low limit of open files."""

from __future__ import annotations

import asyncio
import re
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from rtdemo.server import open_files
from rtdemo.server import server as server_module
from rtdemo.server.server import Server
from tests.clients import eventually
from tests.cluster.process import Process
from tests.conftest import Connect, Start
from tests.free_port import free_port

pytestmark = pytest.mark.alone

LIMIT = 256
SERVE = """
import resource, runpy, sys
if sys.argv.pop(1) == "asyncio":
    sys.modules["uvloop"] = None
resource.setrlimit(resource.RLIMIT_NOFILE, tuple(map(int, sys.argv.pop(1).split(","))))
runpy.run_module("rtdemo", run_name="__main__")
"""

Serve = Callable[[str, str], Awaitable[Process]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Start a server on a kind of event loop, with a soft and a hard limit of open files."""
    started: list[Process] = []

    async def start(loop: str, limits: str) -> Process:
        port = free_port()
        command = [sys.executable, "-c", SERVE, loop, limits, "serve", "--single-site"]
        server = Process([*command, "--host", "127.0.0.1", "--port", str(port)], port, tmp_path / "log")
        started.append(server)
        await server.start()
        return server

    yield start
    for server in started:
        await server.stop()


async def stay_silent(port: int) -> None:
    """Connect and send nothing; do it again whenever the server closes."""
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await reader.read(1)
            finally:
                writer.close()
        await asyncio.sleep(0.01)


def reports(server: Process) -> list[str]:
    """Return what the log reports about shortages, in order."""
    return re.findall("are short|suffice again", server.log.read_text())


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_silent_connections_leave_descriptors_for_health_checks(serve: Serve, loop: str) -> None:
    """Of 400 silent connections, renewed, at 256 descriptors: each check and a stream are served."""
    server = await serve(loop, f"{LIMIT},{LIMIT}")
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/api/sse") as stream:
        attack = [asyncio.ensure_future(stay_silent(server.port)) for _ in range(400)]
        await eventually(lambda: reports(server))
        for _ in range(20):
            async with aiohttp.ClientSession() as other:
                for path in ("/healthz", "/readyz"):
                    async with other.get(server.url + path) as answer:
                        assert answer.status == 200
        for task in attack:
            task.cancel()
        await asyncio.gather(*attack, return_exceptions=True)
        async with http.get(f"{server.url}/api/stats") as answer:
            stats = await answer.json()
        assert stats["connections"]["sse"] == 1
        assert stats["refused"]["descriptors"] > 0
        assert not stream.content.at_eof()
        await eventually(lambda: reports(server)[-1] == "suffice again")
    log = server.log.read_text()
    # Where the machine stops the attackers for two seconds, the shortage ends, and another one begins.
    assert {*reports(server)[::2]} == {"are short"}
    assert {*reports(server)[1::2]} == {"suffice again"}
    assert "ulimit -n" in log
    assert "Traceback" not in log


async def test_streams_leave_descriptors_for_requests(serve: Serve) -> None:
    """A stream that would take the reserve is answered 503; requests are served, and later streams."""
    server = await serve("uvloop", f"{LIMIT},{LIMIT}")
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        streams = [await http.get(f"{server.url}/api/sse") for _ in range(LIMIT)]
        refused = [stream for stream in streams if stream.status != 200]
        assert LIMIT * 1 / 2 < len(streams) - len(refused) < LIMIT * 7 / 8
        assert {stream.status for stream in refused} == {503}
        assert "Retry-After" in refused[0].headers
        assert "no file descriptor" in await refused[0].text()
        async with http.get(f"{server.url}/healthz") as answer:
            assert answer.status == 200
        for stream in streams:
            stream.close()

        async def is_served() -> bool:
            async with http.get(f"{server.url}/api/sse") as stream:
                return stream.status == 200

        while not await is_served():
            pass
    assert "Traceback" not in server.log.read_text()


async def test_limit_of_open_files_is_raised_at_start(serve: Serve) -> None:
    """The soft limit becomes the hard one: a shell's 1,024 is not what a server is for."""
    server = await serve("uvloop", "128,2000")
    assert server.process is not None
    limits = Path(f"/proc/{server.process.pid}/limits").read_text()
    assert [line.split()[3] for line in limits.splitlines() if "open files" in line] == ["2000"]
    assert "may open only" not in server.log.read_text()


async def test_low_limit_is_reported_at_start(serve: Serve) -> None:
    """In one line, with the number of streams that it allows."""
    server = await serve("uvloop", "200,200")
    (line,) = [line for line in server.log.read_text().splitlines() if "may open only 200 files" in line]
    assert "streams; raise the limit with ulimit -n" in line


async def test_full_server_refuses_streams_and_counts_them(server: Server, connect: Connect) -> None:
    """On both transports; the streams that are open stay."""
    await connect(server, "sse")
    server.hub.capacity = 1
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{server.web_url}/api/sse") as answer:
            assert answer.status == 503
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            await http.ws_connect(server.websocket_url)
    assert server.hub.refused["descriptors"] == 2
    assert len(server.hub) == 1


async def test_process_without_a_limit_has_no_capacity(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is counted or closed then."""
    monkeypatch.setattr(server_module, "limit_of_process", lambda: 0)
    server = await start()
    assert server.hub.capacity is None


def test_descriptors_are_counted() -> None:
    """Each open file counts once."""
    before = open_files.count_open()
    assert before is not None
    with Path(__file__).open():
        assert open_files.count_open() == before + 1
    assert open_files.limit_of_process() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
