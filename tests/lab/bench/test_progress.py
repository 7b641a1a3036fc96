"""The time that bench says is left."""

from __future__ import annotations

import pytest

from rtdemo.lab.bench.progress import Progress
from rtdemo.lab.bench.result import RunSettings


def test_the_time_left_comes_from_the_rounds_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """First it is an estimate; then the mean of the finished rounds counts."""
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    found = Progress(RunSettings(seconds=10, rounds=2), 2)
    found.begin("memory, WebSocket", 0, 0)
    assert str(found) == "memory, WebSocket; about 59 s left"
    now += 30
    found.begin("WebSocket", 1, 4)
    assert str(found) == "WebSocket, round 1 of 4; about 54 s left"
    now += 20
    found.begin("SSE", 2, 4)
    assert str(found) == "SSE, round 2 of 4; about 1 min 0 s left"
    now += 15
    assert found.left_s == 45
    now += 5
    found.begin("SSE", 3, 4)
    now += 100
    assert found.left_s == 20
