"""examples/system_load.py: load average, CPU and memory, in percent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from examples import system_load
from rtdemo.testing import VirtualClock
from tests.conftest import Connect
from tests.examples.conftest import Serve


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder instead of /proc, with files that the test writes."""
    monkeypatch.setattr(system_load, "PROC", tmp_path)
    return tmp_path


async def test_one_measurement_reaches_both_transports(
    serve: Serve, connect: Connect, clock: VirtualClock
) -> None:
    """It runs once for all clients, so both get the same message."""
    server = await serve("system_load")
    peers = [await connect(server, t, "producers=system_load") for t in ("websocket", "sse")]
    clock.advance(2)
    first, second = [await peer.receive() for peer in peers]
    assert first == second
    load = first["value"]
    assert load["load"] >= 0
    assert set(load) == {"load", "cpu", "memory"}
    assert 0 <= load["cpu"] <= 100
    assert 0 < load["memory"] < 100


def test_cpu_is_the_time_not_idle_since_the_last_call(proc: Path) -> None:
    """Waiting for a disk counts as idle; guest time is not counted twice."""
    (proc / "stat").write_text("cpu  100 0 100 1000 100 0 0 0 50 0\ncpu0 1 2\n")
    cpu = system_load.Cpu()
    (proc / "stat").write_text("cpu  120 5 105 1050 110 5 5 0 70 0\ncpu0 1 2\n")
    assert cpu.percent() == pytest.approx(100 * 40 / 100)
    assert cpu.percent() == 0, "no tick has passed"


def test_memory_is_what_is_not_available(proc: Path) -> None:
    """The figure is from MemAvailable, not MemFree: the kernel frees caches when memory is needed."""
    (proc / "meminfo").write_text("MemTotal: 4000 kB\nMemFree: 100 kB\nMemAvailable: 3000 kB\n")
    assert system_load.memory_percent() == 25


def test_without_proc_only_the_load_average_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside Linux the message has the load average only: 100 % is one process for each processor."""
    monkeypatch.setattr(system_load, "cpu", None)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.456, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert system_load.system_load() == {"load": 11.4}
