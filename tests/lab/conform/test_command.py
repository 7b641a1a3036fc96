"""The command `rtdemo conform`: exit codes, output for people and JSON."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import websockets
from aiohttp import web
from websockets.asyncio.server import ServerConnection

from rtdemo.lab.conform import clauses, websocket
from rtdemo.lab.conform.checks import CHECKS
from rtdemo.lab.conform.exchange import Target
from rtdemo.lab.conform.report import Report
from rtdemo.lab.conform.run import NotTestableError, Suite
from rtdemo.server.server import Server
from tests.app_server import Handler, answering
from tests.command import program, run_in_process
from tests.free_port import free_port
from tests.lab.conform.seeded_server import seeded
from tests.raw_server import raw_server

SHORT = ("--seconds", "1")
PROGRESS = re.compile(r"rtdemo: (opening|reading|sending) [\w ,;]+; \d+ s so far")


async def start(*arguments: str, **options: float) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    command = (*program(**options), "conform", *arguments)
    environment = os.environ | {"COLUMNS": "100"}
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=environment)


async def run(*arguments: str, **options: float) -> tuple[int | None, str, str]:
    process = await start(*arguments, **options)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """Serve each path by one handler; yield the URL of one."""
    async with answering(handler) as url:
        yield f"{url}/events"


async def test_fault_is_printed_in_full_with_its_clause() -> None:
    """What is not kept gives exit code 1: a MUST, or a SHOULD with --strict."""
    async with seeded("retry-unit") as server:
        code, out, err = await run(server.url, *SHORT, "--only", "retry", "--strict")
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == "Each MUST that was tested is kept, but 1 SHOULD clause is not kept."
    assert lines[1].startswith(f"{server.url}: 200 text/event-stream, ")
    at = lines.index("fail  retry-digits  SHOULD, WHATWG HTML 9.2.6")
    assert [line.strip().partition(" ")[0] for line in lines[at + 1 : at + 5]] == [
        *("retry", "sent:", "seen:", "fix:"),
    ]
    assert "'3s'" in lines[at + 3]
    assert lines[-1].startswith("0 pass, 1 fail, 0 warn, 1 not tested (--all shows why), in ")


async def test_json_has_a_code_and_a_clause_for_each_check() -> None:
    """Units are in the names of figures; advice alone does not change the exit code."""
    async with seeded("nginx") as server:
        code, out, _ = await run(server.url, *SHORT, "--json", "--only", "caching", "--only", "timing")
    result = json.loads(out)
    assert code == 0
    assert result["counts"] == {"pass": 8, "fail": 0, "warn": 1, "notTested": 1}
    assert result["isWhole"] is True
    assert result["stream"]["status"] == 200
    found = {check["code"]: check for check in result["checks"]}
    fault = found["no-nginx-buffering"]
    assert (fault["verdict"], fault["level"]) == ("warn", "advice")
    assert fault["clauseUrl"].startswith("https://nginx.org/")
    assert fault["sent"] == "GET as EventSource sends it"
    assert found["head-at-once"]["figures"]["headMs"] > 0


async def test_progress_has_a_total() -> None:
    """All requests are done at the end, also those of a run of some groups only."""
    for groups in ((), ("methods", "resume")):
        async with seeded() as server:
            suite = Suite(Target(server.url), 1.0, groups)
            assert suite.state == "opening the stream"
            await suite.run()
        done, total = map(int, re.findall(r"(\d+) of (\d+) requests done", suite.state)[0])
        assert done == total > 3
        assert suite.state.startswith("reading the stream for 1 s; ")


async def test_progress_is_a_line_each_period() -> None:
    """Standard error has nothing else, and standard output none of it."""
    async with seeded() as server:
        code, out, err = await run(server.url, *SHORT, "--only", "retry", "--json", progress_s=0.01)
    assert code == 0
    assert json.loads(out)["isWhole"] is True
    lines = err.splitlines()
    assert len(lines) > 1
    assert [line for line in lines if not PROGRESS.fullmatch(line)] == []


async def test_should_fails_only_with_strict_and_not_if_ignored() -> None:
    """For CI: exit code 0 or 1."""
    only = ("--only", "methods")
    async with seeded("no-head") as server:
        codes = await asyncio.gather(
            run(server.url, *SHORT, *only),
            run(server.url, *SHORT, *only, "--strict"),
            run(server.url, *SHORT, *only, "--strict", "--ignore", "head-supported"),
        )
    assert [code for code, _, _ in codes] == [0, 1, 0]
    assert "left out by --ignore" not in codes[0][1]


async def test_stream_that_is_the_answer_to_a_post() -> None:
    """The content is sent with each request, and JSON is named as such."""
    seen = []

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            raise web.HTTPMethodNotAllowed(request.method, ["POST"])
        seen.append((request.content_type, request.headers.get("X-Key"), await request.text()))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: token\n\ndata: [DONE]\n\n")
        return response

    async with served(answer) as url:
        data = ("--method", "post", "--data", '{"stream": true}', "--header", "X-Key: 1")
        code, out, err = await run(url, *SHORT, *data, "--only", "framing", "--only", "methods")
        wrong = await run(url, *SHORT)
    assert (code, err) == (0, ""), out
    assert set(seen) == {("application/json", "1", '{"stream": true}')}
    assert wrong[0] == 2
    assert "--method POST" in wrong[2]


def test_wrong_use_is_one_line(tmp_path: Path) -> None:
    """Before anything is sent."""
    for arguments, words in (
        (("--method", "GET /"), "'GET /' is no method"),
        (("--data", f"@{tmp_path}/none"), "No such file or directory"),
        (("--only", "nothing"), "'nothing' is not one of 'framing'"),
        (("--ignore", "hosts-valid"), "there is no check 'hosts-valid'; did you mean host-valid"),
        (("--ignore", "0"), "there is no check '0'; --all prints all ids"),
        (("--case", "1.*"), "--case needs --websocket"),
    ):
        done = run_in_process("conform", "http://127.0.0.1:1/events", *arguments)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert words in done.err


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (web.Response(status=404), "answered 404; give the URL of the stream itself"),
        (web.Response(status=401), "answered 401; log in with --token or --header"),
        (web.Response(status=204), "answered 204; the server tells clients to stop"),
        (
            web.Response(text="<p>", content_type="text/html"),
            "answered 200 with text/html",
        ),
        (
            web.Response(status=302, headers={"Location": "http://h.invalid/"}),
            "to another server",
        ),
        (web.Response(status=302, headers={"Location": "http://["}), "redirects to what is no URL"),
        (web.Response(status=307, headers={"Location": "/events"}), "redirects again and again"),
    ],
)
async def test_what_is_no_stream_is_one_line(answer: web.Response, words: str) -> None:
    """With exit code 2, and what to do."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async with served(handler) as url:
        with pytest.raises(NotTestableError) as raised:
            await Suite(Target(url), 1.0).run()
    assert raised.value.exit_code == 2
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_page_of_rtdemo_is_no_stream(server: Server) -> None:
    """The address of the view, which the server prints, ends the run with the one to give."""
    with pytest.raises(NotTestableError) as raised:
        await Suite(Target(f"{server.web_url}/view"), 1.0).run()
    fix = f"give the URL of an event stream; for an rtdemo server, give {server.web_url}/"
    assert str(raised.value).endswith(f"/view answered 200 with text/html; {fix}")


async def test_https_to_a_server_without_tls() -> None:
    """The server runs, so the message must not ask whether it does."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response()

    async with served(handler) as url:
        code, out, err = await run(url.replace("http", "https", 1))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "fails at TLS" in err
    assert f"if it does not use TLS, give {url}" in err


async def test_page_behind_a_redirect_that_adds_a_slash() -> None:
    """The user has left out the slash of an rtdemo server below a path."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/"):
            return web.Response(text="<p>", content_type="text/html")
        return web.Response(status=307, headers={"Location": f"{request.path}/"})

    async with served(handler) as url:
        with pytest.raises(NotTestableError, match=f"give the address with the slash: {url}/$"):
            await Suite(Target(url), 1.0).run()


async def test_server_that_is_no_http_or_not_there() -> None:
    """One line; the bytes of the other side cannot move the cursor."""

    async def garbage(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x1b[2J220 mail.example ESMTP\r\n")

    async with raw_server(garbage) as port:
        code, _, err = await run(f"http://127.0.0.1:{port}/events", *SHORT)
    assert code == 2
    assert err.startswith("rtdemo: http://127.0.0.1:")
    assert err.count("\n") == 1
    assert "not HTTP/1.1" in err
    assert "\x1b" not in err
    code, _, err = await run(f"http://127.0.0.1:{free_port()}/events", *SHORT)
    assert code == 2
    assert "cannot be reached: connection refused; is the server running?" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_interrupt_prints_what_was_found(number: signal.Signals) -> None:
    """With the exit code of SIGINT, 130, and no traceback."""
    async with seeded() as server:
        process = await start(server.url, "--seconds", "60")
        while server.answers < 5:
            await asyncio.sleep(0.02)
        process.send_signal(number)
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 130, (out, err)
    assert out.decode().startswith("Interrupted; so far: ")
    assert out.decode().rstrip().endswith("; interrupted")
    assert b"Traceback" not in err


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def swallow(connection: ServerConnection) -> None:
    async for _ in connection:
        pass


async def test_websocket_cases_as_a_table() -> None:
    """A server that echoes passes; one that does not is reported in one line."""
    async with websockets.serve(echo, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        code, out, err = await run("--websocket", url, "--case", "1.1.*", "--case", "2.1")
        assert (code, err) == (0, ""), out
        assert out.startswith(f"Each MUST and SHOULD that was tested is kept.\n{url}/: 9 cases\n")
        assert "pings" in out
        code, _, err = await run(url, "--header", "X: 1")
        assert (code, "cannot send --header" in err) == (2, True)
    async with websockets.serve(swallow, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        code, out, err = await run(url)
    assert (code, out) == (2, "")
    assert "does not return a text unchanged" in err
    code, out, err = await run("ws://127.0.0.1:1")
    assert (code, "onnection refused" in err) == (2, True)


async def test_missing_kosoku_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It names the command that installs it."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(websocket.CannotRunError) as raised:
        await websocket.examine("ws://127.0.0.1:1/", (), Report(""), lambda _: None)
    assert "pip install 'rtdemo[conform]'" in str(raised.value)
    assert raised.value.exit_code == 2


def test_each_check_has_a_name_a_clause_and_words() -> None:
    """Ids are unique and kebab-case; each clause can be looked up."""
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert check.id == check.id.lower().strip("-").replace("_", "-"), check.id
        assert clauses.url(check.clause).startswith("https://")
        assert check.rule.endswith((".", ":")), check.id
        assert check.fix.endswith("."), check.id
