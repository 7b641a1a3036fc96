"""The AsyncAPI document describes every message of both transports."""

from __future__ import annotations

import json

from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from rtdemo.web.specification.asyncapi import RECEIVED, SENT, document
from tests.clients import Fields
from tests.conftest import Connect
from tests.docs.markdown import section
from tests.web.specification.document import problems
from tests.web.test_resume import publish

DOCUMENT = document()
REPORT_EVERY = 1000
"""Messages of others after which a client that picked none of them gets its position."""
CONTROLS = section("docs/protocol.md", "Control messages")


def kinds_of(message: Fields) -> list[str]:
    """Return the kinds of messages that a message fits."""
    return [name for name, kind in SENT.items() if not problems(DOCUMENT, kind.payload, message)]


async def test_each_message_fits_its_own_kind_and_no_other(
    server: Server, connect: Connect, clock: VirtualClock, transport: str
) -> None:
    """So a client can tell them apart by their fields."""
    peer = await connect(server, transport, "heartbeat=60")
    heartbeat = await peer.receive()
    await peer.say("hello")
    reply = await peer.receive()
    await peer.say('{"rtdemo": {"producers": ["message"]}}')
    answer = await peer.receive()
    clock.advance(2)
    private = await peer.receive()
    await publish(server, "first", producer="news")
    gone = await connect(server, transport, "last_event_id=ab-1")
    late = await connect(server, transport, "rewind=1h&latest=1")
    resume, shared = await gone.receive(), await late.receive()
    # They would read none of what follows, and their library waits long for the end of that.
    for left in (gone, late):
        await left.leave()
    picky = await connect(server, transport, "producers=news")
    for _ in range(0, REPORT_EVERY, 100):
        await publish(server, *["x"] * 100, producer="other")
    seen = {
        "welcome": [peer.welcome, gone.welcome],
        "heartbeat": [heartbeat],
        "answer": [answer],
        "private": [reply, private],
        "shared": [shared],
        "resume": [resume],
        "position": [await picky.receive()],
    }
    assert seen.keys() == SENT.keys()
    assert {name: [kinds_of(each) for each in messages] for name, messages in seen.items()} == {
        name: [[name]] * len(messages) for name, messages in seen.items()
    }


def test_controls_of_the_protocol_are_those_of_the_document() -> None:
    """Each line of docs/protocol.md fits, and a control that the server refuses does not."""
    schema = RECEIVED["control"].payload
    shown = [json.loads(line.split("`")[1]) for line in CONTROLS.splitlines() if line.startswith("| `{")]
    assert len(shown) > 5
    assert [each for each in shown if problems(DOCUMENT, schema, each)] == []
    for refused in ({"speed": 21}, {"producers": "message"}, {"break": "all"}, {}, {"speed": 1, "x": 2}):
        assert problems(DOCUMENT, schema, {"rtdemo": refused})
