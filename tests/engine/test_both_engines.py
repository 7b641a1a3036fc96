"""What every engine promises."""

from __future__ import annotations

import json

import pytest

from rtdemo.engine.log import LogLimits
from rtdemo.errors import KeyReused
from rtdemo.protocol.message import Message, Position
from tests.clients import eventually
from tests.engine.conftest import Make, drafts


async def test_messages_are_numbered_without_gaps_and_delivered_once_in_order(make: Make) -> None:
    """However many publish at once; the positions that are answered are those of the entries."""
    listening = await make()
    engine = listening.engine
    start = engine.log.last
    answers = [engine.publish(drafts(f"{n} a", f"{n} b")) for n in range(50)]
    positions = [position for answer in answers for position in await answer]
    await eventually(lambda: len(listening.got) == 100)
    assert [made.position for made in listening.got] == positions
    assert positions == [Position(start.epoch, start.offset + n) for n in range(1, 101)]
    texts = [json.loads(made.payload)["message"] for made in listening.got]
    assert texts == [f"{n} {letter}" for n in range(50) for letter in "ab"]


async def test_payload_is_the_message_with_its_number_and_position(make: Make) -> None:
    """Seq counts by producer; every character arrives as it was; transports are kept."""
    listening = await make()
    strange = '\x00\n\r\u2028 ü 🙂 "\\'
    await listening.say("first")
    (position,) = await listening.say(strange)
    other = drafts("x", producer="other")[0]
    await listening.engine.publish([type(other)(Message("x"), "other", ("sse",))])
    await eventually(lambda: len(listening.got) == 3)
    fields = json.loads(listening.got[1].payload)
    assert (fields["message"], fields["producer"], fields["seq"]) == (strange, "news", 2)
    assert (fields["id"], fields["sentAt"]) == (str(position), listening.got[1].sent_at)
    assert listening.got[1].payload.count(b"\n") == 0
    assert (listening.got[2].seq, listening.got[2].transports) == (1, ("sse",))


async def test_log_holds_what_was_delivered(make: Make) -> None:
    """History is read from it at once."""
    listening = await make()
    start = listening.engine.log.last
    await listening.say(*map(str, range(20)))
    await eventually(lambda: len(listening.got) == 20)
    log = listening.engine.log
    assert log.last == listening.got[-1].position
    assert log.holds(start)
    assert log.after(start.offset + 5, 100) == listening.got[5:]
    assert log.after(start.offset + 18, 100) == listening.got[18:]
    assert not log.holds(Position(start.epoch, log.last.offset + 1))
    assert (log.seq("news"), log.sent_at("news")) == (20, listening.got[-1].sent_at)


async def test_log_is_bounded(make: Make) -> None:
    """By count; who is behind the oldest is not served as if nothing was missing."""
    listening = await make(limits=LogLimits(count=5))
    start = listening.engine.log.last
    for number in range(1, 13):
        await listening.say(str(number))
        await eventually(lambda number=number: len(listening.got) == number)
    log = listening.engine.log
    assert len(log) == 5
    assert not log.holds(Position(start.epoch, start.offset + 6))
    assert log.holds(Position(start.epoch, start.offset + 7))


async def test_idempotency_key(make: Make) -> None:
    """The same under a key is published once, other content is refused."""
    listening = await make()
    first = await listening.say("a", "b", key="k")
    assert await listening.say("a", "b", key="k") == first
    with pytest.raises(KeyReused):
        await listening.say("c", key="k")
    await listening.say("end")
    await eventually(lambda: len(listening.got) == 3)


async def test_the_only_server_leads_and_may_publish_as_the_leader(make: Make) -> None:
    """At once, without waiting for anybody."""
    listening = await make()
    await eventually(lambda: listening.leads)
    assert len(await listening.say("x", leading=True)) == 1
