"""`rtdemo storm` on real servers, which it kills."""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
from pathlib import Path

import pytest

from rtdemo.lab.storm import result
from tests.cluster.process import Process, rtdemo
from tests.lab.bench.bench_command import Done, finish
from tests.redis_server import RedisServer

QUICK = ("--backoff", "fixed:0.3", "--seconds", "60")
"""Clients that are back soon; when they are back is not what these tests are about."""


async def start(*arguments: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtdemo", "storm", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def storm(*arguments: object) -> Done:
    return await finish(await start(*arguments))


def command(server: Process) -> tuple[str, str, str]:
    return server.url, "--command", shlex.join(server.command)


async def test_server_with_redis_loses_nothing_by_sigkill(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    """Storm starts it, kills it, starts it again and ends it; each client gets all messages once."""
    server = rtdemo(tmp_path, "server", "--engine", redis_server.url)
    file = tmp_path / "storm.json"
    done = await storm(*command(server), "-n", 150, *QUICK, "--publish", 20, "--json", file)
    assert done.code == 0, done
    found = result.read(file)
    for side in found.sides.values():
        assert (side.clients, side.cut, side.back) == (75, 75, 75)
        assert (side.lost, side.repeated, side.notified) == (0, 0, 0)
    assert found.messages >= found.published > 1
    assert found.environment.server.startswith("rtdemo")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)


async def test_server_that_runs_already_and_keeps_its_log_in_memory(tmp_path: Path) -> None:
    """Something else starts it again; each client gets a notice that its log is gone."""
    server = rtdemo(tmp_path, "server")
    await server.start()
    assert server.process is not None
    page, file = tmp_path / "storm.html", tmp_path / "storm.json"
    files = ("--json", file, "--html", page)
    try:
        running = await start(server.url, "--pid", server.process.pid, "-n", 100, *QUICK, *files)
        assert await server.process.wait() == -signal.SIGKILL
        await server.start()
        done = await finish(running)
    finally:
        await server.kill()
    assert done.code == 0, done
    assert "then SIGKILL goes to process" in done.err
    assert "warn  the server reported to all 100 clients that messages are lost" in done.out
    total = result.read(file).total
    assert (total.back, total.notified, total.unannounced) == (100, 100, 0)
    assert "<svg" in page.read_text()


async def test_interrupt_ends_the_command_too(tmp_path: Path) -> None:
    """What was found until then is printed."""
    server = rtdemo(tmp_path, "server")
    running = await start(*command(server), "-n", 10, "--restart-after", 100)
    assert running.stderr is not None
    line = b""
    while b"clients connected" not in line:
        line = await running.stderr.readline()
    running.send_signal(signal.SIGINT)
    done = await finish(running)
    assert done.code == 130
    assert "was interrupted" in done.out
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)
