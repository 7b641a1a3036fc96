"""A test with the mark `alone` keeps the other processes of its run waiting, and waits for them."""

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


@pytest.mark.parametrize(
    ("alone", "others_may_start", "others_may_be_alone"), [(False, True, False), (True, False, False)]
)
def test_turn(tmp_path: Path, alone: bool, others_may_start: bool, others_may_be_alone: bool) -> None:
    """Tests run beside each other, unless one of them runs alone; afterwards everything may run."""
    gate, running = tmp_path / "gate", tmp_path / "running"
    with turn(tmp_path, alone):
        assert (is_free(gate, fcntl.LOCK_SH) and is_free(running, fcntl.LOCK_SH)) is others_may_start
        assert is_free(running, fcntl.LOCK_EX) is others_may_be_alone
    assert is_free(gate, fcntl.LOCK_EX)
    assert is_free(running, fcntl.LOCK_EX)
