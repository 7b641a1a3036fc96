"""The command `rtdemo doctor URL --post FILE`: exit codes, output, and servers that are broken."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import click
import pytest
from aiohttp import web

from examples.token_stream import new_app
from rtdemo.cli.doctor import doctor
from rtdemo.errors import AddressError
from rtdemo.lab.token_stream import client, recording
from rtdemo.lab.token_stream.request import new_request
from tests.app_server import answering, app_server
from tests.command import program
from tests.lab.token_stream.examination import body_of, examine
from tests.raw_server import Handler, raw_server

PATH = "/v1/chat/completions"
SHORT = {"tokens": 40, "every_ms": 10, "first_ms": 20}


async def start(*arguments: str, stdin: bytes | None = None) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    command = (*program(), "doctor", *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdin is not None
    process.stdin.write(stdin or b"")
    process.stdin.close()
    return process


async def run(*arguments: str, stdin: bytes | None = None) -> tuple[int | None, str, str]:
    process = await start(*arguments, stdin=stdin)
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = await asyncio.wait_for(asyncio.gather(process.stdout.read(), process.stderr.read()), 100)
    return await process.wait(), out.decode(), err.decode()


@pytest.fixture
async def stub() -> AsyncIterator[str]:
    """URL of a stub in this process."""
    async with app_server(new_app()) as url:
        yield url


@pytest.fixture
def body(tmp_path: Path) -> Path:
    path = tmp_path / "body.json"
    path.write_bytes(body_of(SHORT))
    return path


@pytest.mark.alone
async def test_json_has_numbers_and_codes(stub: str, body: Path) -> None:
    """A stream lasts a second: in a pause of the machine a shorter one would seem to be held."""
    body.write_bytes(body_of(SHORT | {"tokens": 100}))
    code, out, err = await run(stub + PATH, "--post", str(body), "--direct", stub + PATH, "--json")
    report = json.loads(out)
    assert (code, err) == (0, "")
    assert [finding["code"] for finding in report["findings"]] == ["tokens-flow"]
    assert report["bodyBytes"] == body.stat().st_size
    assert [(way["way"], way["http"], len(way["answers"])) for way in report["ways"]] == [
        ("url", "1.1", 3),
        ("direct", "1.1", 3),
    ]
    answer = report["ways"][0]["answers"][0]
    assert (answer["status"], answer["tokens"], answer["endMarker"]) == (200, 100, "[DONE]")
    assert answer["firstTokenMs"] >= 20


async def test_server_gets_the_headers_and_the_body(stub: str) -> None:
    """Also from the standard input; a table fits into 80 columns."""
    code, out, _ = await run(stub + PATH, "--post", "-", stdin=body_of(SHORT))
    assert code == 0
    table = [line for line in out.splitlines() if "HTTP/1.1  " in line]
    assert len(table[0]) <= 82
    code, out, _ = await run(stub + PATH, "--post", "-", stdin=b"{")
    assert code == 1
    assert "refuses the body: 400 Bad Request: the body is not JSON" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["http://a/v1", "--direct", "http://b"], "--direct is for --post"),
        (["http://a/v1", "--via", "http://b/v1", "--post", "BODY"], "--via is not for --post"),
        (["http://a/v1", "plugin.py", "--post", "BODY"], "FILES are plugins"),
        (["ws://a/v1", "--post", "BODY"], "is a WebSocket"),
        (["http://a/v1", "--post", "BODY", "--direct", "ftp://h"], "has the scheme 'ftp'"),
        (["http://a/v1", "--post", "no.json"], "no.json cannot be read: no such file or directory"),
        (["http://a/v1", "--post", "/"], "/ cannot be read: is a directory"),
    ],
)
def test_wrong_use_is_one_line(body: Path, arguments: list[str], words: str) -> None:
    """With exit code 2, before anything is sent."""
    given = [str(body) if argument == "BODY" else argument for argument in arguments]
    assert click.UsageError.exit_code == AddressError.exit_code == 2
    with pytest.raises((click.UsageError, AddressError), match=re.escape(words)):
        doctor.main(given, standalone_mode=False)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_server_that_cannot_be_reached(
    body: Path, scheme: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2; what to look at is in the line."""
    code = doctor.main([f"{scheme}://127.0.0.1:1/v1", "--post", str(body)], standalone_mode=False)
    assert code == 2
    line = f"fail  {scheme}://127.0.0.1:1 cannot be reached (connection refused); is the server running"
    assert capsys.readouterr().out.startswith(line)


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_interrupt_prints_what_was_found(stub: str, body: Path, number: signal.Signals) -> None:
    """After the first answer, while the second goes on."""
    asked = asyncio.Event()
    answers = 0

    async def forward(request: web.Request) -> web.StreamResponse:
        nonlocal answers
        answers += 1
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in range(40):
            await response.write(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n')
            await asyncio.sleep(0.01)
            if answers > 1 and number == 20:
                asked.set()
                await asyncio.sleep(3600)
        await response.write(b"data: [DONE]\n\n")
        return response

    async with answering(forward) as url:
        process = await start(url, "--post", str(body))
        await asyncio.wait_for(asked.wait(), 60)
        process.send_signal(number)
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 130
    assert b"tokens-flow" in out
    assert b"1 answer in" in out
    assert b"Traceback" not in err


GARBAGE = {
    "closes at once": b"",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "bad chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "bad gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nplain",
    "not UTF-8": b"HTTP/1.1 500 \xff\r\n\r\n\xff\xfe\x1b[2J",
    "only the end": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: [DONE]\n\n",
    "moves the cursor": b"HTTP/1.1 302 X\r\nLocation: \x1b[2J\r\nServer: nginx\x1b[2J\r\n\r\n",
}


@pytest.mark.parametrize("kind", GARBAGE)
async def test_broken_server_is_a_finding(kind: str) -> None:
    """One line, exit code 1, and no control characters."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(GARBAGE[kind])

    async with raw_server(answer) as port:
        report = await examine(f"http://127.0.0.1:{port}/v1", None, b"{}")
    lines = [line.plain for line in report.lines()]
    assert report.exit_code == 1
    assert lines[0].startswith("fail ")
    assert not any("\x1b" in line for line in lines)
    assert "\x1b" not in report.json()


@pytest.mark.parametrize("kind", ["another protocol", "TLS", "bad chunks"])
async def test_answer_that_is_not_http_is_named(kind: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(GARBAGE[kind])

    async with raw_server(answer) as port:
        seen = await client.ask(new_request(f"http://127.0.0.1:{port}/", {}, b"{}"), "1.1")
    assert seen.reason.startswith("the answer is not HTTP/1.1: ")


async def ending_of(handler: Handler) -> str:
    """Return how the answer of a server ended; wait until its handler did."""
    has_ended = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            has_ended.set()

    async with raw_server(handle) as port:
        url = f"http://127.0.0.1:{port}/"
        ending = (await client.ask(new_request(url, {}, b"{}"), "1.1")).ending
        await has_ended.wait()
    return ending


async def test_endless_answer_ends_at_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_BYTES", 1_000_000)

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"data: 1\n\n" * 10_000)
            await writer.drain()

    assert await ending_of(endless) == "too long"


async def test_answer_that_goes_silent_ends_after_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SILENCE_TIMEOUT_S", 0.05)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n")
        await reader.read()

    assert await ending_of(silent) == "silent"
