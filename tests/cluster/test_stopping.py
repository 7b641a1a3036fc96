"""What signals do to servers as processes: drain, end at once, restart one worker after the other."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.cluster.process import Process, rtdemo
from tests.cluster.scenarios import children, stats

LONG = ("--drain-seconds", "25")
"""Longer than any test may take: a server that exits did not wait for the end of its drain."""
TWO_WORKERS = ("--workers", "2", "--isolated-workers")


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


@pytest.fixture(params=[(), TWO_WORKERS], ids=["one process", "two workers"])
async def server(
    tmp_path: Path, http: aiohttp.ClientSession, request: pytest.FixtureRequest
) -> AsyncIterator[Process]:
    """A server that drains slowly."""
    server = rtdemo(tmp_path, "server", *LONG, *request.param)
    await server.start()
    while (await stats(server, http))["workers"] < (2 if request.param else 1):
        await asyncio.sleep(0.02)
    yield server
    await server.kill()


async def closed(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    """Return the code with which the server closes."""
    while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
        pass
    return socket.close_code


async def readiness(server: Process, http: aiohttp.ClientSession) -> int:
    async with http.get(f"{server.url}/readyz") as answer:
        return answer.status


async def test_second_signal_ends_all_at_once(server: Process, http: aiohttp.ClientSession) -> None:
    """Between the two signals the server answers 503; each client gets 1001, and the server exits 0."""
    sockets = [await http.ws_connect(f"{server.url}/ws") for _ in range(12)]
    closing = [asyncio.ensure_future(closed(socket)) for socket in sockets]
    server.signal(signal.SIGTERM)
    await asyncio.wait(closing, return_when=asyncio.FIRST_COMPLETED)
    # One worker may handle the signal later than the other.
    while await readiness(server, http) != 503:
        await asyncio.sleep(0.02)
    assert sum(task.done() for task in closing) < len(closing)
    server.signal(signal.SIGTERM)
    assert await asyncio.gather(*closing) == [1001] * len(sockets)
    assert server.process is not None
    async with asyncio.timeout(20):
        assert await server.process.wait() == 0


async def test_signals_to_the_whole_process_group_count_once(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """A terminal and systemd signal workers beside their parent, which passes the signal on as well."""
    server = rtdemo(tmp_path, "server", *LONG, *TWO_WORKERS)
    await server.start()
    while (await stats(server, http))["workers"] < 2:
        await asyncio.sleep(0.02)
    workers = children(server)
    sockets = [await http.ws_connect(f"{server.url}/ws") for _ in range(12)]
    closing = [asyncio.ensure_future(closed(socket)) for socket in sockets]
    server.signal(signal.SIGTERM)
    await asyncio.wait(closing, return_when=asyncio.FIRST_COMPLETED)
    for worker in workers:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(worker, number)
    # Both workers answer. One may still be busy with its first signal.
    while [await readiness(server, http) for _ in range(8)] != [503] * 8:
        await asyncio.sleep(0.02)
    assert sum(task.done() for task in closing) < len(closing)
    server.signal(signal.SIGINT)
    assert await asyncio.gather(*closing) == [1001] * len(sockets)
    assert server.process is not None
    assert await server.process.wait() == 0


@pytest.fixture
async def two_workers(tmp_path: Path, http: aiohttp.ClientSession) -> AsyncIterator[Process]:
    """Two workers that drain for 4 s."""
    server = rtdemo(tmp_path, "server", "--drain-seconds", "4", *TWO_WORKERS)
    await server.start()
    while (await stats(server, http))["workers"] < 2:
        await asyncio.sleep(0.02)
    yield server
    await server.kill()


async def half_requests(port: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Send the first line of twelve requests."""
    halves = [await asyncio.open_connection("127.0.0.1", port) for _ in range(12)]
    for _, writer in halves:
        writer.write(b"GET /readyz HTTP/1.1\r\n")
    return halves


async def complete(halves: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
    """Send the rest; each has its answer."""
    for _, writer in halves:
        writer.write(b"Host: localhost\r\nConnection: close\r\n\r\n")
    answers = [await reader.read() for reader, _ in halves]
    assert [answer.partition(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * 12
    for _, writer in halves:
        writer.close()


async def test_rolling_restart_refuses_nobody(two_workers: Process, http: aiohttp.ClientSession) -> None:
    """A worker that drains serves what it has accepted before, and all others reach its successor.

    Half of a request has arrived when the worker gets its signal, and the rest after its drain began.
    """
    server = two_workers
    before = set(children(server))
    sockets = [await http.ws_connect(f"{server.url}/ws") for _ in range(12)]
    halves = await half_requests(server.port)
    closing = [asyncio.ensure_future(closed(socket)) for socket in sockets]
    server.signal(signal.SIGHUP)
    # A successor may need longer to start than a worker waits for the rest of a request.
    while not (await asyncio.wait(closing, timeout=3, return_when=asyncio.FIRST_COMPLETED))[0]:
        await complete(halves)
        halves = await half_requests(server.port)
    await complete(halves)
    while before & set(children(server)):
        assert await readiness(server, http) == 200
    assert await asyncio.gather(*closing) == [1001] * len(closing)
    assert await server.stop() == 0
