"""The server of a release is waited for, but not for ever."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.release.__main__ import address

Run = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def run() -> Iterator[Run]:
    """Start Python with a program; it dies with the test."""
    started = []

    def one(code: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-S", "-c", code]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.communicate()


def test_address_is_read_from_the_first_line(run: Run) -> None:
    """As the server prints it."""
    assert address(run("print('rtdemo: page  http://localhost:1/')"), 30.0) == "http://localhost:1/"


def test_server_that_prints_nothing_ends_with_the_program(run: Run) -> None:
    """Its wait has a limit, and nothing is left running."""
    process = run("import time; time.sleep(60)")
    with pytest.raises(SystemExit, match=r"printed no address within 0\.3 s, but ''"):
        address(process, 0.3)
    assert process.wait() == -signal.SIGKILL


def test_server_that_prints_something_else_ends_with_the_program(run: Run) -> None:
    """The error shows what it printed."""
    with pytest.raises(SystemExit, match="but 'rtdemo: error"):
        address(run("print('rtdemo: error')"), 30.0)
