"""What a new client receives first: the latest message of each producer, and the last minutes."""

from __future__ import annotations

import asyncio
import json

import httpx
import msgspec
import pytest

from rtdemo.engine.memory import MemoryEngine
from rtdemo.protocol import message as messages
from rtdemo.server.server import Server
from tests.clients import Fields, Peer
from tests.conftest import Connect, Start
from tests.web.test_resume import publish, texts

HOUR_MS = 3_600_000


def let_time_pass(server: Server, ms: float) -> None:
    """Let the engine's clock be ahead from now on."""
    engine = server.hub.engine
    assert isinstance(engine, MemoryEngine)
    engine._now = engine.log._now = lambda: messages.now() + ms


async def received(peer: Peer, count: int) -> list[Fields]:
    return [await peer.receive() for _ in range(count)]


async def test_latest_message_of_each_producer_comes_first(
    server: Server, connect: Connect, transport: str
) -> None:
    """In the order in which they were published, and then live ones, none twice."""
    for text, name in (("1", "a"), ("2", "b"), ("3", "a"), ("4", "c")):
        await publish(server, text, producer=name)
    peer = await connect(server, transport, "producers=a,b&latest=1")
    await publish(server, "5", producer="a")
    assert await texts(peer, 3) == ["2", "3", "5"]


async def test_latest_message_outlives_the_log(start: Start, connect: Connect, transport: str) -> None:
    """The log has dropped it, by number or by age."""
    server = await start(history_count=2)
    await publish(server, "1", producer="slow")
    await publish(server, "2", "3", "4", producer="fast")
    let_time_pass(server, 2 * HOUR_MS)
    peer = await connect(server, transport, "latest=1")
    assert await texts(peer, 2) == ["1", "4"]


async def test_client_that_got_latest_messages_resumes_at_the_end(
    server: Server, connect: Connect, transport: str
) -> None:
    """Their `id` is the position of the client, which has all of them now: nothing comes twice."""
    await publish(server, "1", producer="a")
    (last,) = await publish(server, "2", producer="b")
    peer = await connect(server, transport, "producers=a&latest=1")
    (got,) = await received(peer, 1)
    assert (got["message"], got["id"], got["seq"]) == ("1", f"{last}.2", 1)
    await peer.leave()
    await publish(server, "3", producer="a")
    resumed = await connect(server, transport, f"producers=a&latest=1&last_event_id={got['id']}")
    await publish(server, "4", producer="a")
    assert await texts(resumed, 2) == ["3", "4"]


async def test_past_comes_first_then_live_messages(
    server: Server, connect: Connect, transport: str
) -> None:
    """Of the picked producers, from the time that was asked for, in order and none twice."""
    await publish(server, "old", producer="a")
    let_time_pass(server, HOUR_MS / 2)
    await publish(server, "1", producer="a")
    await publish(server, "2", producer="b")
    await publish(server, "3", producer="a")
    peer = await connect(server, transport, "producers=a&rewind=10m")
    await publish(server, "4", producer="a")
    got = await received(peer, 3)
    assert [m["message"] for m in got] == ["1", "3", "4"]
    assert not any("truncated" in m for m in got)


async def test_latest_adds_what_is_older_than_the_past(
    server: Server, connect: Connect, transport: str
) -> None:
    """A message that is part of the past does not come a second time."""
    await publish(server, "old a", producer="a")
    await publish(server, "old b", producer="b")
    let_time_pass(server, HOUR_MS / 2)
    await publish(server, "new a", producer="a")
    peer = await connect(server, transport, "rewind=10m&latest=1")
    await publish(server, "live", producer="b")
    # "old a" is not the latest of its producer any more.
    assert await texts(peer, 3) == ["old b", "new a", "live"]


async def test_past_that_the_log_no_longer_has_is_reported(
    start: Start, connect: Connect, transport: str
) -> None:
    """The first message of the past says so, also after others that were not picked; no other does."""
    server = await start(history_count=3)
    await publish(server, "1", "2", producer="a")
    await publish(server, "3", producer="b")
    await publish(server, "4", "5", producer="a")
    peer = await connect(server, transport, "producers=a&rewind=10m&latest=1")
    await publish(server, "6", producer="a")
    got = await received(peer, 3)
    assert [(m["message"], m.get("truncated")) for m in got] == [("4", True), ("5", None), ("6", None)]


@pytest.mark.parametrize("ms", [0, 2 * HOUR_MS], ids=["by number", "by age"])
async def test_past_of_which_the_log_has_nothing_is_reported(
    start: Start, connect: Connect, transport: str, ms: float
) -> None:
    """A client that receives nothing else knows that there may have been messages."""
    server = await start(history_count=3)
    await publish(server, "1", producer="a")
    (*_, last) = await publish(server, "2", "3", "4", producer="b")
    let_time_pass(server, ms)
    peer = await connect(server, transport, "producers=a&rewind=6h")
    (got,) = await received(peer, 1)
    assert (got["producer"], got["id"], got["truncated"]) == ("rtdemo", str(last), True)
    assert json.loads(got["message"]) == {"position": str(last)}
    await publish(server, "5", producer="a")
    (live,) = await received(peer, 1)
    assert (live["message"], "truncated" in live) == ("5", False)


async def test_past_without_messages_is_not_reported_as_truncated(
    server: Server, connect: Connect, transport: str
) -> None:
    """The log has dropped nothing."""
    await publish(server, "1", producer="a")
    await publish(server, "2", producer="b")
    let_time_pass(server, HOUR_MS / 2)
    peer = await connect(server, transport, "producers=a&rewind=10m")
    await publish(server, "3", producer="a")
    assert await texts(peer, 1) == ["3"]


async def test_whole_past_is_not_reported_as_truncated(
    start: Start, connect: Connect, transport: str
) -> None:
    """What the log has dropped is older than what was asked for."""
    server = await start(history_count=3)
    await publish(server, "1", "2", "3")
    let_time_pass(server, HOUR_MS / 2)
    await publish(server, "4")
    peer = await connect(server, transport, "rewind=10m")
    assert "truncated" not in (await received(peer, 1))[0]


async def test_reconnect_resumes_and_does_not_rewind(
    server: Server, connect: Connect, transport: str
) -> None:
    """A browser reconnects with the address of its first connect, and with the position."""
    positions = await publish(server, "1", "2", "3")
    peer = await connect(server, transport, f"rewind=10m&latest=1&last_event_id={positions[1]}")
    assert await texts(peer, 1) == ["3"]


async def test_nothing_is_lost_or_repeated_while_messages_keep_coming(
    server: Server, connect: Connect, transport: str
) -> None:
    """Ten clients join one after another, each in the middle of a stream of publications."""
    await publish(server, *map(str, range(100)))
    joined: list[Peer] = []
    for batch in range(1, 11):
        first = asyncio.ensure_future(connect(server, transport, "rewind=10m&latest=1"))
        await publish(server, *map(str, range(batch * 100, batch * 100 + 100)))
        joined.append(await first)
    for peer in joined:
        assert await texts(peer, 1100) == [str(number) for number in range(1100)]


async def test_message_for_other_users_is_not_shown(start: Start, connect: Connect) -> None:
    """A client without a login gets none of a restricted producer, latest or past."""
    server = await start()
    await publish(server, "for all")
    entry = server.hub.engine.log.newest
    assert entry is not None
    server.hub.engine.log.set_latest(
        msgspec.structs.replace(entry, producer="secret", users=frozenset({"ann"}))
    )
    peer = await connect(server, "sse", "latest=1")
    await publish(server, "live")
    assert await texts(peer, 2) == ["for all", "live"]


@pytest.mark.parametrize("query", ["latest=1", "rewind=10m"])
async def test_picked_producer_that_does_not_exist_yet(
    server: Server, connect: Connect, transport: str, query: str
) -> None:
    """It keeps no other one away, and its messages follow once there are any."""
    await publish(server, "1", producer="a")
    peer = await connect(server, transport, f"producers=later,a&{query}")
    await publish(server, "2", producer="b")
    await publish(server, "3", producer="later")
    assert await texts(peer, 2) == ["1", "3"]


@pytest.mark.parametrize(
    "query",
    [
        "rewind=-1",
        "rewind=99d",
        "rewind=10",
        "rewind=",
        "rewind=0s",
        "rewind=1e3s",
        "rewind=9999999s",
        "latest=yes",
        "latest=",
        "latest=0&producers=later",
    ],
)
async def test_other_times_are_refused(server: Server, query: str) -> None:
    """The answer is one line with what is allowed."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.get(f"/api/sse?{query}")
    assert answer.status_code == 400
    assert "is not" in answer.text or "there is no 'later'" in answer.text
    assert ("999999h at the most" in answer.text) is query.startswith("rewind")
    assert answer.text.count("\n") == 1


async def test_refusal_of_an_unknown_name_has_the_way_to_wait_for_it(server: Server) -> None:
    """A page or `rtdemo tail` may be started before the program that publishes."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.get("/api/sse?producers=later")
    assert answer.text.endswith("; latest=1 also accepts a name that is published later\n")


async def test_past_of_everything_is_allowed(server: Server, connect: Connect, transport: str) -> None:
    """A time longer than the log keeps is no error, also before the first message."""
    peer = await connect(server, transport, "rewind=999999h&latest=1")
    await publish(server, "1")
    assert await texts(peer, 1) == ["1"]
