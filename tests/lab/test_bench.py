"""`rtdemo bench` as a person runs it, against servers that behave and servers that do not."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec
import pytest
import websockets

from rtdemo.lab.bench import metrics, result
from rtdemo.lab.bench.result import Run
from tests.cluster.process import rtdemo

SKEW = "import time\nreal = time.time_ns\ntime.time_ns = lambda: real() + 3_000_000_000\n"
STALL = """
import asyncio, time
from rtdemo import hookimpl
stalling = []
def stall():
    asyncio.get_running_loop().call_later(1.0, stall)
    time.sleep(0.5)
@hookimpl
def connected(client):
    if not stalling:
        stalling.append(asyncio.get_running_loop().call_later(1.0, stall))
"""


class Done(NamedTuple):
    """What a command left."""

    code: int | None
    out: str
    err: str


async def start(*arguments: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtdemo", "bench", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finish(process: asyncio.subprocess.Process) -> Done:
    out, err = await asyncio.wait_for(process.communicate(), 100)
    return Done(process.returncode, out.decode(), err.decode())


async def bench(*arguments: object) -> Done:
    return await finish(await start(*arguments))


@asynccontextmanager
async def plugin_server(folder: Path, plugin: str = "") -> AsyncIterator[str]:
    """A server of its own process with a plugin."""
    file = folder / "extra.py"
    file.write_text(plugin)
    server = rtdemo(folder, "server", str(file))
    await server.start()
    try:
        yield server.url
    finally:
        await server.kill()


def p50(run: Run, transport: str) -> float:
    rounds = [one for one in run.rounds if one.transport == transport]
    found = metrics.percentile(metrics.latencies(rounds, "sent"), 50)
    assert found is not None
    return found


async def test_both_transports_of_a_server_of_its_own(tmp_path: Path) -> None:
    """A table, a run file and a page; everything due came, and both were measured alike."""
    file, page = tmp_path / "run.json", tmp_path / "run.html"
    done = await bench(
        *("-n", 6, "--seconds", 1, "--rounds", 2, "--speed", 20, "--processes", 2),
        *("--json", file, "--html", page),
    )
    assert (done.code, done.err) == (0, "")
    run = result.read(file)
    assert [one.transport for one in run.rounds] == ["websocket", "sse", "sse", "websocket"]
    for one in run.rounds:
        # A machine with other work to do may delay some, not most.
        assert one.figures.due == pytest.approx(60, abs=6)
        assert one.figures.kept >= one.figures.due / 2
        assert (one.connections, len(one.costs), one.figures.lost, one.ended) == (6, 2, 0, {})
        assert one.figures.periods == {"message": 100.0}
        assert one.server_cpu is not None
        assert 90 < one.received.bytes / one.received.messages < 120
        assert {"tcp", "answer", "welcome", "total"} <= one.steps.keys()
    assert {line.name: line.state for line in run.parity} == dict.fromkeys(
        [
            *("same process", "same payload", "same schedule", "TCP_NODELAY", "compression"),
            *("HTTP version", "proxy"),
        ],
        "ok",
    )
    assert "measured producers: message; left out: status" in done.out
    assert "No difference can be told" in done.out or "95 % interval" in done.out
    assert page.read_text().startswith("<!doctype html>")


async def test_a_figure_that_got_worse_fails(tmp_path: Path) -> None:
    """With --fail-if beside --compare; one that did not passes."""
    file = tmp_path / "run.json"
    quick = ("-n", 6, "--seconds", 1, "--rounds", 2, "--speed", 20, "--transport", "sse")
    assert (await bench(*quick, "--json", file)).code == 0
    run = result.read(file)
    for one in run.rounds:
        one.received.bytes //= 2
    file.write_bytes(msgspec.json.encode(run))
    compared = (*quick, "--compare", file, "--fail-if")
    done = await bench(*compared, "bytes+50%")
    assert done.code == 1
    assert done.err.startswith("rtdemo: SSE: bytes a message +")
    assert done.err.endswith("is over bytes+50%\n")
    assert "between SSE before and SSE now" in done.out or "SSE now's p99" in done.out
    assert (await bench(*compared, "bytes+150%")).code == 0


async def test_a_clock_that_is_3_s_ahead_is_seen_through(tmp_path: Path) -> None:
    """Latency is right within its error bar, where `Date.now() - sentAt` would be 3 s off."""
    file = tmp_path / "run.json"
    async with plugin_server(tmp_path, SKEW) as url:
        done = await bench(url, *("-n", 4, "--seconds", 1, "--rounds", 1, "--speed", 20, "--json", file))
    assert done.code == 0
    run = result.read(file)
    for transport in ("websocket", "sse"):
        errors = [one.clock_error for one in run.rounds if one.transport == transport]
        assert errors[0] is not None
        # On loopback a message takes no time to speak of, and never less than none.
        assert 0 <= p50(run, transport) < errors[0] + 100
        assert errors[0] < 500


async def test_a_stall_shows_from_the_due_instant_alone(tmp_path: Path) -> None:
    """500 ms once a second: p99 from due has it, latency from sentAt and the rate of arrivals do not."""
    file = tmp_path / "run.json"
    async with plugin_server(tmp_path, STALL) as url:
        done = await bench(
            url, *("-n", 4, "--seconds", 4, "--rounds", 1, "--speed", 20), *("--json", file)
        )
    assert done.code == 0
    run = result.read(file)
    for one in run.rounds:
        from_due = metrics.percentile(metrics.latencies([one], "due"), 99)
        from_sent = metrics.percentile(metrics.latencies([one], "sent"), 50)
        assert from_due is not None
        assert from_sent is not None
        assert from_due >= 400
        assert from_sent < 100
        assert one.figures.kept < one.figures.due


@pytest.mark.parametrize("period", [0.02])
async def test_any_server_with_sent_at(tmp_path: Path, period: float) -> None:
    """One of the websockets library, that knows nothing of rtdemo; its period is estimated."""
    file = tmp_path / "run.json"

    async def talk(socket: websockets.ServerConnection) -> None:
        loop, number = asyncio.get_running_loop(), 0
        start = loop.time()
        while True:
            number += 1
            await asyncio.sleep(start + number * period - loop.time())
            text = {"message": f"Reading {number}", "sentAt": time.time() * 1000}
            await socket.send(json.dumps(text))

    async with websockets.serve(talk, "127.0.0.1", 0, process_request=refuse_http) as server:
        port = server.sockets[0].getsockname()[1]
        done = await bench(
            f"ws://127.0.0.1:{port}/any", *("-n", 3, "--seconds", 1, "--rounds", 1), *("--json", file)
        )
    assert (done.code, done.err) == (0, "")
    [one] = result.read(file).rounds
    assert list(one.figures.periods) == ["Reading"]
    assert one.figures.periods["Reading"] == pytest.approx(20, rel=0.1)
    assert one.figures.due == pytest.approx(150, abs=20)
    assert "no rtdemo" in done.out


def refuse_http(
    connection: websockets.ServerConnection, request: websockets.Request
) -> websockets.Response | None:
    """Answer the questions to rtdemo as a WebSocket server that has no pages."""
    return connection.respond(404, "nothing\n") if request.path.startswith("/api") else None


async def test_a_server_that_says_nothing(tmp_path: Path) -> None:
    """It is told after the round, and no file is written."""

    async def listen(socket: websockets.ServerConnection) -> None:
        await socket.wait_closed()

    file = tmp_path / "run.json"
    async with websockets.serve(listen, "127.0.0.1", 0, process_request=refuse_http) as server:
        port = server.sockets[0].getsockname()[1]
        done = await bench(
            f"ws://127.0.0.1:{port}/", *("-n", 2, "--seconds", 1, "--rounds", 1), *("--json", file)
        )
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "sent no message with `sentAt` within 1 s" in done.err
    assert not file.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_interrupted_it_tells_what_was_measured(tmp_path: Path, number: signal.Signals) -> None:
    """The window that was under way included, in the files too."""
    file = tmp_path / "run.json"
    async with plugin_server(tmp_path) as url:
        process = await start(
            url, *("-n", 2, "--seconds", 60, "--speed", 20, "--transport", "sse"), *("--json", file)
        )
        # 20 a second; a window that is cut before it lasted a second counts for nothing.
        await delivered(url, 80)
        process.send_signal(number)
        done = await finish(process)
    assert (done.code, done.err) == (130, "")
    assert "CUT SHORT" in done.out
    run = result.read(file)
    assert run.cut_short
    [one] = run.rounds
    assert 1 <= one.seconds < 60
    assert one.figures.messages > 0


async def test_interrupted_before_anything_it_says_nothing(tmp_path: Path) -> None:
    """And leaves no server behind."""
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
    """Wait until a server has sent so much over SSE."""
    async with httpx.AsyncClient() as http, asyncio.timeout(60):
        while (await http.get(f"{url}/api/stats")).json()["messages"]["sse"] < count:
            await asyncio.sleep(0.05)


async def test_a_file_that_cannot_be_written_comes_after_the_table(tmp_path: Path) -> None:
    """What was measured for minutes is printed all the same."""
    async with plugin_server(tmp_path) as url:
        done = await bench(
            url,
            *("-n", 1, "--seconds", 1, "--rounds", 1, "--speed", 20, "--transport", "sse"),
            *("--json", "/dev/full"),
        )
    assert done.code == 1
    assert done.err == "rtdemo: /dev/full cannot be written: No space left on device\n"
    assert "rate kept" in done.out


@pytest.mark.parametrize("scheme", ["https", "wss"])
async def test_tls_that_fails_is_one_line(tmp_path: Path, scheme: str) -> None:
    """Here since the server speaks none."""
    async with plugin_server(tmp_path) as url:
        done = await bench(url.replace("http", scheme), "-n", 1)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "SSL" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["http://127.0.0.1:1"], 1, "is the server running?"),
        (["ws://127.0.0.1:1/"], 1, "is the server running?"),
        (["ftp://x"], 2, "has the scheme 'ftp'"),
        (["ws://127.0.0.1:1", "--transport", "sse"], 2, "there is no sse"),
        (["-n", "20001"], 2, "1<=x<=20000"),
        (["--seconds", "601"], 2, "600"),
        (["--fail-if", "p99+20%"], 2, "give --compare, too"),
        (["--compare", __file__, "--fail-if", "p98+20%"], 2, "is no limit; give"),
        (["--compare", __file__], 1, "is no run file"),
        (["--compare", "/missing"], 1, "cannot be read"),
    ],
)
async def test_what_cannot_be_is_one_line(arguments: list[str], code: int, words: str) -> None:
    """On standard error, with an exit code."""
    done = await bench(*arguments)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert words in done.err
