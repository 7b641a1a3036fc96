"""Run tests that measure real time while no other test of the run does anything.

Tests run in several processes. A test with the mark `alone` waits until those without it have ended,
and none of these begins before it has ended. Tests with the mark run beside each other, a folder in
each process: they mostly wait. Two locked files do that: a test without the mark holds `running`, and
one with the mark holds `gate`, which the others only pass.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

LOCKS = pytest.StashKey[Path]()
"""Folder of the locked files; absent where one process runs all tests."""
TURN = pytest.StashKey[ExitStack]()
"""Locks that this process holds."""
IS_HELD = pytest.StashKey[bool]()
"""Whether it keeps them for its next test, which has the mark, too."""


def pytest_configure(config: pytest.Config) -> None:
    """Make or find the folder of this run."""
    if hasattr(config, "workerinput"):
        config.stash[LOCKS] = Path(config.workerinput["locks"])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give a process that is about to start the folder that all share."""
    config = node.config
    if LOCKS not in config.stash:
        folder = tempfile.TemporaryDirectory(prefix="rtdemo-tests-")
        config.add_cleanup(folder.cleanup)
        config.stash[LOCKS] = Path(folder.name)
    node.workerinput["locks"] = str(config.stash[LOCKS])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each process begin with the tests of a folder that have the mark.

    pytest-xdist sends each process a part of the tests, all of one size.
    """
    parts = config.workerinput["workercount"] if hasattr(config, "workerinput") else 1
    folders: dict[Path, list[pytest.Item]] = {}
    for item in filter(is_alone, items):
        folders.setdefault(item.path.parent, []).append(item)
    first: list[list[pytest.Item]] = [[] for _ in range(parts)]
    for number, marked in enumerate(folders.values()):
        first[number % parts] += marked
    others = iter([item for item in items if not is_alone(item)])
    ordered: list[pytest.Item] = []
    for number, marked in enumerate(first):
        size = (len(items) - len(ordered)) // (parts - number)
        ordered += [*marked, *islice(others, max(0, size - len(marked)))]
    items[:] = [*ordered, *others]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, Any, Any]:
    """Wait for the test's turn, outside of its time limit; tests with the mark share one turn."""
    folder = item.config.stash.get(LOCKS, None)
    if folder is None:
        return (yield)
    held = item.config.stash.setdefault(TURN, ExitStack())
    if not (is_alone(item) and item.config.stash.get(IS_HELD, False)):
        held.enter_context(turn(folder, is_alone(item)))
    item.config.stash[IS_HELD] = is_alone(item) and nextitem is not None and is_alone(nextitem)
    try:
        return (yield)
    finally:
        if not item.config.stash[IS_HELD]:
            held.close()


def is_alone(item: pytest.Item) -> bool:
    """Return whether a test has the mark."""
    return item.get_closest_marker("alone") is not None


@contextmanager
def turn(folder: Path, alone: bool) -> Iterator[None]:
    """Wait until a test may run, and hold others back during the block if it runs alone."""
    with (folder / "gate").open("w") as gate, (folder / "running").open("w") as running:
        if alone:
            fcntl.flock(gate, fcntl.LOCK_SH)
            fcntl.flock(running, fcntl.LOCK_EX)
            fcntl.flock(running, fcntl.LOCK_UN)
        else:
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(running, fcntl.LOCK_SH)
            fcntl.flock(gate, fcntl.LOCK_UN)
        yield
