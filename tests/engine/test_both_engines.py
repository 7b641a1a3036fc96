"""The promises of every engine, in memory and with Redis."""

from __future__ import annotations

import json

import pytest

from rtdemo.engine.log import LogLimits
from rtdemo.errors import KeyReused
from rtdemo.protocol.message import Message, Position
from tests.clients import eventually
from tests.engine.conftest import Make, drafts


async def test_messages_are_numbered_without_gaps_and_delivered_once_in_order(make: Make) -> None:
    """With many publications at once, the returned positions are those of the delivered entries."""
    follower = await make()
    engine = follower.engine
    start = engine.log.last
    answers = [engine.publish(drafts(f"{n} a", f"{n} b")) for n in range(50)]
    positions = [position for answer in answers for position in await answer]
    await eventually(lambda: len(follower.entries) == 100)
    assert [entry.position for entry in follower.entries] == positions
    assert positions == [Position(start.epoch, start.offset + n) for n in range(1, 101)]
    texts = [json.loads(entry.payload)["message"] for entry in follower.entries]
    assert texts == [f"{n} {letter}" for n in range(50) for letter in "ab"]


async def test_payload_is_the_message_with_its_number_and_position(make: Make) -> None:
    """The number counts per producer, no character changes, and the transports are kept."""
    follower = await make()
    strange = '\x00\n\r\u2028 ü 🙂 "\\'
    await follower.publish("first")
    (position,) = await follower.publish(strange)
    other = drafts("x", producer="other")[0]
    await follower.engine.publish([type(other)(Message("x"), "other", ("sse",))])
    await eventually(lambda: len(follower.entries) == 3)
    fields = json.loads(follower.entries[1].payload)
    assert (fields["message"], fields["producer"], fields["seq"]) == (strange, "news", 2)
    assert (fields["id"], fields["sentAt"]) == (str(position), follower.entries[1].sent_at)
    assert follower.entries[1].payload.count(b"\n") == 0
    assert (follower.entries[2].seq, follower.entries[2].transports) == (1, ("sse",))


async def test_log_holds_what_was_delivered(make: Make) -> None:
    """The log has every delivered entry, for clients that reconnect."""
    follower = await make()
    start = follower.engine.log.last
    await follower.publish(*map(str, range(20)))
    await eventually(lambda: len(follower.entries) == 20)
    log = follower.engine.log
    assert log.last == follower.entries[-1].position
    assert log.holds(start)
    assert log.after(start.offset + 5, 100) == follower.entries[5:]
    assert log.after(start.offset + 18, 100) == follower.entries[18:]
    assert not log.holds(Position(start.epoch, log.last.offset + 1))
    assert (log.seq("news"), log.sent_at("news")) == (20, follower.entries[-1].sent_at)


async def test_log_is_bounded(make: Make) -> None:
    """The oldest entries beyond the limit are dropped, and `holds` is false before them."""
    follower = await make(limits=LogLimits(count=5))
    start = follower.engine.log.last
    for number in range(1, 13):
        await follower.publish(str(number))
        await eventually(lambda number=number: len(follower.entries) == number)
    log = follower.engine.log
    assert len(log) == 5
    assert not log.holds(Position(start.epoch, start.offset + 6))
    assert log.holds(Position(start.epoch, start.offset + 7))


async def test_idempotency_key_publishes_once(make: Make) -> None:
    """The same messages with one key are published once; other messages are refused."""
    follower = await make()
    first = await follower.publish("a", "b", key="k")
    assert await follower.publish("a", "b", key="k") == first
    with pytest.raises(KeyReused):
        await follower.publish("c", key="k")
    await follower.publish("end")
    await eventually(lambda: len(follower.entries) == 3)


async def test_single_server_leads_and_may_publish_as_the_leader(make: Make) -> None:
    """A server that is alone becomes the leader soon after its start."""
    follower = await make()
    await eventually(lambda: follower.leads)
    assert len(await follower.publish("x", leading=True)) == 1


async def test_newest_message_of_each_producer_outlives_the_log(make: Make) -> None:
    """It is kept beyond the limit of the log, for clients that open a page later."""
    follower = await make(limits=LogLimits(count=2))
    for name, text in (("slow", "1"), ("fast", "2"), ("fast", "3"), ("other", "4"), ("fast", "5")):
        await follower.engine.publish(drafts(text, producer=name))
    await eventually(lambda: len(follower.entries) == 5)
    latest = follower.engine.log.latest
    texts = [(entry.producer, json.loads(entry.payload)["message"]) for entry in latest]
    assert texts == [("slow", "1"), ("other", "4"), ("fast", "5")]


async def test_newest_messages_are_bounded_by_bytes(make: Make) -> None:
    """Those of the producers that published longest ago are forgotten, but never the newest one."""
    follower = await make(limits=LogLimits(bytes=2000))
    for name in "abcd":
        await follower.engine.publish(drafts("x" * 700, producer=name))
    await eventually(lambda: len(follower.entries) == 4)
    assert [entry.producer for entry in follower.engine.log.latest] == ["c", "d"]
    await follower.engine.publish(drafts("x" * 9000, producer="e"))
    await eventually(lambda: len(follower.entries) == 5)
    assert [entry.producer for entry in follower.engine.log.latest] == ["e"]
