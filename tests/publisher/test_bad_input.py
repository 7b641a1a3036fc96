"""What a program may publish by mistake or by malice costs no other message, and bounded memory."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from typing import Any

import httpx
import pytest

from rtdemo import AsyncPublisher
from rtdemo.engine import log
from rtdemo.engine.memory import MemoryEngine
from rtdemo.errors import PublishError
from rtdemo.protocol import message as messages
from rtdemo.publisher.background import BackgroundPublisher
from rtdemo.publisher.publication import encode
from rtdemo.publisher.waiting import PublishCounts, Waiting
from rtdemo.server.server import Server
from tests.clients import eventually
from tests.conftest import Connect
from tests.publisher.programs import run, running
from tests.publisher.test_publish import flushed, lines

MEBIBYTE = "x" * 1024 * 1024
MARKUP = "<img src=x onerror=alert(1)>"


def entries(server: Server) -> list[dict[str, Any]]:
    """What the log has, as clients get it."""
    return [json.loads(entry.payload) for entry in server.hub.engine.log.after(0, 100_000)]


async def test_value_of_a_mebibyte_is_refused_alone(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not even sent; others before and after it are published."""
    publisher = BackgroundPublisher(server.web_url, "")
    for value in (1, MEBIBYTE, {"text": MEBIBYTE}, 2):
        publisher.put(*encode("x", value))
    assert await flushed(publisher) == PublishCounts(accepted=2, refused=2)
    (line,) = lines(caplog, server.web_url)
    assert "takes at most 65536 bytes, and the message has 1048" in line
    async with AsyncPublisher(server.web_url) as waiting:
        with pytest.raises(PublishError, match="takes at most 65536 bytes"):
            await waiting.publish("x", MEBIBYTE)
        assert await waiting.publish("x", 3)
    assert [entry["value"] for entry in entries(server)] == [1, 2, 3]


def test_messages_that_wait_are_bounded_by_their_bytes() -> None:
    """The oldest are dropped and counted; the newest stays, whatever its size."""
    waiting = Waiting(100, max_bytes=1000)
    for _ in range(5):
        waiting.put(b"x" * 300)
    assert waiting.counts == PublishCounts(dropped=2, waiting=3)
    waiting.put(b"x" * 5000)
    assert waiting.counts == PublishCounts(dropped=5, waiting=1)
    waiting.take()
    for _ in range(3):
        waiting.put(b"x" * 300)
    assert waiting.counts == PublishCounts(dropped=5, waiting=4)


@pytest.mark.parametrize(
    ("value", "nulls"), [(math.nan, 1), (-math.inf, 1), ({"loss": math.nan, "steps": [math.inf, 1]}, 2)]
)
async def test_nan_arrives_as_null(server: Server, value: object, nulls: int) -> None:
    """JSON has no NaN (RFC 8259 section 6)."""
    publisher = BackgroundPublisher(server.web_url, "")
    publisher.put(*encode("x", value))
    assert await flushed(publisher) == PublishCounts(accepted=1, nulls=nulls)
    (entry,) = entries(server)
    assert entry["value"] in (None, {"loss": None, "steps": [None, 1]})


async def test_dict_of_500_keys_arrives_whole(server: Server, connect: Connect) -> None:
    """So does the next one, with other keys."""
    peer = await connect(server, "websocket")
    publisher = BackgroundPublisher(server.web_url, "")
    values = [{f"{prefix}{n}": n for n in range(500)} for prefix in "ab"]
    for value in values:
        publisher.put(*encode("wide", value))
    assert [(await peer.receive())["value"] for _ in values] == values


async def test_names_without_end_cost_bounded_memory(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server remembers the newest names, here 100; every message is published."""
    monkeypatch.setattr(log, "MAX_NUMBERED_PRODUCERS", 100)
    publisher = BackgroundPublisher(server.web_url, "")
    for number in range(1000):
        publisher.put(*encode(f"name {number}", number))
    assert await flushed(publisher) == PublishCounts(accepted=1000)
    kept = [f"name {number}" for number in range(900, 1000)]
    assert list(server.hub.engine.log.producers) == kept
    assert [entry.producer for entry in server.hub.engine.log.latest] == kept


@pytest.mark.parametrize("field", ["sentAt", "seq", "id", "time"])
async def test_time_and_number_are_the_servers(server: Server, field: str) -> None:
    """No publisher can send from the future, or with the number of another message."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.post("/api/publish", json={"message": "x", field: 4e12})
    assert answer.status_code == 400
    assert f"unknown field `{field}`" in answer.text
    assert entries(server) == []


async def test_message_from_a_clock_that_was_ahead(server: Server, connect: Connect) -> None:
    """A server's clock that is set back by an hour hides no later message from `rewind`."""
    engine = server.hub.engine
    assert isinstance(engine, MemoryEngine)
    engine._now = engine.log._now = lambda: messages.now() + 3_600_000
    publisher = BackgroundPublisher(server.web_url, "")
    publisher.put(*encode("x", "ahead"))
    await flushed(publisher)
    engine._now = engine.log._now = messages.now
    publisher.put(*encode("x", "now"))
    await flushed(publisher)
    peer = await connect(server, "sse", "producers=x&rewind=10m")
    assert [(await peer.receive())["message"] for _ in range(2)] == ["ahead", "now"]


async def test_publisher_that_is_killed(server: Server) -> None:
    """What has arrived is in order, each value once; another program publishes as before."""
    endless = "import itertools, rtdemo\nfor n in itertools.count(): rtdemo.publish('endless', n)"
    async with running(server.web_url, "-c", endless):
        await eventually(lambda: server.hub.engine.log.last.offset > 500)
    assert await run(server.web_url, "import rtdemo; rtdemo.publish('after', 1)") == (0, "", "")
    values = [e["value"] for e in entries(server) if e["producer"] == "endless"]
    assert len(set(values)) == len(values)
    assert values == sorted(values)
    assert entries(server)[-1]["producer"] == "after"


async def test_two_programs_publish_under_one_name(server: Server) -> None:
    """The numbers of the messages have no gap, and the order of each program is kept."""
    scripts = [f"import rtdemo\nfor n in range(150): rtdemo.publish('x', ['{who}', n])" for who in "ab"]
    done = await asyncio.gather(*(run(server.web_url, script) for script in scripts))
    assert done == [(0, "", "")] * 2
    found = entries(server)
    assert [entry["seq"] for entry in found] == list(range(1, 301))
    for who in "ab":
        assert [e["value"][1] for e in found if e["value"][0] == who] == list(range(150))


async def test_names_that_are_refused_cost_no_other(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Control characters, commas, reserved names: counted, logged once and escaped."""
    publisher = BackgroundPublisher(server.web_url, "")
    for name in ("a\x1b[2J", "a\nb", "a,b", "", " ", "\u202eevil", "x" * 101, "rtdemo", "welcome"):
        publisher.put(*encode(name, 1))
    publisher.put(*encode(MARKUP, MARKUP))
    publisher.put(*encode("\N{SNOWMAN} 'quoted\" ${x}", 1))
    assert await flushed(publisher) == PublishCounts(accepted=2, refused=9)
    (line,) = lines(caplog, server.web_url)
    assert line.isprintable()
    assert Counter(entry["producer"] for entry in entries(server)) == {
        MARKUP: 1,
        "\N{SNOWMAN} 'quoted\" ${x}": 1,
    }


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, ["a\udc80b"]])
def test_text_that_is_not_unicode_is_an_error_of_the_caller(value: object) -> None:
    """Such as the name of a file that is not UTF-8: it is raised where the mistake is."""
    with pytest.raises(ValueError, match="surrogates not allowed"):
        encode("x", value)
