"""`rtdemo.publish`: from threads, processes and scripts, with the server there, away, or unwilling."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web

import rtdemo
from rtdemo.publisher.background import BackgroundPublisher
from rtdemo.publisher.publication import encode
from rtdemo.publisher.publish import Publishers
from rtdemo.publisher.waiting import MAX_BATCH, PublishCounts, Waiting
from rtdemo.server.server import Server
from tests import app_server
from tests.clients import eventually
from tests.conftest import Connect, Start
from tests.publisher.programs import run
from tests.raw_server import raw_server

Answer = Callable[[web.Request], web.Response]


@asynccontextmanager
async def answering(answer: Callable[[list[Any]], web.Response]) -> AsyncIterator[str]:
    """Serve `/api/publish` with answers of the test's own; yield the server's URL."""

    async def handle(request: web.Request) -> web.Response:
        return answer(json.loads(await request.read()))

    async with app_server.answering(handle, "/api/publish", "POST") as url:
        yield url


def positions(messages: list[Any]) -> web.Response:
    return web.json_response({"positions": [f"e-{n}" for n, _ in enumerate(messages, 1)]})


def lines(caplog: pytest.LogCaptureFixture, url: str) -> list[str]:
    """What was logged about one server: publishers of other tests may still try."""
    return [line for record in caplog.records if (line := record.getMessage()).startswith(url)]


async def flushed(publisher: BackgroundPublisher, seconds: float = 60.0) -> PublishCounts:
    return await asyncio.to_thread(publisher.flush, seconds)


async def test_three_lines_of_a_script(server: Server, connect: Connect) -> None:
    """Import, publish, end: the messages are sent before the program ends."""
    peer = await connect(server, "sse")
    script = "import rtdemo\nfor n in range(250): rtdemo.publish('loss', n / 2)"
    assert await run(server.web_url, script) == (0, "", "")
    got = [await peer.receive() for _ in range(250)]
    assert [message["value"] for message in got] == [n / 2 for n in range(250)]
    assert {message["producer"] for message in got} == {"loss"}


@pytest.mark.parametrize(
    ("value", "message", "expected"),
    [
        (0.5, None, {"value": 0.5}),
        ("text", None, {"message": "text"}),
        ("on", "switched on", {"message": "switched on", "value": "on"}),
        ({"a": math.nan}, None, {"value": {"a": None}}),
        (None, None, {"value": None}),
        (True, "yes", {"message": "yes", "value": True}),
    ],
)
def test_what_one_call_publishes(
    value: object, message: str | None, expected: dict[str, object]
) -> None:
    """A text is the message; anything else is the value."""
    assert json.loads(encode("x", value, message)[0]) == {"producer": "x", **expected}


async def test_nan_is_counted_and_said_once(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss that has diverged is an empty place in the chart: the line names its producer."""
    monkeypatch.setattr("rtdemo.publisher.publication._has_warned", threading.Event())
    publisher = BackgroundPublisher(server.web_url, "")
    for value in (math.nan, {"a": math.inf, "b": [-math.inf, 1.0]}, 2.0):
        publisher.put(*encode("loss", value))
    assert await flushed(publisher) == PublishCounts(accepted=3, nulls=3)
    (line,) = [r.getMessage() for r in caplog.records if "NaN" in r.getMessage()]
    assert "under 'loss' is sent as null" in line


def test_value_that_json_cannot_hold_is_an_error_of_the_caller() -> None:
    """It is raised at the call, where the mistake is."""
    with pytest.raises(TypeError, match="a value of type object"):
        encode("x", object())


@pytest.mark.parametrize("name", [1, 0.5, None, b"loss"])
def test_name_that_is_no_text_is_an_error_of_the_caller(name: Any) -> None:
    """Such as swapped arguments: the error says which one is the name."""
    with pytest.raises(TypeError, match=f"text such as 'loss', not {type(name).__name__}; then"):
        rtdemo.publish(name, "loss")


def test_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each call would look there; other ways to write the same server share its publisher."""
    publishers = Publishers()
    monkeypatch.setenv("RTDEMO_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("RTDEMO_PUBLISH_TOKEN", "s3cret")
    found = publishers.get(None, None)
    assert found.url == "http://127.0.0.1:9"
    assert publishers.get("127.0.0.1:9/", "s3cret") is found
    assert publishers.get(None, "other") is not found
    monkeypatch.setenv("RTDEMO_URL", "http://127.0.0.1:10")
    assert publishers.get(None, None) is found


async def test_many_threads_at_once(server: Server) -> None:
    """Nothing is lost, and the order of each thread is kept."""
    publisher = BackgroundPublisher(server.web_url, "")
    barrier = threading.Barrier(5)

    def work(name: str) -> None:
        barrier.wait()
        for number in range(200):
            publisher.put(*encode(name, number))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    await asyncio.to_thread(barrier.wait)
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert await flushed(publisher) == PublishCounts(accepted=800)
    log = server.hub.engine.log
    for name in "abcd":
        entries = [e for e in log.after(0, 1000) if e.producer == name]
        assert [json.loads(e.payload)["value"] for e in entries] == list(range(200))


async def test_server_that_is_away_costs_the_oldest_only(caplog: pytest.LogCaptureFixture) -> None:
    """One line says so; what waited is sent once the server is there, and the sums add up."""
    got: list[Any] = []
    is_away = True

    def answer(messages: list[Any]) -> web.Response:
        if is_away:
            return web.Response(status=503, text="the log is unavailable", headers={"Retry-After": "0"})
        got.extend(message["value"] for message in messages)
        return positions(messages)

    async with answering(answer) as url:
        publisher = BackgroundPublisher(url, "", size=50)
        for number in range(200):
            publisher.put(*encode("x", number))
        await eventually(lambda: "answered 503: the log is unavailable" in caplog.text)
        is_away = False
        counts = await flushed(publisher)
    assert counts.accepted + counts.dropped == 200
    assert counts.dropped >= 50
    assert got == sorted(got)
    assert got[-1] == 199
    assert len(got) == counts.accepted
    assert len(lines(caplog, url)) == 2
    assert "takes messages again" in caplog.text


async def test_problems_that_take_turns_are_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that fails in two ways, or in a new way each time, fills no log."""
    monkeypatch.setattr("rtdemo.publisher.sender.MAX_RETRY_S", 0)
    tries = 0

    def answer(messages: list[Any]) -> web.Response:
        nonlocal tries
        tries += 1
        if tries in (60, 63):
            return positions(messages)
        if tries > 60:
            return web.Response(status=502, text="late")
        return web.Response(status=503, text=f"{tries % 2 if tries < 20 else tries}")

    async with answering(answer) as url:
        publisher = BackgroundPublisher(url, "")
        for _ in range(2):
            publisher.put(*encode("x", 1))
            await flushed(publisher)
    said = [line.removeprefix(url).partition(";")[0] for line in lines(caplog, url)]
    first = ["1", "0", "20", "21", "22"]
    assert said == [
        *(f" answered 503: {number}" for number in first),
        " takes messages again",
        " answered 502: late",
        " takes messages again",
    ]


async def test_server_that_does_not_exist_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """The program goes on; flush returns after its time with what waits."""
    publisher = BackgroundPublisher("http://127.0.0.1:9", "", size=10)
    for number in range(30):
        publisher.put(*encode("x", number))
    await eventually(lambda: "cannot be reached: connection refused" in caplog.text)
    counts = await flushed(publisher, 0.5)
    assert counts.accepted == counts.refused == 0
    assert counts.dropped + counts.waiting == 30
    assert len(lines(caplog, publisher.url)) == 1


async def test_wrong_token_is_said_once(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """It is no fault of the messages: they wait, and the oldest are dropped and counted."""
    server = await start(publish_token="s3cret")
    publisher = BackgroundPublisher(server.web_url, "wrong", size=10)
    for number in range(30):
        publisher.put(*encode("x", number))
    await eventually(lambda: "answered 401: this is not the publish token" in caplog.text)
    counts = await flushed(publisher, 1.0)
    assert counts.accepted == 0
    assert counts.dropped + counts.waiting == 30
    assert len(lines(caplog, server.web_url)) == 1
    assert "; give it with token= or RTDEMO_PUBLISH_TOKEN; what is published waits" in caplog.text
    assert "wrong" not in caplog.text


async def test_message_that_is_refused_costs_no_other(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a batch that is refused, all others are published; the reason is logged once."""
    publisher = BackgroundPublisher(server.web_url, "")
    for number in range(60):
        publisher.put(*encode("message" if number in (7, 40) else "x", number))
    publisher.put(*encode("x", "y" * 70_000))
    publisher.put(*encode("x", "last"))
    assert await flushed(publisher) == PublishCounts(accepted=59, refused=3)
    assert len(lines(caplog, server.web_url)) == 1
    assert "'message' is the name of private messages" in caplog.text


async def test_answer_that_is_lost_publishes_nothing_twice() -> None:
    """The same batch comes again with the same key."""
    keys: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        keys.append(request.headers["Idempotency-Key"])
        messages = json.loads(await request.read())
        if len(keys) == 1:
            assert request.transport is not None
            request.transport.abort()
        return positions(messages)

    async with app_server.answering(handle) as url:
        publisher = BackgroundPublisher(url, "")
        publisher.put(*encode("x", 1))
        assert await flushed(publisher) == PublishCounts(accepted=1)
    assert len(keys) == 2
    assert len(set(keys)) == 1


async def test_redirect_is_not_followed(caplog: pytest.LogCaptureFixture) -> None:
    """Its target would get the token; the line names it."""

    def answer(messages: list[Any]) -> web.Response:
        return web.Response(status=308, headers={"Location": "https://other.example/"})

    async with answering(answer) as url:
        publisher = BackgroundPublisher(url, "s3cret")
        publisher.put(*encode("x", 1))
        await eventually(lambda: "redirects to https://other.example/" in caplog.text)


async def test_process_that_is_forked_publishes_its_own(server: Server) -> None:
    """A child of fork starts with an empty queue and a thread of its own, and flushes at its end."""
    script = """
import multiprocessing, os, rtdemo
def child(name):
    for n in range(20): rtdemo.publish(name, n)
for n in range(20): rtdemo.publish("parent", n)
context = multiprocessing.get_context("fork")
children = [context.Process(target=child, args=(name,)) for name in ("a", "b")]
for each in children: each.start()
for each in children: each.join()
"""
    code, _, errors = await run(server.web_url, script)
    assert (code, errors) == (0, "")
    published = [(e.producer, e.payload) for e in server.hub.engine.log.after(0, 100)]
    assert Counter(producer for producer, _ in published) == {"parent": 20, "a": 20, "b": 20}


async def test_end_of_a_program_waits_for_a_limited_time() -> None:
    """Without a server it ends, with code 0, and says how much was not sent."""
    script = "import rtdemo; rtdemo.publisher.publish.EXIT_TIMEOUT_S = 0.2; rtdemo.publish('x', 1)"
    code, _, errors = await run("http://127.0.0.1:9", script)
    assert code == 0
    assert "rtdemo: messages at the end of the program: 0 published, 0 dropped, 1 not sent" in errors


async def test_end_of_a_program_names_a_server_that_does_not_answer() -> None:
    """The time limit of the request is longer than that of the end, so nothing else says it."""

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    script = """
import rtdemo, rtdemo.publisher.publish as p
p.EXIT_TIMEOUT_S, p.MAX_SILENCE_S = 60.0, 0.0
publisher = p._PUBLISHERS.get(None, None)
publisher.flush = lambda timeout: publisher._waiting.counts
rtdemo.publish('x', 1)
while not publisher.unanswered_s:
    pass
"""
    async with raw_server(never) as port:
        code, _, errors = await run(f"http://127.0.0.1:{port}", script)
    assert code == 0
    end = re.escape(f"1 not sent; http://127.0.0.1:{port} has not answered for ")
    assert re.search(rf"{end}\d s\n$", errors)


def test_batch_fits_into_a_request() -> None:
    """At most 100 messages, and less than 64 KiB unless one message alone has more."""
    waiting = Waiting(1000)
    for size in [10] * 150 + [40_000] * 3 + [70_000]:
        waiting.put(b"x" * size)
    sizes = [len(waiting.take()) for _ in range(6)]
    assert sizes[0] == MAX_BATCH
    assert sizes[1:] == [51, 1, 1, 1, 0]


async def test_thread_of_a_plugin_publishes_in_its_own_server(
    start: Start, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Without HTTP, in order; what has a reserved name is refused, logged once, and costs no other."""
    server = await start()
    peer = await connect(server, "websocket")

    def work() -> None:
        for number in range(150):
            rtdemo.publish("rtdemo" if number == 3 else "sensor", number)

    with caplog.at_level(logging.WARNING):
        await asyncio.to_thread(work)
        got = [await peer.receive() for _ in range(149)]
    assert [m["value"] for m in got] == [n for n in range(150) if n != 3]
    assert "'rtdemo' is the name of private messages" in caplog.text
    counted = {"accepted": 149, "dropped": 0, "refused": 1, "waiting": 0, "nulls": 0}
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        assert (await http.get("/api/stats")).json()["publishedHere"] == counted
        metrics = (await http.get("/metrics")).text
    assert 'rtdemo_published_here_total{result="accepted"} 149.0' in metrics
    assert 'rtdemo_published_here_total{result="refused"} 1.0' in metrics
    assert server.hub.traffic["websocket"].lost == 0
