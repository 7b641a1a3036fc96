"""`rtdemo bench` as a command, against real servers."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
import websockets
from aiohttp import web

from rtdemo.lab.bench import metrics, run_file
from rtdemo.lab.bench.result import Run
from tests.lab.bench.bench_command import bench, http_server, plugin_server, refuse_http

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


def p50(run: Run, transport: str) -> float:
    rounds = [one for one in run.rounds if one.transport == transport]
    found = metrics.percentile(metrics.latencies(rounds, "sent"), 50)
    assert found is not None
    return found


async def test_both_transports_of_a_server_of_its_own(tmp_path: Path) -> None:
    """Bench writes a table, a run file and a page. Due messages arrive, under equal conditions."""
    file, page = tmp_path / "run.json", tmp_path / "run.html"
    done = await bench(
        *("-n", 6, "--seconds", 3, "--rounds", 1, "--speed", 20, "--processes", 2),
        *("--json", file, "--html", page),
    )
    assert (done.code, done.problems) == (0, "")
    run = run_file.read(file)
    assert [one.transport for one in run.rounds] == ["websocket", "sse"]
    for one in run.rounds:
        # Other work on the machine may delay some messages, but not most.
        assert one.figures.due == pytest.approx(180, abs=6)
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
    headline, conditions, *_ = done.out.splitlines()
    assert headline == run.headline
    assert headline.startswith("Too little data: ")
    assert conditions.startswith("own server (rtdemo ")
    assert f"<h1>{run.headline}</h1>" in page.read_text()


async def test_a_stream_by_post_is_measured_again_and_again(tmp_path: Path) -> None:
    """Each connection repeats its request, with the user's header; without `sentAt` there are gaps."""
    file, body = tmp_path / "run.json", tmp_path / "body.json"
    body.write_text('{"stream": true}')
    received = []

    async def complete(request: web.Request) -> web.StreamResponse:
        received.append(
            (await request.text(), request.headers["Content-Type"], request.headers["X-Key"])
        )
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for token in (*"abcdefgh", "[DONE]"):
            await answer.write(b"data: %b\n\n" % token.encode())
            await asyncio.sleep(0.01)
        return answer

    async with http_server(complete) as url:
        done = await bench(
            *(f"{url}/v1/complete", "--post", body, "--header", "X-Key: k"),
            *("-n", 2, "--seconds", 3, "--rounds", 1, "--json", file),
        )
    assert (done.code, done.problems) == (0, "")
    assert set(received) == {('{"stream": true}', "application/json", "k")}
    run = run_file.read(file)
    [one] = run.rounds
    assert 0 < one.figures.messages == one.figures.untimed
    assert one.repeats > 0
    assert one.ended == {}
    assert len(metrics.latencies([one], "gap")) > 0
    assert not metrics.latencies([one], "sent").counts
    assert done.out.startswith("Latency is unknown without `sentAt`")
    assert "Gaps between messages" in done.out
    assert (run.settings.transports, run.settings.body_bytes) == (("sse",), 16)


async def test_a_clock_that_is_3_s_ahead_is_seen_through(tmp_path: Path) -> None:
    """Latency is correct within its error, where `Date.now() - sentAt` would be wrong by 3 s."""
    file = tmp_path / "run.json"
    async with plugin_server(tmp_path, SKEW) as url:
        done = await bench(url, *("-n", 4, "--seconds", 3, "--rounds", 1, "--speed", 20, "--json", file))
    assert done.code == 0
    run = run_file.read(file)
    for transport in ("websocket", "sse"):
        errors = [one.clock_error for one in run.rounds if one.transport == transport]
        assert errors[0] is not None
        # On loopback a message takes almost no time, and never less than 0.
        # A busy machine takes some, but not half of what the clocks are apart.
        assert 0 <= p50(run, transport) < errors[0] + 1500
        assert errors[0] < 1500


async def test_a_stall_shows_from_the_due_instant_alone(tmp_path: Path) -> None:
    """p99 from due time shows a stall of 500 ms once a second; latency from sentAt does not."""
    file = tmp_path / "run.json"
    async with plugin_server(tmp_path, STALL) as url:
        done = await bench(
            *(url, "-n", 30, "--seconds", 4, "--rounds", 1, "--speed", 20),
            *("--transport", "sse", "--json", file),
        )
    assert done.code == 0
    [one] = run_file.read(file).rounds
    from_due = metrics.percentile(metrics.latencies([one], "due"), 99)
    from_sent = metrics.percentile(metrics.latencies([one], "sent"), 50)
    assert from_due is not None
    assert from_sent is not None
    assert from_due >= 400
    # A busy machine may delay messages, too, but half of them by far less than a stall.
    assert from_sent < 250
    assert one.figures.kept < one.figures.due


@pytest.mark.parametrize("period", [0.02])
async def test_any_server_with_sent_at(tmp_path: Path, period: float) -> None:
    """Bench measures a server of the websockets library, and estimates its period."""
    file = tmp_path / "run.json"

    async def send_messages(socket: websockets.ServerConnection) -> None:
        loop, number = asyncio.get_running_loop(), 0
        start, started_at = loop.time(), time.time()
        while True:
            number += 1
            await asyncio.sleep(start + number * period - loop.time())
            # The instant that was planned: a busy machine wakes this later, not evenly.
            text = {"message": f"Reading {number}", "sentAt": (started_at + number * period) * 1000}
            await socket.send(json.dumps(text))

    async with websockets.serve(send_messages, "127.0.0.1", 0, process_request=refuse_http) as server:
        port = server.sockets[0].getsockname()[1]
        done = await bench(
            f"ws://127.0.0.1:{port}/any", *("-n", 3, "--seconds", 3, "--rounds", 1), *("--json", file)
        )
    assert (done.code, done.problems) == (0, "")
    [one] = run_file.read(file).rounds
    assert list(one.figures.periods) == ["Reading"]
    assert one.figures.periods["Reading"] == pytest.approx(20, rel=0.1)
    assert one.figures.due == pytest.approx(450, abs=20)
    assert "not an rtdemo server" in done.out


async def test_connections_that_received_nothing_are_warned_of() -> None:
    """If a server sends to every other connection only, bench warns of the rest."""
    connected = []

    async def send_messages(socket: websockets.ServerConnection) -> None:
        connected.append(socket)
        if len(connected) % 2:
            await socket.wait_closed()
        while True:
            await asyncio.sleep(0.02)
            await socket.send(json.dumps({"message": "x", "sentAt": time.time() * 1000}))

    async with websockets.serve(send_messages, "127.0.0.1", 0, process_request=refuse_http) as server:
        port = server.sockets[0].getsockname()[1]
        done = await bench(f"ws://127.0.0.1:{port}/", *("-n", 4, "--seconds", 3, "--rounds", 1))
    assert done.code == 0
    assert "WebSocket: 2 of 4 connections received nothing (in 1 of 1 rounds)" in done.out
