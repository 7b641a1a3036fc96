"""storm finds what a server does to its clients: each fault is planted, and the counts are exact."""

from __future__ import annotations

import asyncio
import json
import os
import signal

from rtdemo.lab.storm.result import Storm
from tests.lab.storm.scripted_server import (
    BUSY,
    SETTLE_S,
    STREAM,
    Request,
    run_storm,
    scripted_server,
)

CLIENTS = 20


def event(offset: int, epoch: str = "a", **fields: object) -> bytes:
    """Return an event of rtdemo's log, or the welcome or the notice at this position."""
    position = f"{epoch}-{offset}"
    data = json.dumps({"message": "m", "sentAt": 1.0, "id": position, **fields})
    return f"id: {position}\ndata: {data}\n\n".encode()


def codes(storm: Storm) -> dict[str, str]:
    return {finding.code: finding.level for finding in storm.findings}


def stream(*events: bytes) -> bytes:
    return STREAM + b"retry: 100\n\n" + b"".join(events)


FIRST = stream(event(0, client="c"), event(1), event(2))


async def test_clients_that_resume_lose_nothing() -> None:
    """Each sends the id of its last event, and gets the next one."""

    def script(request: Request) -> bytes:
        if not request.life:
            return FIRST
        after = int(request.last_event_id.rpartition("-")[2])
        return stream(event(after, client="c"), *(event(offset) for offset in range(after + 1, 5)))

    async with scripted_server(script) as server:
        storm = await run_storm(server)
    total = storm.total
    assert (total.cut, total.back, total.lost, total.repeated, total.notified) == (
        CLIENTS,
        CLIENTS,
        0,
        0,
        0,
    )
    assert (storm.messages, codes(storm)["nothing-lost"]) == (4, "ok")
    assert {request.last_event_id for request in server.requests if request.life} == {"a-2"}
    assert server.is_closed


async def test_planted_losses_and_repeats_are_counted() -> None:
    """Of those that are back, every fourth misses two messages, and every fifth gets one again."""

    def script(request: Request) -> bytes:
        if not request.life:
            return FIRST
        offsets = [3, 4, 5]
        if request.number % 4 == 0:
            offsets = [5]
        if request.number % 5 == 0:
            offsets = [2, *offsets]
        return stream(event(2, client="c"), *map(event, offsets))

    async with scripted_server(script) as server:
        storm = await run_storm(server)
    total = storm.total
    assert (total.lost, total.clients_with_losses, total.repeated) == (10, 5, 4)
    assert codes(storm)["messages-lost"] == codes(storm)["messages-repeated"] == "fail"


async def test_reported_loss_is_not_a_silent_one() -> None:
    """A new log with a notice, and for half of the clients without."""

    def script(request: Request) -> bytes:
        if not request.life:
            return FIRST
        notice = event(0, "b", producer="resume", lost=True) if request.number % 2 else b""
        return stream(event(2, client="c"), notice, event(1, "b"))

    async with scripted_server(script) as server:
        storm = await run_storm(server)
    total = storm.total
    assert (total.notified, total.unannounced, total.lost) == (CLIENTS // 2, CLIENTS // 2, 0)
    assert codes(storm)["log-replaced-silently"] == "fail"
    assert codes(storm)["loss-reported"] == "warn"


async def test_event_sources_that_get_503_never_come_back() -> None:
    """As in a browser. The messages that they do not get then are not counted as lost."""

    def script(request: Request) -> bytes:
        if request.life:
            return BUSY if request.number <= 7 else stream(event(2, client="c"), event(3))
        return FIRST

    async with scripted_server(script) as server:
        storm = await run_storm(server)
    total = storm.total
    assert (total.gave_up, total.back, total.failures) == ({"503": 7}, CLIENTS - 7, {"503": 7})
    assert (total.lost, storm.messages) == (0, 3)
    assert codes(storm)["clients-gave-up"] == "fail"
    assert total.back_after.p50 is not None
    assert total.back_after.p95 is None


async def test_refused_clients_of_another_kind_come_back_after_retry_after() -> None:
    """All others come first: these wait for a second, although their own wait is shorter."""

    def script(request: Request) -> bytes:
        if request.life and request.number <= 7:
            return BUSY
        return stream(event(request.number, client="c"))

    async with scripted_server(script) as server:
        storm = await run_storm(server, rule="fixed:0.1")
    total = storm.total
    assert (total.gave_up, total.back, total.failures) == ({}, CLIENTS, {"503": 7})
    assert total.attempts == CLIENTS + 7
    came = [request.last_event_id for request in server.requests if request.life]
    assert sorted(came[CLIENTS:]) == sorted(came[:7])
    assert codes(storm)["attempts-refused"] == "note"


async def test_server_without_positions_is_measured_too() -> None:
    """Connections are known, messages are not: ids of others have no known order."""

    def script(_request: Request) -> bytes:
        return stream(b"id: 1\ndata: one\n\n", b"id: 2\ndata: two\n\n")

    async with scripted_server(script) as server:
        storm = await run_storm(server)
    total = storm.total
    assert (total.back, total.lost, total.repeated) == (CLIENTS, None, None)
    assert codes(storm)["delivery-unknown"] == "note"
    assert {request.last_event_id for request in server.requests if request.life} == {"2"}


async def test_client_that_is_cut_again_is_not_back() -> None:
    """Although its stream was open for a moment."""

    def script(request: Request) -> bytes:
        if not request.life:
            return FIRST
        return FIRST.replace(b"OK", b"Fine") if request.number <= CLIENTS else b""

    async with scripted_server(script) as server:
        storm = await run_storm(server, rule="fixed:0.1", seconds=10.0)
    assert (storm.total.back, codes(storm)["clients-not-back"]) == (0, "fail")
    assert set(storm.total.failures) == {"cut before an answer"}


async def test_server_that_goes_on_accepting_after_the_signal() -> None:
    """Its clients are back too early: they are cut again as it ends, and storm waits for that."""

    def script(request: Request) -> bytes:
        if not request.life and request.number == 2 * CLIENTS:  # all are back
            asyncio.get_running_loop().call_later(SETTLE_S, server.stop)
        return FIRST

    async with scripted_server(script) as server:
        server.lingers = True
        storm = await run_storm(server, rule="fixed:0.1")
    assert (storm.total.cut, storm.total.back, storm.has_ended) == (CLIENTS, CLIENTS, True)
    assert [sum(one.life == life for one in server.requests) for life in (0, 1)] == [
        2 * CLIENTS,
        CLIENTS,
    ]


NO_STREAMS = {
    "cut before an answer": b"",
    "does not speak HTTP/1.1": b"\x16\x03\x01 no HTTP\r\n\r\n",
    "200, but no event stream": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>",
    "it redirects to /login": b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n",
    # Over eleven days: no client waits for this.
    "429": b"HTTP/1.1 429 Slow\r\nRetry-After: " + b"9" * 400 + b"\r\n\r\n",
    "sent response headers of over 32 KiB": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000,
}
"""Answers that open no stream, by the reason that storm reports."""


async def test_answers_that_are_no_stream() -> None:
    """After the restart each attempt fails with its reason, and the clients go on."""
    answers = list(NO_STREAMS.values())

    def script(request: Request) -> bytes:
        return answers[request.number - 1] if request.life and request.number <= len(answers) else FIRST

    async with scripted_server(script) as server:
        storm = await run_storm(server, rule="fixed:0.1")
    assert storm.total.failures == dict.fromkeys(NO_STREAMS, 1)
    assert storm.total.back == CLIENTS


GARBAGE = (
    b"\xff\xfe\x00" * 1000,
    b'data: {"id":"a-' + b"9" * 400 + b'"}\n\n',
    b"retry: 99999999999999999999\n\nretry: 100\n\n",
    b"id: \x1b[2J\xff" + b"y" * 5000 + b"\ndata: x\n\n",
)


async def test_hostile_streams_do_no_harm() -> None:
    """Their ids are not sent back, and nothing of them counts."""

    def script(request: Request) -> bytes:
        return stream() + GARBAGE[request.number % len(GARBAGE)]

    async with scripted_server(script) as server:
        storm = await run_storm(server)
    assert (storm.total.back, storm.total.lost) == (CLIENTS, None)
    assert {request.last_event_id for request in server.requests} == {""}


async def test_interrupt_keeps_what_was_measured() -> None:
    """Also while the server is away; storm's own server is ended."""
    async with scripted_server(lambda request: FIRST if not request.life else b"") as server:
        running = asyncio.ensure_future(run_storm(server))
        while not server.signals:
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        storm = await running
    assert storm.cut_short
    assert (storm.total.clients, storm.total.lost, server.is_closed) == (CLIENTS, None, True)
    assert not {"clients-not-back", "process-survived"} & set(codes(storm))
