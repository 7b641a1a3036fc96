"""The server that bench measures: its clock and its processes."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TypeVar
from unittest.mock import AsyncMock

import pytest

from rtdemo.lab import server_clock
from rtdemo.lab.bench import worker
from rtdemo.lab.bench.analysis import analyse_window
from rtdemo.lab.bench.protocol import Plan, Ready
from rtdemo.lab.bench.result import RunSettings
from rtdemo.lab.bench.target import ProducerInfo, ServerInfo, Target
from rtdemo.protocol import address
from rtdemo.protocol.client import TRANSPORTS, Transport
from rtdemo.protocol.connection_info import ConnectionInfo
from tests.lab.bench.test_arrivals import AHEAD, WINDOW, received

T = TypeVar("T")


def new_target(port: int = 1) -> Target:
    return Target(address.parse(f"http://127.0.0.1:{port}"), ServerInfo(), RunSettings(), "")


def connection_info(process: int) -> ConnectionInfo:
    return ConnectionInfo("", process, "sse", "1.1", False, True, None, [], "127.0.0.1")


@pytest.mark.parametrize(
    ("producers", "transports", "expected"),
    [
        ("message", TRANSPORTS, (1200, 1260)),
        ("message,status", ("sse",), (1680, 1800)),
        ("message,status", TRANSPORTS, None),
        ("message,news", TRANSPORTS, None),
        ("", TRANSPORTS, None),
    ],
)
async def test_messages_are_expected_where_every_rate_is_known(
    producers: str, transports: tuple[Transport, ...], expected: tuple[float, float] | None
) -> None:
    """Of shared producers, generators, and servers that list none, the rate is unknown."""
    listed = (
        ProducerInfo("message", TRANSPORTS, shared=False, stream=False, period=2.0),
        ProducerInfo("status", ("sse",), shared=False, stream=False, period=5.0),
        ProducerInfo("news", TRANSPORTS, shared=True, stream=False, period=1.0),
    )
    settings = RunSettings(20, 20, 3, speed=2, transports=transports)
    target = Target(address.parse("4300"), ServerInfo("1.0", 1, listed), settings, producers)
    assert target.expected_in_all_rounds() is None
    target.clock = server_clock.same_clock()
    assert target.expected_in_all_rounds() == expected


async def test_connections_open_over_one_period(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker opens its connections evenly over a period, so that messages are not due in bursts."""
    listed = ProducerInfo("message", TRANSPORTS, shared=False, stream=False, period=2.0)
    settings = RunSettings(connections=4, speed=20)
    target = Target(address.parse("4300"), ServerInfo("1.0", 1, (listed,)), settings, "")
    [plan] = target.plans("sse", 4)
    assert plan.spread_s == 0.1
    begun = asyncio.get_running_loop().time()
    opened: list[float] = []

    async def refuse(_endpoint: object, _arrivals: object) -> None:
        opened.append(asyncio.get_running_loop().time() - begun)
        raise OSError("closed")

    monkeypatch.setattr(worker, "resolve", AsyncMock())
    monkeypatch.setattr(worker, "open_connection", refuse)
    lines = FakeLines(plan)
    with pytest.raises(EOFError):
        await worker.measure_round(lines)
    assert lines.written == [Ready({}, 0, "closed")]
    # A timer may be late, and is never early; uvloop rounds to milliseconds.
    assert len(opened) == 4
    assert all(at >= 0.025 * number - 0.002 for number, at in enumerate(opened))


def test_workers_open_their_connections_in_turns() -> None:
    """Each has a place of its own in the time between two connections of another."""
    target = Target(address.parse("4300"), ServerInfo(), RunSettings(processes=2), "")
    assert [(one.connections, one.place, one.workers) for one in target.plans("sse", 5)] == [
        *((3, 0, 2), (2, 1, 2)),
    ]


class FakeLines(worker.JsonLines):
    """The lines of a worker that reads only its plan."""

    def __init__(self, plan: Plan) -> None:
        self._left: list[object] = [plan]
        self.written: list[object] = []

    async def read(self, kind: type[T]) -> T:
        """Return the plan, and then the end."""
        if not self._left:
            raise EOFError
        found = self._left.pop()
        assert isinstance(found, kind)
        return found

    def write(self, content: object) -> None:  # type: ignore[override]  # keeps what it is given
        """Keep a line."""
        self.written.append(content)


async def test_a_server_here_that_tells_no_time_is_assumed_to_share_the_clock() -> None:
    """A server on loopback without `/api/time` gets this machine's clock, marked as assumed."""
    target = new_target()
    await target.update_clock()
    assert target.clock is not None
    assert target.clock_is_assumed


def test_messages_that_came_before_they_were_sent_show_another_clock() -> None:
    """Messages that arrive before their `sentAt` refute the assumed clock, unless within its error."""
    times = range(10_000, 11_000, 100)
    ahead = received(*((at + 3_000.0, at + 1.0, {"producer": "p"}) for at in times))
    figures = analyse_window(ahead, {"p": 100.0}, WINDOW, AHEAD + 0.25, error=1.5)
    assert figures.refuted
    assert (figures.due, figures.kept, len(figures.blocks[0].sent)) == (10, 10, 0)
    true = received(*((float(at), at - 1.0, {"producer": "p"}) for at in times))
    assert not analyse_window(true, {}, WINDOW, AHEAD + 0.25, error=1.5).refuted


@pytest.mark.parametrize("is_server", [True, False])
def test_processes_that_only_pass_on_are_not_the_servers(is_server: bool) -> None:
    """If another process serves, the one that listens is a proxy: its CPU time does not count."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        target = new_target(listening.getsockname()[1])
        target.pids = {os.getpid()}
        target.check_processes(connection_info(os.getpid() if is_server else 1))
    assert target.pids == ({os.getpid()} if is_server else set())
    assert ("listens on port" in target.process_problem) is not is_server
