"""The lines about connects and disconnects: one each, and above a rate one with their numbers."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from rtdemo.hub.connection_log import LINES_PER_INTERVAL, ConnectionLog
from rtdemo.protocol.client import Client
from rtdemo.protocol.close_reasons import Reason
from rtdemo.testing import VirtualClock
from tests.conftest import Connect, Start

LOGGER = "rtdemo.hub.connection_log"


@pytest.fixture
def connections(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> ConnectionLog:
    """A log on the test's clock, at level info."""
    caplog.set_level(logging.INFO, LOGGER)
    return ConnectionLog(clock)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines so far, and forget them."""
    texts = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    caplog.clear()
    return texts


def field(record: logging.LogRecord, name: str) -> Any:
    return vars(record)[name]


def test_each_event_has_its_line_and_fields(
    connections: ConnectionLog, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """At a usual rate nothing is counted, and there is no timer."""
    client = Client("sse", "192.0.2.7")
    connections.connected(client)
    connections.disconnected(client, Reason.TOO_SLOW, 12.34, 5)
    assert clock.next_due is None
    first, second = caplog.records
    assert first.getMessage() == f"sse client {client.tag} connected from 192.0.2.7"
    assert second.getMessage() == (
        f"sse client {client.tag} disconnected: client too slow (1013) after 12.3 s and 5 messages"
    )
    for record in (first, second):
        assert [field(record, name) for name in ("client", "transport", "remote")] == [
            *(client.tag, "sse", "192.0.2.7")
        ]
    names = ("reason", "code", "seconds", "messages")
    assert [field(second, name) for name in names] == ["client too slow", 1013, 12.34, 5]


def test_above_the_rate_one_line_has_the_numbers(
    connections: ConnectionLog, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It follows a second after the first line, and counts what has no line of its own."""
    for number in range(1000):
        if number == LINES_PER_INTERVAL:
            clock.advance(0.4)
        connections.connected(Client("websocket" if number % 4 else "sse"))
    for number in range(1200):
        reason = Reason.SERVER_ERROR if number < 3 else Reason.CLIENT_LEFT
        connections.disconnected(Client("websocket"), reason, 1.0, 1)
    assert len(lines(caplog)) == LINES_PER_INTERVAL
    clock.advance(0.5)
    assert lines(caplog) == []
    clock.advance(0.1)
    (record,) = caplog.records
    assert record.getMessage() == (
        "more clients in the last 1.0 s: 980 connected (websocket 735, sse 245), "
        "1,200 disconnected (client left 1,197, server error 3)"
    )
    assert field(record, "connected") == {"websocket": 735, "sse": 245}
    assert field(record, "disconnected") == {"websocket": 1200}
    assert field(record, "reasons") == {"client left": 1197, "server error": 3}
    assert field(record, "seconds") == 1.0
    assert clock.next_due is None


def test_the_next_second_has_lines_again(
    connections: ConnectionLog, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """After the line with the numbers, single events are logged one by one; nothing is repeated."""
    for _ in range(2):
        for _ in range(LINES_PER_INTERVAL + 1):
            connections.connected(Client("sse"))
        clock.advance(1.0)
        assert lines(caplog)[LINES_PER_INTERVAL:] == [
            "more clients in the last 1.0 s: 1 connected (sse 1)"
        ]
    connections.disconnected(Client("sse"), Reason.CLIENT_LEFT, 1.0, 1)
    clock.advance(10.0)
    assert [line.partition(":")[0].split()[-1] for line in lines(caplog)] == ["disconnected"]


def test_a_steady_rate_at_the_limit_is_listed(
    connections: ConnectionLog, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Twenty a second for a minute are 1,200 lines, and none of them a sum."""
    for _ in range(60):
        for _ in range(LINES_PER_INTERVAL):
            connections.connected(Client("sse"))
        clock.advance(1.0)
    found = lines(caplog)
    assert len(found) == 60 * LINES_PER_INTERVAL
    assert not any("more" in line for line in found)


def test_a_late_timer_reports_before_the_next_event(
    connections: ConnectionLog, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """While the loop was blocked, no second is mixed with the next one; the line names its length."""
    for _ in range(LINES_PER_INTERVAL + 5):
        connections.connected(Client("websocket"))
    lines(caplog)
    clock.stall(3.0)
    last = Client("websocket")
    connections.connected(last)
    assert lines(caplog) == [
        "more clients in the last 3.0 s: 5 connected (websocket 5)",
        f"{last} connected from ",
    ]
    clock.advance(10.0)
    assert lines(caplog) == []


def test_a_flush_reports_at_once_and_only_once(
    connections: ConnectionLog, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The server's stop does not wait for the timer. What follows is a new interval."""
    for _ in range(LINES_PER_INTERVAL + 7):
        connections.disconnected(Client("sse"), Reason.GOING_AWAY, 1.0, 1)
    lines(caplog)
    clock.advance(0.5)
    connections.flush()
    assert lines(caplog) == ["more clients in the last 0.5 s: 7 disconnected (server going away 7)"]
    connections.flush()
    assert lines(caplog) == []
    for _ in range(LINES_PER_INTERVAL + 1):
        connections.connected(Client("sse"))
    assert len(lines(caplog)) == LINES_PER_INTERVAL
    clock.advance(0.9)
    assert lines(caplog) == []
    clock.advance(0.1)
    assert lines(caplog) == ["more clients in the last 1.0 s: 1 connected (sse 1)"]


def test_at_level_warning_nothing_is_formatted(
    connections: ConnectionLog,
    clock: VirtualClock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is no line, no count and no timer."""
    caplog.set_level(logging.WARNING, LOGGER)
    monkeypatch.delattr(Client, "tag")
    for _ in range(100):
        connections.connected(Client("sse"))
        connections.disconnected(Client("sse"), Reason.CLIENT_LEFT, 1.0, 1)
    assert clock.next_due is None
    clock.advance(10.0)
    assert lines(caplog) == []


async def test_lines_of_a_server_add_up(
    start: Start, connect: Connect, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    """After its stop, each connect and each disconnect is in exactly one line, or counted in one."""
    caplog.set_level(logging.INFO, LOGGER)
    server = await start()
    clients = 2 * LINES_PER_INTERVAL
    for _ in range(clients):
        await connect(server, transport)
    await server.stop()
    found = lines(caplog)
    for event in ("connected", "disconnected"):
        listed = [line for line in found if re.search(rf"client \w+ {event}\b", line)]
        counted = [int(n) for line in found for n in re.findall(rf"(\d+) {event} \(", line)]
        assert len(listed) + sum(counted) == clients, found
    assert len(found) == LINES_PER_INTERVAL + 1
