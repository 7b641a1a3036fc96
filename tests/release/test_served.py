"""The server of a release is waited for, but not for ever."""

from __future__ import annotations

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


@pytest.mark.parametrize("code", ["import time; time.sleep(60)", "print('rtdemo: error')"])
def test_server_without_an_address_ends_the_program(run: Run, code: str) -> None:
    """One that prints nothing, and one that prints something else; neither is left running."""
    process = run(code)
    with pytest.raises(SystemExit, match="printed no address"):
        address(process, 0.3)
    process.wait()
