"""A token bucket limits a rate, and allows bursts; a table has one for each name, and a bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdemo.timing import token_bucket
from rtdemo.timing.token_bucket import TokenBucket, TokenBuckets


def test_burst_and_rate() -> None:
    """A full bucket gives its burst at once; then tokens come back at the rate."""
    bucket = TokenBucket(rate=20.0, burst=3.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait(100.0) == pytest.approx(0.05)
    assert bucket.take(100.05)
    assert not bucket.take(100.05)
    assert not bucket.is_full(100.05)
    assert bucket.is_full(100.2)


def test_several_tokens_at_once() -> None:
    """As many as the burst can be taken at once, and none is taken by a refusal."""
    bucket = TokenBucket(rate=1.0, burst=5.0)
    assert bucket.take(0.0, 4.0)
    assert not bucket.take(0.0, 2.0)
    assert bucket.take(0.0, 1.0)


def test_reservations_are_served_in_their_order() -> None:
    """Each waits until the tokens of those before it are back, and its own."""
    bucket = TokenBucket(rate=8.0, burst=2.0)
    assert [bucket.reserve(0.0, 2.0) for _ in range(3)] == [0.0, 0.25, 0.5]
    assert not bucket.take(0.5)
    assert bucket.take(0.625)


@given(st.lists(st.floats(0.0, 0.5), max_size=60), st.floats(0.5, 50.0), st.integers(1, 20))
def test_never_more_than_burst_and_rate(gaps: list[float], rate: float, burst: int) -> None:
    """Over any time, at most the burst and what came back is taken; a wait is never too short."""
    bucket, now = TokenBucket(rate, burst), 0.0
    for taken, gap in enumerate(gaps, 1):
        now += gap
        if not bucket.take(now):
            now += bucket.wait(now)
            assert bucket.take(now)
        assert taken <= burst + now * rate + 1e-6


def test_full_buckets_are_dropped() -> None:
    """A name that used nothing for a while takes no memory."""
    buckets = TokenBuckets(rate=1.0, burst=2.0)
    for number in range(100):
        buckets.of(f"a{number}", 0.0).take(0.0)
    assert len(buckets) == 100
    buckets.of("b", 2.0)
    assert len(buckets) == 1


def test_many_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is bounded. The name that was seen longest ago is dropped, no other."""
    monkeypatch.setattr(token_bucket, "MAX_BUCKETS", 10)
    buckets = TokenBuckets(rate=1.0, burst=1.0)
    for number in range(10):
        assert buckets.of(f"a{number}", 0.0).take(0.0)
    assert not buckets.of("a0", 0.0).take(0.0)
    assert buckets.of("new", 0.0).take(0.0)
    assert len(buckets) == 10
    assert not buckets.of("a0", 0.0).take(0.0), "it was seen lately"
    assert buckets.of("a1", 0.0).take(0.0), "it was seen longest ago, and is dropped"
