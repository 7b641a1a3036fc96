"""`rtdemo.publish` in a process that runs a server: nothing is lost without being counted."""

from __future__ import annotations

import asyncio
import json
import math
import socket

import pytest

import rtdemo
from rtdemo.errors import ListenError
from rtdemo.publisher import this_process
from rtdemo.publisher.waiting import PublishCounts
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.clients import eventually
from tests.conftest import Connect, Start
from tests.redis_server import RedisServer


@pytest.fixture(autouse=True)
def no_other_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out those of other tests, which have ended."""
    monkeypatch.setattr(this_process, "_servers", [])


def publish(name: str, numbers: range) -> None:
    for number in numbers:
        rtdemo.publish(name, number)


def values(server: Server, name: str) -> list[int]:
    log = server.hub.engine.log
    entries = log.after(log.last.offset - len(log), len(log))
    return [json.loads(entry.payload)["value"] for entry in entries if entry.producer == name]


async def test_redis_that_is_away_costs_nothing(
    start: Start,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is published meanwhile enters the log later, once, in order; two lines say so."""
    monkeypatch.setattr("rtdemo.web.publication.ENGINE_RETRY_S", 0.05)
    server = await start(engine=redis_server.url)
    here = this_process.servers()[-1]
    await asyncio.to_thread(publish, "x", range(50))
    await redis_server.stop()
    await asyncio.to_thread(publish, "x", range(50, 350))
    await eventually(lambda: "the log is unavailable; what is published waits" in caplog.text)
    assert here.flush(0).refused == here.flush(0).dropped == 0
    await redis_server.start()
    counts = await asyncio.to_thread(here.flush, 60)
    assert counts == PublishCounts(accepted=350)
    await eventually(lambda: len(server.hub.engine.log) == 350)
    assert values(server, "x") == list(range(350))
    said = [r.getMessage() for r in caplog.records if r.getMessage().startswith("publish: ")]
    assert len(said) == 2
    assert "takes messages again" in said[1]


async def test_flush_counts_what_this_process_took(server: Server) -> None:
    """It waits in a thread; on the server's own loop it answers at once."""
    before = rtdemo.flush(0)
    publish("x", range(3))
    publish("rtdemo", range(2))
    rtdemo.publish("x", [math.nan])
    assert rtdemo.flush(60).waiting == before.waiting + 6
    after = await asyncio.to_thread(rtdemo.flush, 60)
    assert (after.accepted - before.accepted, after.refused - before.refused) == (4, 2)
    assert after.nulls - before.nulls == 1


async def test_message_during_the_drain_reaches_those_still_connected(
    start: Start, connect: Connect, clock: VirtualClock
) -> None:
    """The server takes messages until it has ended."""
    server = await start(drain_seconds=5.0)
    peers = [await connect(server, "websocket") for _ in range(3)]
    stopping = asyncio.ensure_future(server.stop())
    await eventually(lambda: len(server.hub) == 2)
    await asyncio.to_thread(publish, "last", range(1))
    received = await asyncio.gather(*(peer.receive() for peer in peers), return_exceptions=True)
    assert sum(isinstance(got, dict) and got["producer"] == "last" for got in received) == 2
    clock.advance(5)
    await stopping


async def test_message_after_the_end_goes_to_no_other_server(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted as dropped, and RTDEMO_URL is not asked."""
    other, server = await start(), await start()
    monkeypatch.setenv("RTDEMO_URL", other.web_url)
    await server.stop()
    await other.stop()
    publish("x", range(3))
    assert sum(each.flush(0).dropped for each in this_process.servers()) == 3
    await asyncio.to_thread(rtdemo.flush, 5)
    assert values(other, "x") == values(server, "x") == []


async def test_server_that_ended_leaves_the_messages_to_one_that_runs(start: Start) -> None:
    """The newest that runs gets them."""
    first, second = await start(), await start()
    await second.stop()
    await asyncio.to_thread(publish, "x", range(2))
    await eventually(lambda: values(first, "x") == [0, 1])


async def test_server_that_does_not_start_takes_no_messages(start: Start) -> None:
    """They do not wait for ever."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ListenError):
        await start(port=taken.getsockname()[1])
    here = this_process.servers()[0]
    here.put(b"{}")
    assert here.flush(0) == PublishCounts(dropped=1)


def test_loop_that_was_closed_is_no_error_of_the_caller() -> None:
    """The message is dropped and counted."""
    loop = asyncio.new_event_loop()
    here = this_process.RunningServer(loop)

    async def take(batch: object) -> int:
        return 0

    here.open(take)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    here.put(b"{}")
    here.put(b"{}")
    assert here.flush(0) == PublishCounts(dropped=2)
