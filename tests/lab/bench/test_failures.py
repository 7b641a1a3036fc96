"""What ends `rtdemo bench` early, and what it reports then."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import websockets
from aiohttp import web

from rtdemo.lab.bench import run_file
from rtdemo.lab.bench.opening import OPEN_TIMEOUT_S
from tests.command import run_in_process
from tests.lab.bench.bench_command import bench, finish, http_server, plugin_server, refuse_http, start
from tests.raw_server import raw_server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The URL of one server for all tests that change nothing in it."""
    async with plugin_server(tmp_path_factory.mktemp("server")) as url:
        yield url


async def test_a_server_that_sends_nothing(tmp_path: Path) -> None:
    """The error comes after the round, and no file is written."""

    async def send_nothing(socket: websockets.ServerConnection) -> None:
        await socket.wait_closed()

    file = tmp_path / "run.json"
    async with websockets.serve(send_nothing, "127.0.0.1", 0, process_request=refuse_http) as server:
        port = server.sockets[0].getsockname()[1]
        done = await bench(
            f"ws://127.0.0.1:{port}/", *("-n", 2, "--seconds", 1, "--rounds", 1), *("--json", file)
        )
    assert (done.code, done.out, done.problems.count("\n")) == (2, "", 1)
    assert "sent no message within 1 s" in done.problems
    assert not file.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_reports_what_was_measured(tmp_path: Path, number: signal.Signals) -> None:
    """The output and the file include the interrupted window."""
    file = tmp_path / "run.json"
    async with plugin_server(tmp_path) as url:
        process = await start(
            url, *("-n", 2, "--seconds", 60, "--speed", 20, "--transport", "sse"), *("--json", file)
        )
        # 28 a second; an interrupted window of under one second does not count.
        await delivered(url, 200)
        process.send_signal(number)
        done = await finish(process)
    assert (done.code, done.problems) == (130, "")
    assert "CUT SHORT" in done.out
    run = run_file.read(file)
    assert run.cut_short
    [one] = run.rounds
    assert 1 <= one.seconds < 60
    assert one.figures.messages > 0


async def test_too_little_data_is_said_before_the_first_window(url: str) -> None:
    """A run of minutes would end with that answer; the flags are those that it would advise."""
    process = await start(url, *("-n", 2, "--seconds", 60, "--transport", "sse"))
    assert process.stderr is not None
    line = " left"
    async with asyncio.timeout(60):
        while " left" in line:  # progress, which a slow machine has before
            line = (await process.stderr.readline()).decode()
    process.send_signal(signal.SIGINT)
    assert (await finish(process)).code == 130
    # "message" every 2 s, and "status" every 5 s.
    assert line == (
        "rtdemo: this run will have too little data: about 252 messages; about 1,000 are needed: -n 9\n"
    )


async def test_an_interrupt_before_the_first_window_prints_nothing(tmp_path: Path) -> None:
    """Interrupted early, bench prints nothing, and its server exits."""
    process = await start("-n", 1, "--seconds", 60)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    async with asyncio.timeout(30):
        while not (server := children.read_text().split()):
            await asyncio.sleep(0.02)
    process.send_signal(signal.SIGINT)
    done = await finish(process)
    assert (done.code, done.out, done.err) == (130, "", "")
    assert not any(Path("/proc", pid).exists() for pid in server)


async def delivered(url: str, count: int) -> None:
    """Wait until a server has sent this number of messages over SSE."""
    async with httpx.AsyncClient() as http, asyncio.timeout(60):
        while (await http.get(f"{url}/api/stats")).json()["messages"]["sse"] < count:
            await asyncio.sleep(0.05)


async def test_the_table_is_printed_if_the_file_cannot_be_written(url: str) -> None:
    """If the file cannot be written, the measured figures are still printed."""
    done = await bench(
        url,
        *("-n", 1, "--seconds", 3, "--rounds", 1, "--speed", 20, "--transport", "sse"),
        *("--json", "/dev/full"),
    )
    assert done.code == 2
    assert done.problems == "rtdemo: /dev/full cannot be written: No space left on device\n"
    assert "rate kept" in done.out


async def test_an_unknown_producer_lists_those_that_exist(url: str) -> None:
    """The error has the name that does not exist, and those that do."""
    done = await bench(url, "--producers", "nope", "-n", 1)
    assert (done.code, done.out, done.problems.count("\n")) == (2, "", 1)
    assert "has no producer 'nope'; it has " in done.problems
    assert {"broadcast", "message", "status"} <= {*done.problems.replace(",", "").split()}


async def test_a_token_that_is_refused_is_no_wrong_address() -> None:
    """Such as one that expires between two rounds, after the description of the server was read."""

    def refuse(socket: websockets.ServerConnection, _: websockets.Request) -> websockets.Response:
        return socket.respond(401, "the token has expired; get a new one")

    async def never(_socket: websockets.ServerConnection) -> None: ...

    async with websockets.serve(never, "127.0.0.1", 0, process_request=refuse) as server:
        done = await bench(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", "-n", 1)
    assert (done.code, done.out, done.problems.count("\n")) == (2, "", 1)
    assert "the token has expired; get a new one; give the login token with --token," in done.problems


async def test_the_address_of_a_page_is_named_with_that_of_the_server(url: str) -> None:
    """The server prints the address of the view, which is no stream."""
    done = await bench(f"{url}/view", "-n", 1)
    assert (done.code, done.out, done.problems.count("\n")) == (2, "", 1)
    assert done.problems.endswith(
        f" answered with text/html, which is not an event stream; for an rtdemo server, give {url}/\n"
    )


@pytest.mark.parametrize(
    ("status", "kind", "body", "words"),
    [
        (
            400,
            "application/json",
            '{"error": "\x1b[2J"}',
            r'answered 400 Bad Request: {"error": "\x1b[2J"}',
        ),
        (502, "text/html", "<html>nginx</html>", "answered 502 Bad Gateway; "),
        (
            200,
            "application/json",
            "{}",
            "answered with application/json, which is not an event stream; ",
        ),
    ],
)
async def test_a_post_that_is_refused_is_one_line(
    status: int, kind: str, body: str, words: str, tmp_path: Path
) -> None:
    """The error has the server's reason, escaped, and without a page's markup."""
    file = tmp_path / "body.json"
    file.write_text("{}")

    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=body, content_type=kind)

    async with http_server(refuse) as url:
        done = await bench(f"{url}/v1/complete", "--post", file, "-n", 1)
    assert (done.code, done.out, done.problems.count("\n")) == (2, "", 1)
    assert words in done.problems
    assert done.problems.endswith("; are the address and the body right?\n")


@pytest.mark.parametrize(("status", "asked"), [(404, 1), (503, 5)])
async def test_server_that_refuses_for_good_is_asked_once(
    status: int, asked: int, tmp_path: Path
) -> None:
    """Another web server, with a short listen queue, would keep many connections waiting for 30 s."""
    file = tmp_path / "body.json"
    file.write_text("{}")
    requests = 0

    async def refuse(request: web.Request) -> web.Response:
        nonlocal requests
        # Others may look for a server that had this port before.
        requests += request.path == "/events"
        return web.Response(status=status, text="<html>nginx</html>", content_type="text/html")

    async with http_server(refuse) as url:
        done = await bench(f"{url}/events", "--post", file, "-n", 5)
    assert (done.code, done.out, done.problems.count("\n")) == (2, "", 1)
    assert f"answered {status} " in done.problems
    assert requests == asked


@pytest.mark.parametrize("scheme", ["https", "wss"])
async def test_tls_that_fails_is_one_line(url: str, scheme: str) -> None:
    """A server without TLS causes one line, with the address to use."""
    done = await bench(url.replace("http", scheme), "-n", 1)
    assert (done.code, done.out, done.problems.count("\n")) == (2, "", 1)
    assert "fails at TLS" in done.problems
    assert "if it does not use TLS, give http://127.0.0.1:" in done.problems
    assert "certificate" not in done.problems


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["http://127.0.0.1:1"], 2, "is the server running?"),
        (["ws://127.0.0.1:1/"], 2, "is the server running?"),
        (["ftp://x"], 2, "has the scheme 'ftp'"),
        (["ws://127.0.0.1:1", "--transport", "sse"], 2, "without sse"),
        (["-n", "20001"], 2, "1<=x<=20000"),
        (["--seconds", "601"], 2, "600"),
        (["--fail-if", "p99+20%"], 2, "give --compare, too"),
        (["--compare", __file__, "--fail-if", "p98+20%"], 2, "is not a limit; give"),
        (["--compare", __file__], 2, "is not a run file"),
        (["--compare", "/missing"], 2, "cannot be read"),
        (["--compare", "/dev/zero"], 2, "is not a regular file"),
        (["http://a..b"], 2, "has an invalid host name"),
        (["--json", "/missing/run.json"], 2, "/missing/run.json cannot be written: No such file"),
        (["--html", f"{__file__}/run.html"], 2, "cannot be written: Not a directory"),
        (["--header", "Host: x"], 2, "Host belongs to the connection"),
        (["--post", __file__], 2, "--post needs the URL of an event stream"),
        (["http://127.0.0.1:1", "--post", "/dev/null"], 2, "is not a regular file"),
        (["http://127.0.0.1:1/x", "--post", __file__], 2, "is not JSON: "),
        (["http://127.0.0.1:1/x", "--post", "/missing"], 2, "/missing cannot be read: No such file"),
        (["http://127.0.0.1:1/x", "--post", __file__, "--speed", "2"], 2, "are for rtdemo servers"),
    ],
)
def test_an_error_is_one_line(arguments: list[str], code: int, words: str) -> None:
    """An error is one line on standard error, with its exit code."""
    done = run_in_process("bench", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert words in done.err


async def test_a_server_of_garbage_is_known_at_once(tmp_path: Path) -> None:
    """It keeps the connection open, and sends no end of a head."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP")
        while await reader.read(1000):
            pass  # until the client leaves

    async with raw_server(babble) as port, asyncio.timeout(OPEN_TIMEOUT_S):
        done = await bench(f"http://127.0.0.1:{port}/events", "-n", 1)
    assert (done.code, done.out, done.problems.count("\n")) == (2, "", 1)
    assert "does not speak HTTP/1.1; is the address right?" in done.problems
