"""When a client asks for the past again after a loss, and what of it the program has."""

from __future__ import annotations

import math

from rtdemo.client.rewinds import Rewinds
from rtdemo.client.waits import WAITS


def longest() -> float:
    """Replace chance: each wait is the longest one."""
    return 1.0


def test_waits_double_up_to_a_minute_and_are_short_again_after_a_healthy_one() -> None:
    """A second loss before the request changes nothing. The page's waits are the same."""
    rewinds, now = Rewinds(WAITS, True, longest), 1000.0
    for wait in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0):
        assert rewinds.lost("a1-1", now) == wait
        assert rewinds.lost("a1-2", now + 0.5) == wait - 0.5
        assert not rewinds.begin("a1-2", now + wait - 0.1)
        now += wait
        assert rewinds.begin("a1-2", now)
        assert rewinds.due_at == math.inf
    assert rewinds.lost("a1-3", now + 60.1) == 1.0


def test_half_of_each_wait_is_random() -> None:
    """All clients lose a log at the same moment."""
    assert Rewinds(WAITS, True, lambda: 0.0).lost("a1-1", 0.0) == 0.5


def test_no_past_is_asked_for_where_none_was_wanted() -> None:
    rewinds = Rewinds(WAITS, False, longest)
    assert rewinds.lost("a1-1", 0.0) is None
    assert not rewinds.begin("a1-2", 1000.0)


def test_program_has_what_arrived_since_the_newest_loss() -> None:
    """Of the same log alone. A position that cannot be read is not among them."""
    rewinds = Rewinds(WAITS, True, longest)
    rewinds.lost("a1-2", 0.0)
    rewinds.lost("a1-5", 0.5)
    assert not rewinds.has("a1-6")
    assert rewinds.begin("a1-7", 1.0)
    had = {"a1-5": False, "a1-6": True, "a1-7": True, "a1-8": False, "b2-6": False, "x": False}
    assert {position: rewinds.has(position) for position in had} == had
    rewinds.lost(None, 2.0)
    assert rewinds.begin("a1-9", 10.0)
    assert not rewinds.has("a1-9")
