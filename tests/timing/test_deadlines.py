"""Deadlines: one timer, and none while nothing has started."""

from __future__ import annotations

import pytest

from rtdemo.testing import VirtualClock
from rtdemo.timing.deadlines import Deadlines


@pytest.fixture
def late() -> list[str]:
    """What has expired, in order."""
    return []


def test_what_does_not_stop_expires_at_its_time(clock: VirtualClock, late: list[str]) -> None:
    """Each has its own time; a second start changes nothing."""
    deadlines = Deadlines(clock, 10, late.append)
    deadlines.start("a")
    clock.advance(4)
    deadlines.start("b")
    deadlines.start("a")
    clock.advance(5.9)
    assert late == []
    clock.advance(0.1)
    assert late == ["a"]
    clock.advance(4)
    assert late == ["a", "b"]
    assert clock.next_due is None


def test_what_stops_never_expires(clock: VirtualClock, late: list[str]) -> None:
    """What starts again has all of its time again."""
    deadlines = Deadlines(clock, 10, late.append)
    for item in ("a", "b"):
        deadlines.start(item)
    clock.advance(9)
    deadlines.stop("a")
    deadlines.stop("never started")
    deadlines.start("a")
    clock.advance(9.9)
    assert late == ["b"]
    deadlines.stop("a")
    clock.advance(100)
    assert (late, len(deadlines)) == (["b"], 0)


def test_one_that_fails_costs_no_other_its_deadline(clock: VirtualClock, late: list[str]) -> None:
    """The rest is served later, and what the callback starts has its time."""

    def expired(item: str) -> None:
        late.append(item)
        if item == "bad":
            deadlines.start("again")
            raise ValueError("bad")

    deadlines = Deadlines(clock, 10, expired)
    for item in ("bad", "good"):
        deadlines.start(item)
    with pytest.raises(ValueError, match="bad"):
        clock.advance(10)
    clock.advance(10)
    assert late == ["bad", "good", "again"]


def test_close_stops_everything(clock: VirtualClock, late: list[str]) -> None:
    """No timer remains."""
    deadlines = Deadlines(clock, 10, late.append)
    deadlines.start("a")
    deadlines.close()
    assert clock.next_due is None
    clock.advance(100)
    assert late == []
