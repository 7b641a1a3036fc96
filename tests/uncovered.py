"""Measure no coverage in tests with the mark `no_cover`, nor in the programs that they start.

Coverage doubles the CPU time of code in a loop. Tests that repeat thousands of times what other tests
cover have the mark. pytest-cov pauses its own measurement for them, and here is the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Pause all measurements of a process.

    Coverage measures each process that a test starts, and those of pytest-xdist are started as well:
    they have several measurements, of which pytest-cov pauses only its last (`trylast`: before this).
    """
    paused = []
    if is_uncovered(item) and "coverage" in sys.modules:
        current = sys.modules["coverage"].Coverage.current
        while (measurement := current()) is not None:
            measurement.stop()
            paused.append(measurement)
    try:
        return (yield)
    finally:
        for measurement in reversed(paused):
            measurement.start()


@pytest.fixture(autouse=True)
def uncovered_programs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the programs of a test with the mark run without coverage."""
    if is_uncovered(request.node):
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


def is_uncovered(item: pytest.Item) -> bool:
    """Return whether a test has the mark."""
    return item.get_closest_marker("no_cover") is not None
