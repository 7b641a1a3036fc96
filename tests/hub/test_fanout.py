"""Entries of the log reach each connection in order, none twice, and none lost without a report."""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import Callable
from functools import partial
from random import seed
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rtdemo.engine import memory
from rtdemo.engine.delivery import Delivery
from rtdemo.engine.interface import IDEMPOTENCY_KEY_S, Draft, Subscriber
from rtdemo.engine.log import Entry, Log, LogLimits, make_entry
from rtdemo.engine.memory import MemoryEngine
from rtdemo.errors import KeyReused
from rtdemo.hub import fanout
from rtdemo.hub.batch import CACHED_AUDIENCES, Batch, audience
from rtdemo.hub.connection import POSITION_UPDATE_ENTRIES, Connection
from rtdemo.hub.fanout import CONNECTIONS_PER_TURN, Fanout
from rtdemo.hub.outbox import OUTBOX_LIMIT_BYTES
from rtdemo.hub.past import NO_PAST, Past
from rtdemo.hub.selection import Selection
from rtdemo.hub.statistics import Traffic
from rtdemo.protocol.client import Client
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.message import Message, Position, new_epoch, parse_position
from rtdemo.testing import VirtualClock

LIMITS = LogLimits(count=8, bytes=2000, seconds=60)
TURNS = 30
"""Turns of the event loop in which each client that reads has caught up."""


def plain(payload: bytes, position: str | None = None) -> bytes:
    return payload + b"\n"


class Server:
    """One server: its copy of the log, which may lag behind, and its open connections."""

    def __init__(self, copy: Log, lags: bool = True) -> None:
        self.copy = copy
        self.fanout = Fanout(copy, lags, lambda _name: False, lambda _remote, _size: 0.0, VirtualClock())
        self.end_read: Position | None = None
        self.delivery = Delivery(copy)
        fanout = self.fanout
        self.delivery.subscriber = Subscriber(fanout.deliver, fanout.verify, fanout.restarted, bool)

    @property
    def base(self) -> int:
        """The offset behind which the copy holds everything."""
        return self.copy.last.offset - len(self.copy)


class Receiver:
    """A client: the messages of all its connections, and the connection that is open."""

    def __init__(self, picks: frozenset[str] | None, user: str | None = None) -> None:
        self.picks = picks
        self.user = user
        self.got: list[dict[str, Any]] = []
        self.at: Position | None = None
        self.room = True
        self.server: Server | None = None
        self.connection: Connection | None = None

    def write(self, data: bytes) -> bool:
        self.got += [json.loads(line) for line in data.splitlines()]
        return not self.room

    def get_write_buffer_size(self) -> int:
        return 0 if self.room else OUTBOX_LIMIT_BYTES + 1

    def is_closing(self) -> bool:
        return False

    def connect(
        self,
        server: Server,
        claimed: str | None,
        meanwhile: Callable[[], object] = lambda: None,
        past: Past = NO_PAST,
    ) -> None:
        client = Client("sse", user=self.user)
        connection = Connection(client, self, plain, self.ended, Traffic(), VirtualClock())
        self.server, self.connection = server, connection
        server.fanout.add(connection, Selection(self.picks), claimed, past)
        if connection.position is not None:
            # The welcome.
            self.at = connection.position
        meanwhile()
        server.fanout.begin(connection)

    def welcome(self) -> None:
        assert self.connection is not None
        self.connection.send("welcome", Message("welcome", client="id"))

    def ended(self, reason: Reason) -> None:
        assert reason is Reason.TOO_SLOW
        self.cut()

    def cut(self) -> None:
        if self.connection is not None and self.server is not None:
            self.connection.mark_ended(Reason.CONNECTION_LOST)
            self.server.fanout.leave(self.connection)
            self.connection = None


class LogMachine(RuleBasedStateMachine):
    """Publish, lag, cut, change servers, resume, expire, trim, begin a new epoch, in any order.

    The true log is what Redis holds. Two servers follow it, each at its own pace, with a delay.
    """

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.before = fanout.FULL_OUTBOX_RETRY_S, fanout.CONNECTIONS_PER_TURN
        fanout.FULL_OUTBOX_RETRY_S, fanout.CONNECTIONS_PER_TURN = 0.0, 2
        self.now = 1_000_000.0
        self.truth = Log(LIMITS, lambda: self.now)
        self.servers = [self.follower(), self.follower()]
        self.receivers = [Receiver(pick) for pick in (None, None, frozenset("a"), frozenset("b"))]
        self.published: dict[Position, str] = {}
        self.seen = 0

    def follower(self) -> Server:
        log = Log(LIMITS, lambda: self.now)
        log.restart(Position(self.truth.last.epoch, 0))
        return Server(log)

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        try:
            self.let_all_catch_up()
        finally:
            for receiver in self.receivers:
                receiver.cut()
            self.loop.close()
            fanout.FULL_OUTBOX_RETRY_S, fanout.CONNECTIONS_PER_TURN = self.before

    def run(self, action: Callable[[], object]) -> None:
        """Run an action in the event loop, and then some turns for what it schedules."""

        async def turns() -> None:
            action()
            for _ in range(TURNS):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())

    @rule(producer=st.sampled_from("ab"), count=st.integers(1, 12))
    def publish(self, producer: str, count: int) -> None:
        for number in range(count):
            position = Position(self.truth.last.epoch, self.truth.last.offset + 1)
            made = make_entry(Message(f"{number}"), producer, 1, position, self.now, ("sse",))
            self.truth.append(made)
            self.published[position] = producer

    @rule(who=st.integers(0, 1), count=st.integers(1, 20))
    def follow(self, who: int, count: int) -> None:
        """Read entries into a server's copy, as the Redis engine does."""
        server, truth = self.servers[who], self.truth
        copy = server.copy

        def read() -> None:
            held = truth.last.offset - len(truth)
            if copy.last.epoch != truth.last.epoch or copy.last.offset < held:
                copy.restart(Position(truth.last.epoch, held))
                server.fanout.restarted()
            for made in truth.after(copy.last.offset, count):
                server.delivery.append(made)
            server.delivery.deliver()

        self.run(read)

    @rule(who=st.integers(0, 1))
    def read_the_end(self, who: int) -> None:
        self.servers[who].end_read = self.truth.last

    @rule(who=st.integers(0, 1))
    def verify_with_the_end(self, who: int) -> None:
        server = self.servers[who]
        end = server.end_read
        if end is not None and end.epoch == server.copy.last.epoch:
            self.run(lambda: server.fanout.verify(end))
        server.end_read = None

    @rule(who=st.integers(0, 3))
    def cut(self, who: int) -> None:
        self.receivers[who].cut()

    @rule(who=st.integers(0, 3), where=st.integers(0, 1), seconds=st.sampled_from([0, 0, 70]))
    def reconnect(self, who: int, where: int, seconds: int = 0) -> None:
        """Reconnect; a plugin's `connected` hook takes some seconds, in which entries may expire."""
        receiver = self.receivers[who]
        if receiver.connection is None:
            claimed = None if receiver.at is None else str(receiver.at)
            pause = partial(self.pass_time, seconds)
            self.run(lambda: receiver.connect(self.servers[where], claimed, pause))

    @rule(who=st.integers(0, 3), count=st.integers(0, 12))
    def move(self, who: int, count: int) -> None:
        """Receive entries from one server, and reconnect to the other before it has them."""
        receiver = self.receivers[who]
        if receiver.connection is None or receiver.server is None or not receiver.room:
            return
        here = self.servers.index(receiver.server)
        self.read_the_end(1 - here)
        if count:
            self.publish("a", count)
        self.follow(here, 20)
        self.each_client_has_all_in_order_or_a_report()
        receiver.cut()
        self.reconnect(who, 1 - here)

    @rule(
        who=st.integers(0, 3),
        where=st.integers(0, 1),
        text=st.sampled_from(["", "x", "-", "00-1", "future"]),
    )
    def reconnect_with_a_false_position(self, who: int, where: int, text: str) -> None:
        receiver = self.receivers[who]
        if receiver.connection is None:
            if text == "future":
                text = str(Position(self.truth.last.epoch, self.truth.last.offset + 1000))
            receiver.at = parse_position(text)
            self.run(lambda: receiver.connect(self.servers[where], text))

    @rule(who=st.integers(0, 3))
    def stop_reading(self, who: int) -> None:
        self.receivers[who].room = False

    @rule(who=st.integers(0, 3))
    def read_again(self, who: int) -> None:
        self.receivers[who].room = True
        self.run(lambda: None)

    @rule(seconds=st.integers(1, 90))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds * 1000

    @rule()
    def lose_the_log(self) -> None:
        self.truth.restart(Position(new_epoch(), 0))

    @rule()
    def let_all_catch_up(self) -> None:
        """Once both servers have read everything, each client that reads has all messages."""
        for receiver in self.receivers:
            receiver.room = True
        for who, server in enumerate(self.servers):
            for _ in range(3):
                self.follow(who, 10_000)
                self.read_the_end(who)
                self.verify_with_the_end(who)
            assert server.fanout.unverified == 0
        self.each_client_has_all_in_order_or_a_report()
        for receiver in self.receivers:
            if receiver.connection is not None:
                assert receiver.server is not None
                assert receiver.server.fanout.position(receiver.connection) == self.truth.last
                assert receiver.at is not None
                assert self._next(receiver.at, receiver.picks) is None

    @invariant()
    def bounds_hold(self) -> None:
        for server in getattr(self, "servers", []):
            log = server.copy
            assert len(log) <= log.limits.count
            assert log.bytes == sum(len(e.payload) for e in log.after(log.last.offset - len(log), 99))

    @invariant()
    def each_client_has_all_in_order_or_a_report(self) -> None:
        for receiver in getattr(self, "receivers", []):
            for got in receiver.got:
                self._take(receiver, got)
            receiver.got.clear()

    def _take(self, receiver: Receiver, got: dict[str, Any]) -> None:
        position = parse_position(got["id"])
        assert position is not None
        if got.get("lost"):
            assert self._is_gone(receiver), "a loss was reported although nothing was lost"
        else:
            assert receiver.at is not None
            assert position == self._next(receiver.at, receiver.picks), "missed, or twice"
        receiver.at = position

    def _is_gone(self, receiver: Receiver) -> bool:
        at, truth = receiver.at, self.truth.last
        if at is None or at.epoch != truth.epoch or at.offset > truth.offset:
            return True
        return receiver.server is not None and at.offset < max(
            receiver.server.base, self.truth.last.offset - len(self.truth)
        )

    def _next(self, after: Position, picks: frozenset[str] | None) -> Position | None:
        """Return the first position after `after` that was published and picked."""
        offset = after.offset + 1
        while (position := Position(after.epoch, offset)) in self.published:
            if picks is None or self.published[position] in picks:
                return position
            offset += 1
        return None


LogMachine.TestCase.settings = hypothesis_settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
# It computes all the time.
test_publish_lag_cut_resume_expire_in_any_order = pytest.mark.timeout(300)(
    pytest.mark.uncovered(LogMachine.TestCase)
)


@pytest.mark.parametrize(
    "text", ["", "-", "x-1", "ab-", "ab-01", "ab--1", "AB-1", "ab-1 ", "a" * 33 + "-1"]
)
def test_text_that_is_no_position(text: str) -> None:
    """A position is lower-case hexadecimal digits, a hyphen, and a plain number; nothing else is."""
    assert parse_position(text) is None


def test_position_is_read_as_it_is_written() -> None:
    """The text of a position gives the same position."""
    position = Position(new_epoch(), 17)
    assert parse_position(str(position)) == position


async def test_idempotency_key_is_remembered_for_ten_minutes() -> None:
    """A key publishes the same messages once and refuses others; after ten minutes it is free."""
    now = 0.0
    engine = MemoryEngine(now=lambda: now)
    one, other = [Draft(Message("1"), "a")], [Draft(Message("2"), "a")]
    first = await engine.publish(one, "key")
    assert await engine.publish(one, "key") == first
    with pytest.raises(KeyReused):
        await engine.publish(other, "key")
    now = IDEMPOTENCY_KEY_S * 1000 + 1
    assert await engine.publish(other, "key") != first
    assert engine.log.last.offset == 2


async def test_keys_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key beyond the bound drops the oldest; every other one still publishes once."""
    monkeypatch.setattr(memory, "MAX_IDEMPOTENCY_KEYS", 3)
    engine = MemoryEngine(now=lambda: 0.0)
    drafts = [Draft(Message("x"), "a"), Draft(Message("y"), "b")]
    first = [await engine.publish(drafts, str(number)) for number in range(4)]
    assert [await engine.publish(drafts, str(number)) for number in (1, 2, 3)] == first[1:]
    assert (engine.remembered_keys, engine.log.last.offset) == (3, 8)
    assert await engine.publish(drafts, "0") != first[0]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
async def engine() -> MemoryEngine:
    return MemoryEngine()


@pytest.fixture
def server(engine: MemoryEngine) -> Server:
    """A server with the log itself as its copy."""
    return Server(engine.log, lags=False)


async def publish(engine: MemoryEngine, *texts: str) -> None:
    await engine.publish([Draft(Message(text), "a") for text in texts])


async def test_resuming_client_gets_the_history_as_fast_as_it_reads(
    engine: MemoryEngine, server: Server
) -> None:
    """A history larger than the outbox arrives completely, in batches; other tasks run in between."""
    start = engine.log.last
    await publish(engine, *map(str, range(300)))
    receiver = Receiver(None)
    receiver.room = False
    receiver.connect(server, str(start))
    connection = receiver.connection
    assert connection is not None
    assert (receiver.got, connection.replaying) == ([], True)
    await publish(engine, "live")
    receiver.room = True
    server.fanout.catch_up(connection)
    assert 0 < len(receiver.got) < 300
    await turns(10)
    assert [got["message"] for got in receiver.got] == [*map(str, range(300)), "live"]
    assert not connection.replaying


async def test_history_is_encoded_once_for_many_resuming_clients(
    engine: MemoryEngine, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients that resume from different positions soon get the same batches."""
    made: list[bytes] = []

    def counted(payload: bytes, position: str | None = None) -> bytes:
        made.append(payload)
        return payload + b"\n"

    monkeypatch.setattr(f"{__name__}.plain", counted)
    await publish(engine, *map(str, range(640)))
    receivers = [Receiver(None) for _ in range(20)]
    for number, receiver in enumerate(receivers):
        receiver.connect(server, str(Position(engine.log.last.epoch, number)))
    await turns(30)
    assert [len(receiver.got) for receiver in receivers] == list(range(640, 620, -1))
    # Only the first batch of each client differs: it ends where the common batches begin.
    assert len(made) <= 640 + 20 * 64


async def test_history_from_before_the_start_is_not_sent_as_live(
    engine: MemoryEngine, server: Server
) -> None:
    """The first live message reaches live clients in the same turn, however long the history is."""
    engine.log.limits = LogLimits(count=50_000)
    for _ in range(20):
        await publish(engine, *["x"] * 2000)
    server.fanout.skip_history()
    receiver = Receiver(None)
    receiver.connect(server, None)
    await publish(engine, "news")
    server.fanout.deliver(engine.log.after(engine.log.last.offset - 1, 1))
    assert [got["message"] for got in receiver.got] == ["news"]


async def test_entries_that_leave_the_log_before_they_are_sent_leave_no_client_behind(
    engine: MemoryEngine, server: Server
) -> None:
    """With more connections than one turn serves, and a log shorter than what is published."""
    engine.log.limits = LogLimits(count=2)
    receivers = [Receiver(None) for _ in range(3 * CONNECTIONS_PER_TURN)]
    for receiver in receivers:
        receiver.connect(server, None)
    for number in range(8):
        await publish(engine, f"{number} a", f"{number} b", f"{number} c")
        server.fanout.deliver(engine.log.after(engine.log.last.offset - 1, 1))
        await turns(number % 3)
    await turns(20)
    positions = {receiver.connection and receiver.connection.offset for receiver in receivers}
    assert positions == {engine.log.last.offset}


async def test_position_that_expires_during_the_connect_is_reported_as_gone() -> None:
    """The client does not wait for it: no other server has it."""
    now = 0.0
    engine = MemoryEngine(now=lambda: now)
    server = Server(engine.log, lags=False)
    await publish(engine, "1")
    receiver = Receiver(None)

    def pass_time() -> None:
        nonlocal now
        now = 1e9

    receiver.connect(server, str(Position(engine.log.last.epoch, 0)), pass_time)
    assert [got["lost"] for got in receiver.got] == [True]
    assert server.fanout.unverified == 0


async def test_users_of_a_message_that_is_only_the_newest_of_its_producer() -> None:
    """They have its right, also after a restart of the log, and everyone knows whom its name is for."""

    def newest(producer: str, user: str) -> Entry:
        position = Position(log.last.epoch, log.last.offset)
        return make_entry(Message("x"), producer, 1, position, 0.0, ("sse",), users=frozenset({user}))

    log = Log()
    log.restart(Position(log.last.epoch, 7))
    log.set_latest(newest("slow", "ann"))
    server = Server(log)
    ann, bob = Receiver(None, "ann"), Receiver(None, "bob")
    for receiver in (ann, bob):
        receiver.connect(server, None)
    log.restart(Position(log.last.epoch, 20))
    log.set_latest(newest("later", "bob"))
    server.fanout.restarted()
    assert server.fanout.restrictions.users_by_producer == {
        "slow": frozenset({"ann"}),
        "later": frozenset({"bob"}),
    }
    rights = [receiver.connection and receiver.connection.rights for receiver in (ann, bob)]
    assert rights == [frozenset({frozenset({"ann"})}), frozenset({frozenset({"bob"})})]


async def overtaken(engine: MemoryEngine, server: Server, past: Past) -> Receiver:
    """Return a new client that reads only after the log has dropped what was in it at the connect."""
    engine.log.limits = LogLimits(count=3)
    await engine.publish([Draft(Message("once"), "b")])
    await publish(engine, "1", "2")
    receiver = Receiver(None)
    receiver.room = False
    receiver.connect(server, None, past=past)
    await publish(engine, "3", "4", "5", "6")
    receiver.room = True
    assert receiver.connection is not None
    server.fanout.catch_up(receiver.connection)
    await turns(TURNS)
    return receiver


@pytest.mark.parametrize(("is_latest", "first"), [(False, []), (True, ["once"])])
async def test_past_that_leaves_the_log_before_it_is_sent_is_no_loss(
    engine: MemoryEngine, server: Server, is_latest: bool, first: list[str]
) -> None:
    """It begins later, and says so. The newest message of each producer still comes first."""
    receiver = await overtaken(engine, server, Past(is_latest, 600.0))
    assert [got["message"] for got in receiver.got] == [*first, "4", "5", "6"]
    truncated = [got["message"] for got in receiver.got if got.get("truncated")]
    assert truncated == ["4"]


async def test_past_that_expires_during_the_connect_is_no_loss() -> None:
    """A position says that it is gone. What comes then is live."""
    now = 0.0
    engine = MemoryEngine(now=lambda: now)
    server = Server(engine.log, lags=False)
    await publish(engine, "1")
    receiver = Receiver(None)

    def pass_time() -> None:
        nonlocal now
        now = 1e9

    receiver.connect(server, None, pass_time, Past(seconds=600.0))
    await publish(engine, "2")
    server.fanout.deliver(engine.log.after(engine.log.last.offset - 1, 1))
    position, live = receiver.got
    assert (position["producer"], position["truncated"]) == ("rtdemo", True)
    assert (live["message"], "truncated" in live) == ("2", False)


async def test_no_older_value_follows_a_reported_loss(engine: MemoryEngine, server: Server) -> None:
    """A client that asked for no past, and got live messages promised, is told of the loss."""
    receiver = await overtaken(engine, server, Past(latest=True))
    assert receiver.connection is not None
    server.fanout.catch_up(receiver.connection)
    await turns(TURNS)
    assert [got["lost"] for got in receiver.got] == [True]


async def test_a_cut_among_the_newest_messages_leaves_none_out(
    engine: MemoryEngine, server: Server
) -> None:
    """A client that has the first ones resumes: it gets the others, none twice, and what came since."""
    for name in "abcd":
        await engine.publish([Draft(Message(f"old {name}"), name)])
    await engine.publish([Draft(Message("new b"), "b")])
    receiver = Receiver(frozenset("abcd"))
    receiver.connect(server, None, meanwhile=receiver.welcome, past=Past(latest=True))
    await turns(TURNS)
    newest = ["old a", "old c", "old d", "new b"]
    assert [got["message"] for got in receiver.got] == ["welcome", *newest]
    positions = [got["id"] for got in receiver.got]
    await engine.publish([Draft(Message("later c"), "c")])
    server.fanout.deliver(engine.log.after(engine.log.last.offset - 1, 1))
    for has, position in enumerate(positions):
        again = Receiver(frozenset("abcd"))
        again.connect(server, position)
        await turns(TURNS)
        # Of a producer that has sent since, the newest message is in the log.
        rest = [text for text in newest[has:] if text != "old c"]
        assert [got["message"] for got in again.got] == [*rest, "later c"]
        assert again.connection is not None
        assert str(again.connection.position) == str(engine.log.last)


async def test_a_late_welcome_brings_no_newest_message_again(
    engine: MemoryEngine, server: Server
) -> None:
    """A plugin may replace the welcome by an async one: its position has all that came before it."""
    for name in "ab":
        await engine.publish([Draft(Message(f"old {name}"), name)])
    receiver, again = Receiver(None), Receiver(None)
    receiver.connect(server, None, past=Past(latest=True))
    await turns(TURNS)
    receiver.welcome()
    again.connect(server, receiver.got[-1]["id"])
    await turns(TURNS)
    assert [got["message"] for got in receiver.got] == ["old a", "old b", "welcome"]
    assert again.got == []


async def test_newest_messages_wait_for_a_server_that_lags() -> None:
    """Its copy of the log has none of them yet when the client resumes there."""
    truth = MemoryEngine()
    for name in "ab":
        await truth.publish([Draft(Message(f"old {name}"), name)])
    copy = Log(LIMITS)
    copy.restart(Position(truth.log.last.epoch, 0))
    server = Server(copy)
    receiver = Receiver(None)
    receiver.connect(server, f"{truth.log.last}.1")
    assert (receiver.got, server.fanout.unverified) == ([], 1)
    for entry in truth.log.after(0, 2):
        server.delivery.append(entry)
    server.delivery.deliver()
    await turns(TURNS)
    assert [got["message"] for got in receiver.got] == ["old b"]


async def test_bytes_that_few_clients_get_are_not_cached(engine: MemoryEngine, server: Server) -> None:
    """However many clients pick names that no other client picks, the cached bytes are bounded."""
    await publish(engine, "x" * 1000)
    start = str(Position(engine.log.last.epoch, 0))
    names = [frozenset({"a", f"name {number}"}) for number in range(CACHED_AUDIENCES * 2)]
    for picked in names:
        receiver = Receiver(picked)
        receiver.connect(server, start)
        assert len(receiver.got) == 1
    encoded: list[bytes] = []

    def counted(payload: bytes, position: str | None = None) -> bytes:
        encoded.append(payload)
        return plain(payload, position)

    batch = Batch([(made, False) for made in engine.log.after(0, 1)])
    audiences = [audience("sse", counted, picked) for picked in names]
    parts = [batch.part(each) for each in audiences]
    is_cached = [batch.part(each) is part for each, part in zip(audiences, parts, strict=True)]
    assert sum(is_cached) == CACHED_AUDIENCES
    assert len(encoded) == 1


def test_selection_is_forgotten_with_its_last_connection() -> None:
    """A client that connects again and again with other long names leaves nothing in memory."""
    first = audience("sse", plain, frozenset({"x" * 300}))
    assert audience("sse", plain, frozenset({"x" * 300})) is first
    forgotten = weakref.ref(first)
    del first
    assert forgotten() is None


async def test_client_that_picked_a_quiet_producer_gets_its_position(
    engine: MemoryEngine, server: Server
) -> None:
    """Otherwise it would reconnect with an old position, and get a report although nothing was lost."""
    receiver = Receiver(frozenset({"quiet"}))
    receiver.connect(server, None)
    for number in range(POSITION_UPDATE_ENTRIES + 10):
        await publish(engine, str(number))
        server.fanout.deliver(engine.log.after(number, 1))
    (update,) = receiver.got
    assert update["producer"] == "rtdemo"
    assert update["id"] == json.loads(update["message"])["position"]
    assert parse_position(update["id"]) == Position(engine.log.last.epoch, POSITION_UPDATE_ENTRIES)


async def test_client_that_changes_its_selection_gets_its_position(
    engine: MemoryEngine, server: Server
) -> None:
    """No entry that it did not pick is counted anew after the change."""
    receiver = Receiver(frozenset({"quiet"}))
    receiver.connect(server, None)
    (connection,) = next(iter(server.fanout._groups.values())).connections
    for number in range(POSITION_UPDATE_ENTRIES):
        await publish(engine, str(number))
        server.fanout.deliver(engine.log.after(number, 1))
        if number == POSITION_UPDATE_ENTRIES // 2:
            server.fanout.select(connection, Selection(frozenset({"silent"})))
    assert [update["producer"] for update in receiver.got] == ["rtdemo"]


class BrokenReceiver(Receiver):
    """A client with an outbox that raises an error at each write."""

    def __init__(self) -> None:
        super().__init__(None)
        self.reasons: list[Reason] = []

    def write(self, data: bytes) -> bool:
        raise ZeroDivisionError

    def ended(self, reason: Reason) -> None:
        self.reasons.append(reason)


async def test_connection_that_cannot_be_served_does_not_affect_others(
    engine: MemoryEngine, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends; the others get this message and the next one."""
    broken, well = BrokenReceiver(), Receiver(None)
    for receiver in (broken, well):
        receiver.connect(server, None)
    for text in ("1", "2"):
        await publish(engine, text)
        server.fanout.deliver(engine.log.after(engine.log.last.offset - 1, 1))
        await turns(2)
    assert broken.reasons == [Reason.SERVER_ERROR]
    assert [got["message"] for got in well.got] == ["1", "2"]
    assert "sending failed" in caplog.text


@pytest.mark.parametrize("picks", [[None, None], [None, frozenset({"a"})], [None] * 5])
async def test_no_connection_is_served_first_more_often(
    engine: MemoryEngine, server: Server, picks: list[frozenset[str] | None]
) -> None:
    """Each is the first for half of the messages of a producer that takes turns with another one."""
    seed(14)
    order: list[int] = []
    receivers = [Listener(pick, partial(order.append, number)) for number, pick in enumerate(picks)]
    for receiver in (*receivers, Receiver(frozenset({"b"}))):
        receiver.connect(server, None)
    before_next = before_last = 0
    for _ in range(200):
        for producer in ("b", "a"):
            order.clear()
            await engine.publish([Draft(Message("text"), producer)])
            server.fanout.deliver(engine.log.after(engine.log.last.offset - 1, 1))
        assert sorted(order) == list(range(len(picks)))
        before_next += order.index(0) < order.index(1)
        before_last += order.index(0) < order.index(len(picks) - 1)
    assert 80 <= before_next <= 120
    assert 80 <= before_last <= 120


class Listener(Receiver):
    """A client that notes when it is served."""

    def __init__(self, picks: frozenset[str] | None, served: Callable[[], object]) -> None:
        super().__init__(picks)
        self.served = served

    def write(self, data: bytes) -> bool:
        self.served()
        return super().write(data)
