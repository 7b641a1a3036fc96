"""A test with the mark `alone` keeps the tests without it waiting, and waits for them."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from tests.running_alone import turn


def is_free(file: Path, mode: int) -> bool:
    """Return whether another process could lock a file now."""
    with file.open("w") as opened:
        try:
            fcntl.flock(opened, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@pytest.mark.parametrize("alone", [False, True])
def test_turn(tmp_path: Path, alone: bool) -> None:
    """Tests with the mark run beside each other, the others too, and never one of each kind."""
    gate, running = tmp_path / "gate", tmp_path / "running"

    def may_begin(is_alone: bool) -> bool:
        modes = (fcntl.LOCK_SH, fcntl.LOCK_EX) if is_alone else (fcntl.LOCK_EX, fcntl.LOCK_SH)
        return is_free(gate, modes[0]) and is_free(running, modes[1])

    with turn(tmp_path, alone):
        assert may_begin(alone)
        assert not may_begin(not alone)
    assert may_begin(alone)
    assert may_begin(not alone)
