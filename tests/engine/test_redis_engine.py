"""The Redis engine: several servers on one Redis, and every way in which Redis can fail."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rtdemo.engine.interface import Draft
from rtdemo.engine.log import LogLimits
from rtdemo.engine.redis import client
from rtdemo.engine.redis.client import COMMAND_TIMEOUT_S, Keys, Redis
from rtdemo.engine.redis.engine import RedisEngine
from rtdemo.engine.redis.lease import PRESENCE_S
from rtdemo.engine.redis.publisher import Publication, Publisher
from rtdemo.errors import EngineError, NotLeading, Unavailable
from rtdemo.protocol.message import Message, Position
from tests.certificate import self_signed
from tests.clients import eventually
from tests.engine.conftest import KEYS, Follower, Make, drafts
from tests.free_port import free_port
from tests.raw_server import raw_server
from tests.redis_server import RedisServer, connect, paused_reader, stop_task


async def published(follower: Follower, *texts: str) -> list[Position]:
    """Publish with one idempotency key, and retry until the engine accepts the messages."""
    while True:
        try:
            return await follower.publish(*texts, key="/".join(texts))
        except Unavailable:
            await asyncio.sleep(0.01)


async def test_servers_share_one_log(join: Make) -> None:
    """Every server delivers every message in one order; a server that starts later has the history."""
    first, second = await join(), await join()
    await asyncio.gather(*(who.publish(f"{n}") for n in range(30) for who in (first, second)))
    await eventually(lambda: len(first.entries) == len(second.entries) == 60)
    assert first.entries == second.entries
    third = await join()
    assert third.entries == []
    log = third.engine.log
    assert log.after(log.last.offset - 60, 100) == first.entries
    assert log.seq("news") == 60


async def test_prefixes_keep_deployments_apart(join: Make) -> None:
    """With different prefixes, neither messages nor numbers nor the lease are shared."""
    one, other = await join("one"), await join("other")
    await one.publish("x")
    await other.publish("y")
    await eventually(lambda: one.leads and other.leads)
    await eventually(lambda: one.entries and other.entries)
    assert [entry.seq for entry in one.entries + other.entries] == [1, 1]
    assert one.ids != other.ids


async def test_redis_restart_with_its_data_loses_nothing(join: Make, redis_server: RedisServer) -> None:
    """Every server delivers the messages from before and after the restart once, in order."""
    first, second = await join(), await join()
    await first.publish("1", "2")
    await redis_server.stop()
    await eventually(
        lambda: "unavailable" in first.engine.state and "unavailable" in second.engine.state
    )
    with pytest.raises(Unavailable, match="unavailable"):
        await first.publish("lost")
    await redis_server.start()
    await published(second, "3")
    await eventually(lambda: len(first.entries) == len(second.entries) == 3)
    assert first.ids == second.ids
    assert (first.restarts, second.restarts) == (0, 0)


async def test_redis_restart_without_its_data_begins_a_new_log(
    join: Make, redis_server: RedisServer
) -> None:
    """Every server restarts its log and continues with the new one."""
    first, second = await join(), await join()
    (before,) = await first.publish("1")
    await eventually(lambda: first.entries and second.entries)
    await redis_server.stop()
    redis_server.forget()
    await redis_server.start()
    (after,) = await published(first, "2")
    assert after.epoch != before.epoch
    await eventually(lambda: first.restarts == second.restarts == 1)
    await eventually(lambda: len(first.entries) == len(second.entries) == 2)
    assert first.entries == second.entries


async def test_flush_while_connected_begins_a_new_log(join: Make, redis: Redis) -> None:
    """A flush closes no connection; the reader notices it by the log's end."""
    follower = await join()
    await follower.publish("1")
    await eventually(lambda: follower.entries)
    await redis.flushall()
    await eventually(lambda: follower.restarts == 1)
    (position,) = await follower.publish("2")
    await eventually(lambda: len(follower.entries) == 2)
    assert follower.entries[-1].position == position


async def test_offsets_are_never_assigned_twice(join: Make, redis: Redis) -> None:
    """If Redis was restored from a backup, publishing begins a new log with a new epoch."""
    follower = await join()
    await follower.publish("1")
    await eventually(lambda: follower.entries)
    await follower.publish("2")
    await eventually(lambda: len(follower.entries) == 2)
    await redis.hset(KEYS.meta, "offset", 1)
    await redis.xdel(KEYS.log, "2-0")
    (position,) = await follower.publish("3")
    assert position.epoch != follower.entries[0].position.epoch
    await eventually(lambda: follower.restarts == 1)


async def test_offsets_assigned_twice_elsewhere_restart_every_server(
    join: Make, redis_server: RedisServer
) -> None:
    """Redis is restored from a backup, and a new server assigns some offsets a second time.

    A server that has other messages at these offsets notices it, and every server restarts its log.
    """
    ahead = await join()
    await ahead.publish("1", "2")
    await eventually(lambda: len(ahead.entries) == 2)
    backup = redis_server.backup()
    await ahead.publish("3", "4")
    await eventually(lambda: len(ahead.entries) == 4)
    await redis_server.stop()
    await eventually(lambda: "unavailable" in ahead.engine.state)
    # Its reader is paused, so that it is not the first to read from the restored Redis.
    async with paused_reader(ahead.engine):
        redis_server.restore(backup)
        await redis_server.start()
        fresh = await join()
        assert fresh.engine.log.last.offset == 2
        await fresh.publish("other 3", "other 4", "other 5")
        await eventually(lambda: len(fresh.entries) == 3)
        assert fresh.entries[0].position == ahead.entries[2].position
    await eventually(lambda: ahead.restarts == fresh.restarts == 1)
    (after,) = await ahead.publish("6")
    assert after.epoch != ahead.entries[0].position.epoch
    await eventually(lambda: ahead.entries[-1] == fresh.entries[-1])


async def test_servers_start_while_others_publish_into_a_full_log(join: Make) -> None:
    """A server loads the log without gaps, even if entries are trimmed meanwhile."""
    small = LogLimits(count=20)
    writer = await join(limits=small)
    running = True

    async def publish() -> None:
        while running:
            await writer.publish(*map(str, range(10)))

    publishing = asyncio.ensure_future(publish())
    await eventually(lambda: len(writer.entries) > 40)
    for _ in range(40):
        started = await join(limits=small)
        log = started.engine.log
        held = log.after(log.last.offset - len(log), 100)
        offsets = [entry.position.offset for entry in held]
        assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))
        await started.engine.close()
    running = False
    await publishing


async def test_server_starts_while_others_publish_without_a_pause(
    join: Make, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It loads what was there at its start. With each answer there is more."""
    writer = await join()
    await writer.publish("first")
    async with starting_engine(redis_server) as starting:

        async def publish_more(_number: int) -> None:
            await writer.publish("more")

        before_each_read(starting, publish_more, monkeypatch)
        async with asyncio.timeout(60):
            await starting.load()
        assert starting.log.last.offset == 2


async def test_server_that_starts_while_the_log_is_trimmed_has_the_newest_values(
    join: Make, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read an older value of a producer, and the newest one has left the log meanwhile."""
    monkeypatch.setattr("rtdemo.engine.redis.engine.ENTRIES_PER_READ", 5)
    limits = LogLimits(count=20)
    writer = await join(limits=limits)

    async def publish(producer: str, *texts: str) -> None:
        await writer.engine.publish(drafts(*texts, producer=producer))

    await publish("a", "old")
    await publish("b", *"1234567")
    await publish("a", "newest")
    await publish("b", *"89")
    async with starting_engine(redis_server) as starting:

        async def trim(number: int) -> None:
            if number == 2:
                await publish("b", *map(str, range(16)))

        before_each_read(starting, trim, monkeypatch)
        await starting.load()
        assert starting.log.seq("a") == 2
        newest = starting.log.latest_of("a")
        assert newest is not None
        assert b"newest" in newest.payload


@asynccontextmanager
async def starting_engine(redis_server: RedisServer) -> AsyncIterator[RedisEngine]:
    """Yield an engine that has not read the log."""
    engine = RedisEngine(redis_server.url, "test", LogLimits(count=20))
    try:
        yield engine
    finally:
        await engine.close()


def before_each_read(
    engine: RedisEngine, act: Callable[[int], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let something happen before each XRANGE of an engine; it gets the number of the read, from 1."""
    read, numbers = engine._commands.xrange, itertools.count(1)

    async def read_later(*arguments: Any, **named: Any) -> Any:
        await act(next(numbers))
        return await read(*arguments, **named)

    monkeypatch.setattr(engine._commands, "xrange", read_later)


async def test_server_that_is_always_too_slow_delivers_what_the_log_still_has(join: Make) -> None:
    """Each restart of its copy delivers entries, though more are trimmed between any two commands."""
    small = LogLimits(count=5)
    writer, reader = await join(limits=small), await join(limits=small)
    running = True

    async def publish() -> Position:
        while True:
            positions = await writer.publish(*map(str, range(10)))
            if not running:
                return positions[-1]

    publishing = asyncio.ensure_future(publish())
    try:
        await eventually(lambda: reader.restarts > 3 and len(reader.entries) > 15)
    finally:
        running = False
        last = str(await publishing)
    await eventually(lambda: reader.ids[-1:] == [last])
    offsets = [entry.position.offset for entry in reader.entries]
    assert offsets == sorted(set(offsets))


async def test_end_of_the_log_is_reported_periodically(join: Make) -> None:
    """A server needs it to recognise clients with a resume position beyond the end."""
    follower = await join()
    (position,) = await follower.publish("x")
    await eventually(lambda: follower.ends.count(position) >= 2)


async def test_bugs_stop_no_task(
    join: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that cannot be sent fails alone, and a failed renewal of the lease is retried."""
    follower = await join()
    engine = follower.engine
    assert isinstance(engine, RedisEngine)
    with pytest.raises(Unavailable, match="see the server log"):
        await engine.publish(drafts("x", producer="lone \ud800"))
    await eventually(lambda: follower.leads)
    monkeypatch.setattr(engine.lease, "renew", lambda: 1 / 0)
    await eventually(lambda: "renewing the lease failed" in caplog.text)
    monkeypatch.undo()
    await follower.publish("well")
    await eventually(lambda: len(follower.entries) == 1)
    assert not any(task.done() for task in engine.tasks.values())


async def test_numbering_is_bounded(join: Make, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The producers that published longest ago are forgotten, in this server and in Redis."""
    monkeypatch.setattr("rtdemo.engine.redis.publisher.MAX_NUMBERED_PRODUCERS", 3)
    follower = await join()
    for name in "abcad":
        await follower.engine.publish(drafts("x", producer=name))
    assert sorted(await redis.hkeys(KEYS.numbers)) == ["a", "c", "d"]
    await eventually(lambda: len(follower.entries) == 5)
    assert [entry.seq for entry in follower.entries] == [1, 1, 1, 2, 1]


async def test_server_that_fell_behind_the_log_restarts(join: Make) -> None:
    """Entries that are trimmed before a server reads them are lost to it, and it reports the loss."""
    small = LogLimits(count=5)
    writer, reader = await join(limits=small), await join(limits=small)
    await writer.publish("0")
    await eventually(lambda: reader.entries)
    async with paused_reader(reader.engine):
        await writer.publish(*map(str, range(1, 20)))
    await eventually(lambda: len(reader.entries) == 6 and writer.ids[-1:] == reader.ids[-1:])
    assert reader.restarts == 1
    assert reader.ids[1:] == [str(entry.position) for entry in writer.entries[-5:]]


async def test_server_that_fell_behind_has_the_newest_of_each_producer(join: Make) -> None:
    """Also a message that has left the log while the server did not read, and its number."""
    small = LogLimits(count=5)
    writer, reader = await join(limits=small), await join(limits=small)
    await writer.engine.publish([*drafts("1", producer="slow"), *drafts("0")])
    await eventually(lambda: len(reader.entries) == 2)
    async with paused_reader(reader.engine):
        await writer.engine.publish(drafts("2", producer="slow"))
        await writer.publish(*map(str, range(1, 20)))
    await eventually(lambda: len(reader.entries) == 7 and writer.ids[-1:] == reader.ids[-1:])
    assert reader.restarts == 1
    for follower in (writer, reader):
        log = follower.engine.log
        slow = next(entry for entry in log.latest if entry.producer == "slow")
        assert json.loads(slow.payload)["message"] == "2"
        assert (log.seq("slow"), log.seq("news")) == (2, 20)


async def test_log_in_redis_is_bounded_by_bytes_and_age(join: Make, redis: Redis) -> None:
    """The oldest entries are dropped; the newest stays, however large it is."""
    follower = await join(limits=LogLimits(bytes=1000))
    for n in range(10):
        await follower.publish(str(n) * 300)
    assert 1 <= await redis.xlen(KEYS.log) <= 3
    await follower.publish("x" * 5000)
    assert await redis.xlen(KEYS.log) == 1
    aged = await join("aged", limits=LogLimits(seconds=1), now=lambda: 1000.0)
    await aged.publish("old")
    later = await join("aged", limits=LogLimits(seconds=1), now=lambda: 9000.0)
    await later.publish("new")
    assert await redis.xlen(Keys("aged").log) == 1


@pytest.mark.parametrize("is_older", [False, True])
async def test_bytes_of_a_log_that_was_trimmed(join: Make, redis: Redis, is_older: bool) -> None:
    """They are those of the messages that stay, also behind entries of an older version."""
    follower = await join(limits=LogLimits(count=5))
    await follower.publish(*"abcde")
    if is_older:
        entries = await redis.xrange(KEYS.log)
        await redis.delete(KEYS.log)
        for identifier, fields in entries:
            del fields["before"]
            await redis.xadd(KEYS.log, fields, identifier)
        await redis.hdel(KEYS.meta, "published_bytes")
    for text in ("f" * 100, "g", "h" * 10):
        await follower.publish(text, text)
        assert await bytes_in_meta(redis) == await bytes_in_log(redis)
        assert await redis.xlen(KEYS.log) == 5


async def test_bytes_of_a_log_that_an_older_version_writes_too(join: Make, redis: Redis) -> None:
    """As in a rolling deployment: they are right again once its messages have left the log."""
    follower = await join(limits=LogLimits(count=5))
    await follower.publish(*"abcde")
    ((_, fields),) = await redis.xrevrange(KEYS.log, count=1)
    del fields["before"]
    await redis.xadd(KEYS.log, {**fields, "seq": "6"}, "6-0")
    await redis.hincrby(KEYS.meta, "offset", 1)
    await redis.hincrby(KEYS.meta, "bytes", len(fields["message"]))
    await follower.publish(*"ghi")
    await follower.publish(*"jklm")
    assert await bytes_in_meta(redis) == await bytes_in_log(redis)


async def bytes_in_meta(redis: Redis) -> int:
    return int(await redis.hget(KEYS.meta, "bytes") or 0)


async def bytes_in_log(redis: Redis) -> int:
    return sum(len(fields["message"]) for _, fields in await redis.xrange(KEYS.log))


async def test_one_leads_and_another_takes_over(join: Make) -> None:
    """At once if the leader closes; after a pause of the leader once its lease has expired.

    The paused leader still believes that it leads. Redis refuses its messages.
    """
    first = await join()
    await eventually(lambda: first.leads)
    second = await join()
    with pytest.raises(NotLeading):
        await second.publish("x", leading=True)
    engine = first.engine
    assert isinstance(engine, RedisEngine)
    await stop_task(engine, "lease")
    await eventually(lambda: second.leads)
    assert first.leadership == [True]
    with pytest.raises(NotLeading):
        await first.publish("twice", leading=True)
    assert first.leadership == [True, False]
    await second.publish("once", leading=True)
    await eventually(lambda: len(first.entries) == 1)
    third = await join()
    await second.engine.close()
    await eventually(lambda: third.leads)


async def test_publishing_reports_a_frozen_redis_after_one_try(
    join: Make, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen Redis keeps its connections and answers nothing. Then the log goes on."""
    monkeypatch.setattr(client, "connect", connect)
    follower = await join()
    await published(follower, "1")
    tries: list[int] = []
    send = Publisher._send

    async def counted(publisher: Publisher, batch: list[Publication]) -> None:
        tries.append(len(batch))
        await send(publisher, batch)

    monkeypatch.setattr(Publisher, "_send", counted)
    redis_server.freeze()
    with pytest.raises(Unavailable):
        await follower.publish("2")
    # One try, which is given up after this: a busy machine may take longer.
    assert tries == [1]
    assert COMMAND_TIMEOUT_S < 2
    redis_server.thaw()
    await published(follower, "3")
    await eventually(lambda: follower.engine.state == "ready")
    assert follower.restarts == 0


async def test_leader_without_redis_stops_leading(join: Make, redis_server: RedisServer) -> None:
    """It stops before its lease expires, so two servers never lead at the same time."""
    follower = await join()
    await eventually(lambda: follower.leads)
    await redis_server.stop()
    await eventually(lambda: not follower.leads)
    await redis_server.start()
    await eventually(lambda: follower.leads)


async def test_presence_expires_while_redis_is_unavailable(
    join: Make, redis_server: RedisServer
) -> None:
    """The list of servers becomes empty, because it is unknown which of them still run."""
    follower = await join()
    assert isinstance(follower.engine, RedisEngine)
    lease = follower.engine.lease
    await eventually(lambda: list(lease.servers) == [follower.engine.server])
    await redis_server.stop()
    lease.reported_at -= PRESENCE_S
    assert lease.servers == {}
    assert follower.engine.servers == {}


async def test_servers_report_their_presence_to_each_other(join: Make) -> None:
    """Every server sees the presence of the others; a server that closes leaves the list."""
    first, second = await join(), await join()
    one, other = first.engine, second.engine
    assert isinstance(one, RedisEngine)
    assert isinstance(other, RedisEngine)
    for follower, engine in ((first, one), (second, other)):
        follower.presence = {"websocket": 3}
        engine.lease.reported_at = 0.0
    await eventually(lambda: one.lease.servers.get(other.server) == {"websocket": 3})
    await other.close()
    one.lease.reported_at = 0.0
    await eventually(lambda: list(one.lease.servers) == [one.server])


async def test_full_queue_refuses_and_close_fails_what_waits(join: Make) -> None:
    """The queue is bounded, and no publication waits forever."""
    follower = await join()
    answers = [follower.engine.publish(drafts("x")) for _ in range(1100)]
    results = await asyncio.gather(*answers, return_exceptions=True)
    refused = [result for result in results if isinstance(result, Unavailable)]
    assert len(refused) == 100
    left = follower.engine.publish(drafts("x"))
    await follower.engine.close()
    with pytest.raises(Unavailable, match="stopping"):
        await left


async def start_error(url: str) -> str:
    with pytest.raises(EngineError) as caught:
        engine = RedisEngine(url)
        try:
            await engine.check()
        finally:
            await engine.close()
    line = str(caught.value)
    assert "\n" not in line
    assert "s3cret" not in line
    return line


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://localhost", "begin with redis://"),
        ("redis://:s3cret@localhost:x/0", "host or port"),
        ("redis://[::1", "malformed"),
        ("redis://u:s3cret@no-such-host.invalid/0", "engine-optional"),
        ("redis://:s3cret@127.0.0.1:FREE_PORT/0", "Connect call failed"),
    ],
)
async def test_start_error_is_one_line(url: str, words: str) -> None:
    """It contains the problem and the fix, and never the password."""
    assert words in await start_error(url.replace("FREE_PORT", str(free_port())))


@asynccontextmanager
async def other_program(answer: bytes | None) -> AsyncIterator[int]:
    """A port of a program other than Redis: it sends an answer, or nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        if answer is not None:
            writer.write(answer)
        await reader.read()

    async with raw_server(serve) as port:
        yield port


async def test_start_error_if_the_port_is_of_another_program() -> None:
    """A web server, and a program that answers nothing: each is one line, after a while."""
    async with asyncio.timeout(60), other_program(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert "engine redis://127.0.0.1" in await start_error(f"redis://127.0.0.1:{port}/0")
    async with asyncio.timeout(60), other_program(None) as port:
        assert "does not answer" in await start_error(f"redis://127.0.0.1:{port}/0")


@pytest.mark.usefixtures("patient_engines")
async def test_start_error_without_the_password(tmp_path: Path) -> None:
    """It explains how to give the password, if it is missing or wrong."""
    server = RedisServer(tmp_path, "--requirepass", "right")
    await server.start()
    try:
        assert "redis://:PASSWORD@" in await start_error(server.url)
        wrong = server.url.replace("://", "://:s3cret@")
        assert "redis://:PASSWORD@" in await start_error(wrong)
    finally:
        await server.stop()


@pytest.mark.usefixtures("patient_engines")
async def test_start_error_with_an_old_redis() -> None:
    """Streams need Redis 5.0. A version with letters is accepted."""
    for version, words in (("4.0.9", "Redis 4.0.9 is too old"), ("7.2-rc1", "")):
        async with asyncio.timeout(60), resp(info=f"redis_version:{version}\r\n") as port:
            if words:
                assert words in await start_error(f"redis://127.0.0.1:{port}/0")
            else:
                engine = RedisEngine(f"redis://127.0.0.1:{port}/0")
                await engine.check()
                await engine.close()


@asynccontextmanager
async def resp(info: str) -> AsyncIterator[int]:
    """A port that speaks the protocol of Redis: it answers INFO with a text, and all else with OK."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            words = []
            for _ in range(int(head[1:])):
                size = int((await reader.readline())[1:])
                words.append((await reader.readexactly(size + 2))[:-2].upper())
            body = f"${len(info)}\r\n{info}\r\n".encode()
            writer.write(body if words[0] == b"INFO" else b"+OK\r\n")

    async with raw_server(serve) as port:
        yield port


@pytest.mark.usefixtures("patient_engines")
async def test_redis_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """rediss:// works with a trusted certificate; with another one the start error is one line."""
    made = self_signed(tmp_path)
    port = free_port()
    files = ("--tls-cert-file", str(made.certificate), "--tls-key-file", str(made.key))
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder, "--tls-port", str(port), *files, "--tls-auth-clients", "no")
    await server.start()
    try:
        url = f"rediss://localhost:{port}/0"
        assert "certificate verify failed" in (await start_error(url)).lower()
        monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
        follower = Follower(RedisEngine(url))
        await follower.subscribe()
        await follower.publish("secret")
        await eventually(lambda: len(follower.entries) == 1)
        await follower.engine.close()
    finally:
        await server.stop()


async def test_server_that_starts_later_has_the_newest_messages(join: Make, redis: Redis) -> None:
    """Also those that the log has dropped, with value, number, time, transports and users."""
    small = LogLimits(count=1)
    first = await join(limits=small)
    draft = Draft(Message("1.5", value=1.5), "slow", ("sse",), frozenset({"ann"}))
    await first.engine.publish([draft])
    # Before the log drops it.
    await eventually(lambda: len(first.entries) == 1)
    await first.publish("other")
    later = await join(limits=small)
    await eventually(lambda: len(first.entries) == 2)
    assert list(later.engine.log.latest) == list(first.engine.log.latest) == first.entries
    assert json.loads(first.entries[0].payload)["value"] == 1.5


async def test_newest_messages_in_redis_are_bounded(join: Make, redis: Redis) -> None:
    """By the names, and by the bytes of a log; a new log begins without them."""
    follower = await join(limits=LogLimits(bytes=3000))
    for name in "abcdefgh":
        await follower.engine.publish(drafts("x" * 700, producer=name))
    assert await redis.zrange(KEYS.latest_names, 0, -1) == ["f", "g", "h"]
    assert sorted(await redis.hkeys(KEYS.latest)) == ["f", "g", "h"]
    size = sum(map(len, await redis.hvals(KEYS.latest)))
    assert int(await redis.hget(KEYS.meta, "latest_bytes") or 0) == size <= 3000


async def test_foreign_newest_message_is_passed_over(
    join: Make, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """The server starts without it, and says so in one line."""
    await (await join()).publish("x")
    await redis.hset(KEYS.latest, "other", "rubbish")
    later = await join()
    assert [entry.producer for entry in later.engine.log.latest] == ["news"]
    assert "a latest message in redis is not from rtdemo" in caplog.text
