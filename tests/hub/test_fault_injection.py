"""Fault injection: a client cuts, stops or delays its own connection."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from rtdemo.hub.control import DELAY_S, STOP_S
from rtdemo.hub.outbox import Throttle
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.clients import Ended, Peer, eventually
from tests.conftest import Connect, Start

EVERY_SECOND = """
from rtdemo import producer

@producer(every=1)
def second():
    return "one"
"""


class Sink:
    """An outbox that stores what is written."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def write(self, data: bytes, /) -> bool:
        self.got.append(data)
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


@pytest.fixture
async def lab(start: Start, tmp_path: Path) -> Server:
    plugin = tmp_path / "second.py"
    plugin.write_text(EVERY_SECOND)
    return await start(files=(plugin,), without=("message", "status", "broadcast"), lab=True)


async def ask(peer: Peer, **wanted: object) -> object:
    await peer.say(json.dumps({"rtdemo": wanted}))
    return json.loads((await peer.receive())["message"])


async def test_cut_ends_without_a_close_frame(lab: Server, connect: Connect, transport: str) -> None:
    """The answer is sent; then the connection ends, over WebSocket without a close frame."""
    peer = await connect(lab, transport)
    other = await connect(lab, transport)
    assert await ask(peer, **{"break": "cut"}) == {"break": "cut"}
    with pytest.raises((Ended, httpx.RemoteProtocolError)) as ended:
        await peer.receive()
    assert getattr(ended.value, "code", None) is None
    await eventually(lambda: len(lab.hub) == 1)
    await other.say("hello")
    assert (await other.receive())["message"] == "Echo: hello"


async def test_stop_delays_everything_and_then_sends_it_in_order(
    lab: Server, connect: Connect, clock: VirtualClock, transport: str
) -> None:
    """For five seconds this client gets nothing, and the others get everything; nothing is lost."""
    peer, other = await connect(lab, transport), await connect(lab, transport)
    assert await ask(peer, **{"break": "stop"}) == {"break": "stop", "seconds": STOP_S}
    clock.advance(STOP_S - 0.5)
    assert [(await other.receive())["seq"] for _ in range(4)] == [1, 2, 3, 4]
    connection = lab.hub.find(peer.welcome["client"])
    assert connection is not None
    assert connection.outbox_bytes > 0
    clock.advance(1)
    assert [(await peer.receive())["seq"] for _ in range(5)] == [1, 2, 3, 4, 5]
    assert connection.outbox_bytes == 0


async def test_delay_lasts_until_it_is_removed(
    lab: Server, connect: Connect, clock: VirtualClock, transport: str
) -> None:
    """All messages are 0.25 s late, answers too; `none` sends the delayed ones at once."""
    peer = await connect(lab, transport)
    assert await ask(peer, **{"break": "delay"}) == {"break": "delay", "seconds": DELAY_S}
    connection = lab.hub.find(peer.welcome["client"])
    assert connection is not None
    clock.advance(1)
    assert connection.outbox_bytes > 0
    clock.advance(DELAY_S)
    assert (await peer.receive())["seq"] == 1
    clock.advance(0.75)
    await peer.say(json.dumps({"rtdemo": {"break": "none"}}))
    assert [(await peer.receive())["producer"] for _ in range(2)] == ["second", "rtdemo"]
    assert connection.outbox_bytes == 0


@pytest.mark.parametrize("wanted", [{"break": "x"}, {"break": None}, {"break": "cut", "speed": 2}])
async def test_unknown_fault_changes_nothing(
    lab: Server, connect: Connect, transport: str, wanted: dict[str, object]
) -> None:
    """The answer lists the faults."""
    peer = await connect(lab, transport)
    answer = await ask(peer, **wanted)
    assert "cut, stop, delay, none" in str(answer)
    await peer.say("still here")
    assert (await peer.receive())["message"] == "Echo: still here"


@pytest.mark.parametrize("settings", [{}, {"lab": False}])
async def test_without_lab_no_fault_is_injected(
    start: Start, connect: Connect, transport: str, settings: dict[str, bool]
) -> None:
    """Neither by default nor when the setting `lab` is off."""
    peer = await connect(await start(**settings), transport)
    assert "start the server with --lab" in str(await ask(peer, **{"break": "cut"}))


async def test_delayed_bytes_are_bounded_as_for_any_slow_client(
    lab: Server, connect: Connect, clock: VirtualClock, transport: str
) -> None:
    """Replies without end to a client that injected `stop` end its connection."""
    peer = await connect(lab, transport)
    await ask(peer, **{"break": "stop"})
    connection = lab.hub.find(peer.welcome["client"])
    assert connection is not None
    for _ in range(40):
        connection.send("echo", "x" * 60_000, periodic=False)
    assert connection.reason is not None
    assert connection.sent < 40


def test_delayed_bytes_of_a_connection_that_ended_are_dropped() -> None:
    """A close frame may have been sent already, and nothing may follow it."""
    clock, sink, over = VirtualClock(), Sink(), False
    throttle = Throttle(sink, clock, lambda: over)
    throttle.stop(1)
    throttle.write(b"delayed")
    over = True
    clock.advance(2)
    assert sink.got == []
    assert throttle.get_write_buffer_size() == 0


def test_second_stop_counts_from_its_own_start() -> None:
    """Bytes that are delayed already wait for it too, and all are written in order."""
    clock, sink = VirtualClock(), Sink()
    throttle = Throttle(sink, clock, lambda: False)
    throttle.stop(5)
    throttle.write(b"1")
    clock.advance(3)
    throttle.stop(5)
    throttle.write(b"2")
    clock.advance(4)
    assert sink.got == []
    clock.advance(1)
    assert sink.got == [b"1", b"2"]
    throttle.write(b"3")
    assert sink.got[-1] == b"3"
