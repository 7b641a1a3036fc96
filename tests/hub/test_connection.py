"""Sending never waits, and the bytes that wait for a client are bounded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rtdemo import Client
from rtdemo.hub.connection import Connection
from rtdemo.hub.outbox import OUTBOX_LIMIT_BYTES, OUTBOX_TIMEOUT_S
from rtdemo.hub.statistics import Traffic
from rtdemo.protocol.close_reasons import Reason
from rtdemo.testing import VirtualClock


class Outbox:
    """An outbox with as many waiting bytes as the test sets."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.waiting = 0
        self.closing = False

    def write(self, data: bytes) -> bool:
        self.written.append(data)
        return self.waiting > 0

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.closing


def plain(payload: bytes, position: str | None = None) -> bytes:
    return payload


class Rig:
    """A connection with its outbox, its counters, and the reasons for which it hung up."""

    def __init__(self, clock: VirtualClock) -> None:
        self.outbox = Outbox()
        self.hung_up: list[Reason] = []
        self.traffic = Traffic()
        self.connection = Connection(
            Client("sse"), self.outbox, plain, self.hung_up.append, self.traffic, clock
        )

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(data) for data in self.outbox.written]


@pytest.fixture
def rig(clock: VirtualClock) -> Rig:
    return Rig(clock)


def test_seq_counts_by_producer(rig: Rig) -> None:
    """The messages of each producer are numbered from 1."""
    for producer in ("a", "b", "a"):
        assert rig.connection.send(producer, "x")
    assert [(m["producer"], m["seq"]) for m in rig.messages()] == [("a", 1), ("b", 1), ("a", 2)]
    assert rig.traffic.messages == rig.connection.sent == 3
    assert rig.traffic.bytes == sum(map(len, rig.outbox.written))


def test_full_outbox_drops_periodic_messages_and_shows_the_gap(rig: Rig) -> None:
    """A dropped message is counted, and its number is not used again."""
    rig.outbox.waiting = OUTBOX_LIMIT_BYTES + 1
    assert rig.connection.send("a", "what fills it")
    assert not rig.connection.send("a", "dropped")
    assert rig.connection.is_full
    rig.outbox.waiting = 0
    rig.connection.send("a", "third")
    assert [m["seq"] for m in rig.messages()] == [1, 3]
    assert rig.traffic.drops == 1


def test_full_outbox_still_takes_a_reply(rig: Rig) -> None:
    """Replies are not dropped; the transport stops reading from the client instead."""
    rig.outbox.waiting = OUTBOX_LIMIT_BYTES + 1
    assert rig.connection.send("echo", "reply", periodic=False)
    assert rig.traffic.drops == 0


def test_outbox_over_its_limit_for_10_seconds_ends_the_connection(rig: Rig, clock: VirtualClock) -> None:
    """It ends even if nothing more is sent."""
    rig.outbox.waiting = OUTBOX_LIMIT_BYTES + 1
    rig.connection.send("a", "x")
    clock.advance(OUTBOX_TIMEOUT_S - 0.1)
    assert rig.hung_up == []
    clock.advance(0.1)
    assert rig.hung_up == [Reason.TOO_SLOW]
    assert rig.traffic.too_slow == 1


@pytest.mark.parametrize("seen_by_a_send", [True, False])
def test_client_that_catches_up_is_kept(rig: Rig, clock: VirtualClock, seen_by_a_send: bool) -> None:
    """Only ten seconds without a break count."""
    rig.outbox.waiting = OUTBOX_LIMIT_BYTES + 1
    rig.connection.send("a", "x")
    rig.outbox.waiting = 0
    if seen_by_a_send:
        rig.connection.send("a", "x")
        rig.outbox.waiting = OUTBOX_LIMIT_BYTES + 1
        clock.advance(OUTBOX_TIMEOUT_S - 1)
        rig.connection.send("a", "x")
        clock.advance(1)
    else:
        clock.advance(OUTBOX_TIMEOUT_S)
    assert rig.hung_up == []


def test_only_the_first_end_counts(rig: Rig, clock: VirtualClock) -> None:
    """A connection hangs up once, keeps its first reason, and writes nothing after its end."""
    rig.connection.end(Reason.GOING_AWAY)
    rig.connection.end(Reason.TOO_SLOW)
    rig.connection.mark_ended(Reason.CLIENT_LEFT)
    assert rig.hung_up == [Reason.GOING_AWAY]
    assert rig.connection.reason is Reason.GOING_AWAY
    assert not rig.connection.send("a", "x")
    assert rig.outbox.written == []


def test_end_stops_the_outbox_timer(rig: Rig, clock: VirtualClock) -> None:
    """The timer does not end a connection that has ended already."""
    rig.outbox.waiting = OUTBOX_LIMIT_BYTES + 1
    rig.connection.send("a", "x")
    rig.connection.mark_ended(Reason.CLIENT_LEFT)
    clock.advance(OUTBOX_TIMEOUT_S)
    assert rig.hung_up == []


def test_text_that_is_not_unicode_uses_no_number(rig: Rig) -> None:
    """A message that cannot be encoded leaves no gap in the numbers."""
    with pytest.raises(UnicodeEncodeError):
        rig.connection.send("a", "\ud800")
    rig.connection.send("a", "x")
    assert rig.messages()[0]["seq"] == 1
