"""Measure coverage where a test may cover what no other does, and nowhere else.

Coverage doubles the CPU time of code in a loop, and each start of Python takes half as long again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

MARKS = ("uncovered", "alone")
"""Marks of tests that are not measured. What real time depends on would take longer."""
UNCOVERED = (
    *("benchmarks", "browser", "deploy", "docs", "examples", "faults", "fuzz", "matrix", "release"),
    *("soak", "cluster/test_login_through_proxies.py", "cluster/test_proxies.py"),
)
"""Folders and files of tests/ that run only what tests in the folder of that code cover. A single test
has the mark `uncovered`."""
PROGRAMS = (
    *("cli", "cluster/test_login_of_workers.py", "cluster/test_stopping.py", "lab/bench/test_bench.py"),
    *("lab/conform", "lab/doctor", "lab/storm", "lab/token_stream", "server"),
)
"""Folders and files of tests/ whose programs run what no test runs in its own process."""
TESTS = Path(__file__).parent
IN_PROGRAMS = "COVERAGE_PROCESS_CONFIG"
"""Environment variable with which Python starts coverage."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Pause what needs no measurement during a test and its fixtures."""
    with ExitStack() as stack:
        if any(map(item.get_closest_marker, MARKS)) or is_below(item.path, UNCOVERED):
            stack.enter_context(paused())
            stack.enter_context(paused_in_programs())
        elif not is_below(item.path, PROGRAMS):
            stack.enter_context(paused_in_programs())
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, Any, Any]:
    """Measure what imports run in one process of a run only: it is the same in all."""
    worker = getattr(session.config, "workerinput", {}).get("workerid", "gw0")
    with ExitStack() as stack:
        if worker != "gw0":
            stack.enter_context(paused())
        return (yield)


@contextmanager
def paused() -> Iterator[None]:
    """Pause all measurements of this process.

    Coverage measures each process that a test starts, and those of pytest-xdist are started as well:
    they have several measurements, of which pytest-cov knows only its own.
    """
    stopped = []
    if "coverage" in sys.modules:
        current = sys.modules["coverage"].Coverage.current
        while (measurement := current()) is not None:
            measurement.stop()
            stopped.append(measurement)
    try:
        yield
    finally:
        for measurement in reversed(stopped):
            measurement.start()


@contextmanager
def paused_in_programs() -> Iterator[None]:
    """Measure no program that is started during the block."""
    setting = os.environ.pop(IN_PROGRAMS, None)
    try:
        yield
    finally:
        if setting is not None:
            os.environ[IN_PROGRAMS] = setting


def is_below(path: Path, parts: tuple[str, ...]) -> bool:
    """Return whether a file is one of some files of tests/, or in one of the folders."""
    return any(path.is_relative_to(TESTS / part) for part in parts)
