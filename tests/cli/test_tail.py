"""`rtdemo tail` as a command: over both transports, after lost connections, into a pipe."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from rtdemo.cli.tail import format_line
from rtdemo.client.message import parse
from rtdemo.protocol.close_reasons import Reason
from rtdemo.server.server import Server
from tests.cluster.process import Process, rtdemo
from tests.command import run_in_process
from tests.conftest import Start

TIMEOUT_S = 60
"""Seconds for what a busy machine may do late."""
Tail = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def tail() -> AsyncIterator[Tail]:
    """Start `rtdemo tail` with arguments; it ends with the test."""
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
    async with asyncio.timeout(TIMEOUT_S):
        return [(await process.stdout.readline()).decode() for _ in range(count)]


async def publish(server: str, text: str) -> None:
    async with httpx.AsyncClient() as http:
        body = {"message": text, "producer": "news"}
        (await http.post(f"{server}/api/publish", json=body)).raise_for_status()


async def test_messages_are_printed(server: Server, tail: Tail, transport: str) -> None:
    """A line has the time of day, the producer and the text; with --json it is the JSON unchanged."""
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


async def test_producers_are_selected(server: Server, tail: Tail, transport: str) -> None:
    """Only the selected producers arrive; an unknown name is refused."""
    process = await tail(server.web_url, "--transport", transport, "--producers", "news", "--json")
    _, err = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    assert process.returncode == 1
    assert b"400" in err
    # One cause, one line: the other transport is refused for the same reason.
    process = await tail(server.web_url, "--transport", "auto", "--producers", "news")
    _, err = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    assert (process.returncode, err.count(b"answered 400"), err.count(b"\n")) == (1, 1, 1)
    await publish(server.web_url, "now there is such a name")
    process = await tail(server.web_url, "--transport", transport, "--producers", "news", "--json")
    await lines(process, 1)
    await publish(server.web_url, "picked")
    assert json.loads((await lines(process, 1))[0])["message"] == "picked"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(["--rewind", "10m"], ["one", "two"]), (["--latest"], ["two"]), ([], [])],
)
async def test_tail_begins_with_the_past(
    server: Server, tail: Tail, flags: list[str], expected: list[str]
) -> None:
    """The last minutes, or the newest message of each producer; without a flag, live messages only."""
    for text in ("one", "two"):
        await publish(server.web_url, text)
    process = await tail(server.web_url, "--producers", "news", "--json", *flags)
    await lines(process, 1)
    await publish(server.web_url, "live")
    got = [json.loads(line)["message"] for line in await lines(process, len(expected) + 1)]
    assert got == [*expected, "live"]


async def test_tail_resumes_after_a_lost_connection(server: Server, tail: Tail, transport: str) -> None:
    """Messages published meanwhile arrive once, and a line on standard error reports the reconnect."""
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
    assert b"reconnecting in" in await process.stderr.readline()


async def test_tail_waits_for_a_server_that_restarts(tmp_path: Path, tail: Tail, transport: str) -> None:
    """After a restart tail receives a message that the position is lost."""
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


async def test_a_closed_pipe_ends_tail_silently(server: Server, tail: Tail) -> None:
    """A closed pipe ends tail with SIGPIPE, as it ends every filter."""
    shell = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m rtdemo tail {server.web_url} | head -n 1; echo ${{PIPESTATUS[0]}}",
        executable="/bin/bash",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert shell.stdout is not None
    await shell.stdout.readline()
    ending = asyncio.ensure_future(asyncio.wait_for(shell.communicate(), TIMEOUT_S))
    # The first ones may be written before `head`, which has printed its line, has ended.
    while not ending.done():
        await publish(server.web_url, "into a closed pipe")
    out, err = await ending
    assert (int(out), err) == (128 + signal.SIGPIPE, b"")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["http://127.0.0.1:1"], 1, "is the server running?"),
        (["http://nohost.invalid"], 1, "; check the host name"),
        (["ftp://x"], 2, "has the scheme 'ftp'"),
        (["ws://127.0.0.1:1", "--transport", "sse"], 2, "without sse"),
        (["--transport", "auto", "--rewind", "soon"], 2, "--rewind: 'soon' is not allowed; give a"),
    ],
)
def test_an_error_is_one_line(arguments: list[str], code: int, words: str) -> None:
    """An error is one line on standard error, with its exit code."""
    done = run_in_process("tail", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert words in done.err


async def test_an_address_without_a_stream_is_refused(server: Server, tail: Tail) -> None:
    """A response that is not an event stream, or a 404, ends tail with an error."""
    for path, words in (
        ("/static/app.js", "is not an event stream"),
        ("/x", "answered 404: there is nothing at /x; the page is at /, the view at /view\n"),
        ("/", "answered 404: there is no WebSocket at this path; the WebSocket is at /ws\n"),
    ):
        url = server.web_url.replace("http", "ws", 1) if path == "/" else server.web_url
        process = await tail(f"{url}{path}")
        _, err = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
        assert process.returncode == 1
        assert words in err.decode()


async def test_an_interrupt_ends_tail(start: Start, tail: Tail) -> None:
    """SIGINT ends tail with exit code 130 and no traceback."""
    server = await start()
    process = await tail(server.web_url)
    await lines(process, 1)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    assert (process.returncode, err.strip()) == (130, b"")


def test_control_characters_are_escaped() -> None:
    """Control characters are escaped, also in text that is not a message of rtdemo."""
    line = format_line(parse('{"message": "a\\u001b[2Jb", "sentAt": 0, "producer": "p"}'))
    assert line.endswith("a\\x1b[2Jb")
    assert format_line(parse("no \x07 json")) == "no \\x07 json"
    assert "far" in format_line(parse('{"message": "far", "sentAt": 1e300}'))
