"""`rtdemo tail` as a person runs it: over both transports, across breaks, into a pipe."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from rtdemo.cli.tail import shown
from rtdemo.protocol.close_reasons import Reason
from rtdemo.server.server import Server
from tests.cluster.process import Process, rtdemo
from tests.conftest import Start

Tail = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def tail() -> AsyncIterator[Tail]:
    """Start it with arguments; it ends with the test."""
    started: list[asyncio.subprocess.Process] = []

    async def start(*arguments: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rtdemo", "tail", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def lines(process: asyncio.subprocess.Process, count: int) -> list[str]:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        return [(await process.stdout.readline()).decode() for _ in range(count)]


async def publish(server: str, text: str) -> None:
    async with httpx.AsyncClient() as http:
        body = {"message": text, "producer": "news"}
        (await http.post(f"{server}/api/publish", json=body)).raise_for_status()


async def test_messages_are_printed(server: Server, tail: Tail, transport: str) -> None:
    """With the time of day and the producer; as JSON the very text that came."""
    for flags in ([], ["--json"]):
        process = await tail(server.web_url, "--transport", transport, *flags)
        [first] = await lines(process, 1)
        await publish(server.web_url, "hello ü")
        [second] = await lines(process, 1)
        if flags:
            assert "client" in json.loads(first)
            assert json.loads(second)["message"] == "hello ü"
        else:
            assert "  welcome       " in first
            assert second.split(None, 2)[1:] == ["news", "hello ü\n"]


async def test_producers_are_picked(server: Server, tail: Tail, transport: str) -> None:
    """Others are not asked for."""
    process = await tail(server.web_url, "--transport", transport, "--producers", "news", "--json")
    _, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert b"400" in err
    await publish(server.web_url, "now there is such a name")
    process = await tail(server.web_url, "--transport", transport, "--producers", "news", "--json")
    await lines(process, 1)
    await publish(server.web_url, "picked")
    assert json.loads((await lines(process, 1))[0])["message"] == "picked"


async def test_after_a_cut_it_goes_on_where_it_was(server: Server, tail: Tail, transport: str) -> None:
    """What was published meanwhile comes once, and a line says that it was away."""
    process = await tail(server.web_url, "--transport", transport, "--json")
    welcome = json.loads((await lines(process, 1))[0])
    connection = server.hub.find(welcome["client"])
    assert connection is not None
    connection.end(Reason.CONNECTION_LOST)
    await publish(server.web_url, "missed")
    again = [json.loads(line) for line in await lines(process, 2)]
    await publish(server.web_url, "live")
    again += [json.loads(line) for line in await lines(process, 1)]
    assert [message["message"] for message in again[1:]] == ["missed", "live"]
    assert process.stderr is not None
    assert b"trying again in" in await process.stderr.readline()


async def test_it_waits_for_a_server_that_restarts(tmp_path: Path, tail: Tail, transport: str) -> None:
    """And is told that the log is another."""
    running: Process = rtdemo(tmp_path, "server", "--without", "message,status,broadcast")
    await running.start()
    try:
        process = await tail(running.url, "--transport", transport, "--json")
        await lines(process, 1)
        await running.kill()
        await running.start()
        assert json.loads((await lines(process, 2))[1])["lost"] is True
    finally:
        await running.kill()


async def test_who_reads_no_more_ends_it_without_a_word(server: Server, tail: Tail) -> None:
    """SIGPIPE, as every filter."""
    shell = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m rtdemo tail {server.web_url} | head -n 1; echo ${{PIPESTATUS[0]}}",
        executable="/bin/bash",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert shell.stdout is not None
    await shell.stdout.readline()
    await publish(server.web_url, "into a closed pipe")
    out, err = await asyncio.wait_for(shell.communicate(), 20)
    assert (int(out), err) == (128 + signal.SIGPIPE, b"")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["http://127.0.0.1:1"], 1, "is the server running?"),
        (["ftp://x"], 2, "has the scheme 'ftp'"),
        (["ws://127.0.0.1:1", "--transport", "sse"], 2, "there is no sse"),
    ],
)
async def test_what_fails_is_one_line(tail: Tail, arguments: list[str], code: int, words: str) -> None:
    """On standard error, with an exit code."""
    process = await tail(*arguments)
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, out, err.count(b"\n")) == (code, b"", 1)
    assert words in err.decode()


async def test_what_is_no_stream_is_told(server: Server, tail: Tail) -> None:
    """A page is no event stream, and nothing is found where nothing is."""
    for path, words in (("/static/app.js", "is no event stream"), ("/x", "404")):
        process = await tail(f"{server.web_url}{path}")
        _, err = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 1
        assert words in err.decode()


async def test_interrupt_ends_it(start: Start, tail: Tail) -> None:
    """With the code of SIGINT and no traceback."""
    server = await start()
    process = await tail(server.web_url)
    await lines(process, 1)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, err.strip()) == (130, b"")


def test_text_moves_no_cursor() -> None:
    """Control characters are escaped, in what is no message of ours as well."""
    assert shown('{"message": "a\\u001b[2Jb", "sentAt": 0, "producer": "p"}').endswith("a\\x1b[2Jb")
    assert shown("no \x07 json") == "no \\x07 json"
    assert "far" in shown('{"message": "far", "sentAt": 1e300}')
