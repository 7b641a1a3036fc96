"""The log and who follows it: never twice, never out of order, never silently lost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rtdemo.client import Client
from rtdemo.connection import OUTBOX_LIMIT, Connection
from rtdemo.engine.interface import KEY_SECONDS, Draft, Subscriber
from rtdemo.engine.log import Limits
from rtdemo.engine.memory import MAX_KEYS, MemoryEngine
from rtdemo.errors import KeyReused
from rtdemo.fanout import Fanout, Resume
from rtdemo.message import Message
from rtdemo.position import Position, new_epoch, parse
from rtdemo.reasons import Reason
from rtdemo.selection import Selection
from rtdemo.testing import VirtualClock
from rtdemo.traffic import Traffic


def plain(payload: bytes, position: str | None = None) -> bytes:
    return payload + b"\n"


class Receiver:
    """A client: what it got over all of its connections, and the connection that is open."""

    def __init__(
        self, fanout: Fanout, connections: list[Connection], picks: frozenset[str] | None
    ) -> None:
        self.fanout, self.connections, self.picks = fanout, connections, picks
        self.got: list[dict[str, Any]] = []
        self.room = True
        self.connection: Connection | None = None
        self.joins: list[tuple[int, Position, bool]] = []

    def write(self, data: bytes) -> bool:
        self.got += [json.loads(line) for line in data.splitlines()]
        return not self.room

    def get_write_buffer_size(self) -> int:
        return 0 if self.room else OUTBOX_LIMIT + 1

    def is_closing(self) -> bool:
        return False

    def connect(self, resume: Resume | None) -> None:
        client = Client("sse")
        connection = Connection(client, self, plain, lambda _r: None, Traffic(), VirtualClock())
        connection.selection = Selection(self.picks)
        lost = self.fanout.place(connection, resume)
        self.connections.append(connection)
        self.joins.append((len(self.got), connection.position, lost))
        if lost:
            connection.lose(connection.position, "gone")
        else:
            self.fanout.catch_up(connection)
        self.connection = connection

    def cut(self) -> None:
        if self.connection is not None:
            self.connection.closed(Reason.CONNECTION_LOST)
            self.connections.remove(self.connection)
            self.connection = None


class LogMachine(RuleBasedStateMachine):
    """Publish, cut, resume, expire, begin a new epoch, in any order."""

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.now = 1_000_000.0
        limits = Limits(count=8, bytes=2000, seconds=60)
        self.engine = MemoryEngine(limits, lambda: self.now)
        self.open: list[Connection] = []
        log = self.engine.log
        self.fanout = Fanout(log, lambda: self.open, lambda _name: False)
        subscriber = Subscriber(self.fanout.deliver, self.fanout.restarted, lambda _leading: None)
        self.loop.run_until_complete(self.engine.subscribe(subscriber))
        picks = (None, frozenset({"a"}), frozenset({"b"}))
        self.receivers = [Receiver(self.fanout, self.open, pick) for pick in picks]
        self.published: dict[Position, str] = {}
        self.ends: dict[str, int] = {}

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            for receiver in self.receivers:
                receiver.cut()
            self.loop.close()

    @rule(producer=st.sampled_from("ab"), count=st.integers(1, 12))
    def publish(self, producer: str, count: int) -> None:
        drafts = [Draft(Message(f"text {n}"), producer) for n in range(count)]

        async def send() -> list[Position]:
            return await self.engine.publish(drafts)

        for position in self.loop.run_until_complete(send()):
            assert position not in self.published
            self.published[position] = producer

    @rule(who=st.integers(0, 2))
    def cut(self, who: int) -> None:
        self.receivers[who].cut()

    @rule(who=st.integers(0, 2))
    def come_back(self, who: int) -> None:
        receiver = self.receivers[who]
        if receiver.connection is None:
            ids = [got["id"] for got in receiver.got if "id" in got]
            joined = [str(position) for _, position, _ in receiver.joins]
            last = (ids[-1:] or joined[-1:] or [None])[0]
            receiver.connect(None if last is None else Resume(parse(last)))

    @rule(who=st.integers(0, 2), text=st.sampled_from(["", "x", "-", "00-1", "ff-99999"]))
    def come_back_with_rubbish(self, who: int, text: str) -> None:
        receiver = self.receivers[who]
        if receiver.connection is None:
            receiver.connect(Resume(parse(text)))
            assert receiver.got[-1]["lost"] is True

    @rule(seconds=st.integers(1, 90))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds * 1000

    @rule()
    def lose_the_log(self) -> None:
        self.engine.log.restart(Position(new_epoch(), 0))
        self.fanout.restarted()

    @invariant()
    def bounds_hold(self) -> None:
        if hasattr(self, "engine"):
            log = self.engine.log
            assert len(log) <= log.limits.count
            assert log.bytes == sum(len(e.payload) for e in log.after(log.last.offset - len(log), 99))

    @invariant()
    def everyone_has_all_in_order_or_was_told(self) -> None:
        for receiver in getattr(self, "receivers", []):
            self._check(receiver)

    def _check(self, receiver: Receiver) -> None:
        joins = {at: position for at, position, _ in receiver.joins}
        at: Position | None = None
        for index, got in enumerate(receiver.got):
            at = joins.get(index, at)
            position = parse(got["id"])
            assert at is not None
            assert position is not None
            if not got.get("lost"):
                assert position == self._next(at, receiver.picks)
            at = position
        at = joins.get(len(receiver.got), at)
        if receiver.connection is not None and at is not None:
            # Whoever is connected has everything: nothing that it asked for lies behind its last.
            assert self._next(at, receiver.picks) is None
            assert receiver.connection.position == self.engine.log.last

    def _next(self, after: Position, picks: frozenset[str] | None) -> Position | None:
        """Return the first position behind `after` that was published and picked."""
        offset = after.offset + 1
        while (position := Position(after.epoch, offset)) in self.published:
            if picks is None or self.published[position] in picks:
                return position
            offset += 1
        return None


LogMachine.TestCase.settings = hypothesis_settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
test_publish_cut_resume_expire_in_any_order = LogMachine.TestCase


@pytest.mark.parametrize(
    "text", ["", "-", "x-1", "ab-", "ab-01", "ab--1", "AB-1", "ab-1 ", "a" * 33 + "-1"]
)
def test_what_is_no_position(text: str) -> None:
    """Anything but lower-case hexadecimal, a hyphen and a plain number is none."""
    assert parse(text) is None


def test_position_is_read_as_it_is_written() -> None:
    """Text and back."""
    position = Position(new_epoch(), 17)
    assert parse(str(position)) == position


async def test_idempotency_key_is_remembered_for_ten_minutes() -> None:
    """The same messages under a key are published once; other ones are refused; then it is free."""
    now = 0.0
    engine = MemoryEngine(now=lambda: now)
    one, other = [Draft(Message("1"), "a")], [Draft(Message("2"), "a")]
    first = await engine.publish(one, "key")
    assert await engine.publish(one, "key") == first
    with pytest.raises(KeyReused):
        await engine.publish(other, "key")
    now = KEY_SECONDS * 1000 + 1
    assert await engine.publish(other, "key") != first
    assert engine.log.last.offset == 2


async def test_keys_are_bounded() -> None:
    """A flood of keys costs the oldest, not the memory."""
    engine = MemoryEngine()
    for number in range(MAX_KEYS + 10):
        engine.publish([Draft(Message("x"), "a")], str(number))
    assert len(engine._keys) <= MAX_KEYS + 1


async def test_resuming_client_is_fed_at_the_pace_at_which_it_reads() -> None:
    """A history bigger than the outbox arrives whole, in pieces."""
    engine, opened = MemoryEngine(), list[Connection]()
    fanout = Fanout(engine.log, lambda: opened, lambda _name: False)
    start = engine.log.last
    await engine.publish([Draft(Message(str(n)), "a") for n in range(300)])
    receiver = Receiver(fanout, opened, None)
    receiver.room = False
    receiver.connect(Resume(start))
    connection = receiver.connection
    assert connection is not None
    assert (receiver.got, connection.replaying) == ([], True)
    await engine.publish([Draft(Message("live"), "a")])
    receiver.room = True
    fanout.catch_up(connection)
    assert [got["message"] for got in receiver.got] == [*map(str, range(300)), "live"]
    assert not connection.replaying
