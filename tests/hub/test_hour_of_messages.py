"""One hour of the built-in producers, in virtual time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rtdemo.engine.memory import MemoryEngine
from rtdemo.hub.hub import Hub
from rtdemo.hub.selection import Selection
from rtdemo.plugin_system import supervisor
from rtdemo.plugin_system.discovery import discover
from rtdemo.plugin_system.manager import PluginManager
from rtdemo.protocol import wire
from rtdemo.protocol.client import Client, Transport
from rtdemo.testing import VirtualClock
from rtdemo.timing.schedule import Schedule

CONNECTIONS = 200


class Sink:
    """An outbox that stores when each producer's messages were written."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.times: dict[bytes, list[float]] = {b"message": [], b"status": [], b"welcome": []}

    def write(self, data: bytes) -> bool:
        producer = data[data.rindex(b'"producer":"') + 12 :].split(b'"', 1)[0]
        self.times[producer].append(self.clock.now)
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


@pytest.mark.uncovered
@pytest.mark.timeout(300)  # it computes all the time
async def test_hour_at_200_connections(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every WebSocket connection gets exactly 1,800 messages and 1,200 statuses, evenly spaced."""
    monkeypatch.chdir(tmp_path)
    clock = VirtualClock()
    # A machine that pauses this test is not a producer that blocks the loop.
    monkeypatch.setattr(supervisor, "perf_counter", clock.time)
    plugins = PluginManager(clock.time)
    assert plugins.load(discover("", [])[0]) == []
    hub = Hub(plugins, Schedule(clock), MemoryEngine())
    sinks = [join(hub, clock, "websocket") for _ in range(CONNECTIONS)]
    clock.advance(3600)
    counts = Counter(tuple((p, len(t)) for p, t in sink.times.items()) for sink in sinks)
    assert counts == {((b"message", 1800), (b"status", 1200), (b"welcome", 1)): CONNECTIONS}
    for sink in sinks[:: CONNECTIONS // 10]:
        assert sink.times[b"message"] == [2.0 * n for n in range(1, 1801)]
        assert sink.times[b"status"] == [3.0 * n for n in range(1, 1201)]
    assert hub.schedule.skipped == 0


def join(hub: Hub, clock: VirtualClock, transport: Transport) -> Sink:
    sink = Sink(clock)
    nothing: Any = lambda _reason: None  # noqa: E731 - an argument with a name
    hub.join(hub.new_connection(Client(transport), sink, wire.websocket_frame, nothing), Selection())
    return sink
