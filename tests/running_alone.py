"""Run a test that measures real time while no other test of the run does anything.

Tests run in several processes. A test with the mark `alone` waits until the others have ended, and no
other test begins before it has ended. Two locked files do that: each test holds `running`, and one with
the mark holds it exclusively; `gate` keeps new tests back while one with the mark waits.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
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
    """Declare the mark, and make or find the folder of this run."""
    config.addinivalue_line("markers", "alone: measures real time; runs while no other test does")
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests with the mark first, so that one process runs them all."""
    items.sort(key=lambda item: not is_alone(item))


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
    mode = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    with (folder / "gate").open("w") as gate, (folder / "running").open("w") as running:
        fcntl.flock(gate, mode)
        fcntl.flock(running, mode)
        if not alone:
            fcntl.flock(gate, fcntl.LOCK_UN)
        yield
