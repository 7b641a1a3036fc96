"""The offset of the server's clock, and its error."""

from __future__ import annotations

import socket
import time

import pytest

from rtdemo.lab import server_clock
from rtdemo.lab.server_clock import Reading, choose
from rtdemo.protocol import address
from rtdemo.server.server import Server


async def test_offset_is_within_its_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The measured offset is within its error, also if the server's clock is 3 s ahead."""
    real = time.time_ns
    monkeypatch.setattr("rtdemo.protocol.message.time.time_ns", lambda: real() + 3_000_000_000)
    reading = await server_clock.measure(address.parse(server.web_url))
    assert reading is not None
    # A busy machine may stop this process between two readings.
    before, server_now, after = server_clock.now(), real() / 1e6 + 3000, server_clock.now()
    adjusted = 0.05
    assert server_now - after - adjusted <= reading.offset + reading.error
    assert server_now - before + adjusted >= reading.offset - reading.error
    assert reading.error < 1500


async def test_without_a_server_the_reading_is_kept() -> None:
    """If no server answers, the result is the earlier reading, or None without one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        there = address.parse(f"http://127.0.0.1:{probe.getsockname()[1]}")
        kept = Reading(1.0, 1.0, 0.0)
        assert await server_clock.measure(there, kept) is kept
        assert await server_clock.measure(there) is None


def test_surer_reading_wins_unless_both_cannot_be_true() -> None:
    """The reading with the smaller error wins. After a clock was set, only the fresh one counts."""
    kept = Reading(offset=10.0, error=1.0, at=0.0)
    assert choose(None, kept) is kept
    assert choose(kept, Reading(10.5, 0.5, 1.0)).error == 0.5
    assert choose(kept, Reading(10.5, 2.0, 1.0)) is kept
    assert choose(kept, Reading(500.0, 2.0, 1.0)).offset == 500.0
    an_hour = 3_600_000.0
    assert choose(kept, Reading(10.5, 20.0, an_hour)).error == 20.0
