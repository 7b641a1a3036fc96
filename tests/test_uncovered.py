"""Coverage pauses for what needs none, and only for that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.uncovered import IN_PROGRAMS, PROGRAMS, TESTS, UNCOVERED, is_below, paused_in_programs

MEASURED = """
import coverage
from tests.uncovered import paused
from rtdemo.protocol import address

def lines(measurement):
    return len(measurement.get_data().lines(address.__file__) or ())

settings = {"data_file": None, "config_file": False, "include": [address.__file__]}
outer, inner = coverage.Coverage(**settings), coverage.Coverage(**settings)
for measurement in (outer, inner):
    measurement.start()
with paused():
    assert coverage.Coverage.current() is None
    address.parse("http://paused")
print(lines(outer), lines(inner))
address.parse("http://measured")
for measurement in (inner, outer):
    measurement.stop()
print(lines(outer), lines(inner))
"""


def test_all_measurements_of_a_process_pause_and_go_on() -> None:
    """Afterwards the newer one measures, as before."""
    program = [sys.executable, "-c", MEASURED]
    done = subprocess.run(program, cwd=TESTS.parent, capture_output=True, text=True, check=True)
    paused_outer, paused_inner, outer, inner = map(int, done.stdout.split())
    assert (paused_outer, paused_inner, outer) == (0, 0, 0)
    assert inner > 0


def test_programs_are_measured_again_after_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether they are measured or not."""
    monkeypatch.setenv(IN_PROGRAMS, "settings")
    with paused_in_programs():
        assert IN_PROGRAMS not in os.environ
    assert os.environ[IN_PROGRAMS] == "settings"
    monkeypatch.delenv(IN_PROGRAMS)
    with paused_in_programs():
        assert IN_PROGRAMS not in os.environ
    assert IN_PROGRAMS not in os.environ


def test_each_folder_and_file_in_the_tables_exists() -> None:
    """A moved one would be measured again, or no more, without a word."""
    assert [part for part in (*UNCOVERED, *PROGRAMS) if not (TESTS / part).exists()] == []


def test_path_is_below_a_file_or_a_folder() -> None:
    assert is_below(TESTS / "web" / "test_sse.py", ("web",))
    assert is_below(TESTS / "web" / "test_sse.py", ("hub", "web/test_sse.py"))
    assert not is_below(TESTS / "webs" / "test_sse.py", ("web", "web/test_sse.py"))
    assert not is_below(Path("web/test_sse.py"), ("web",))
