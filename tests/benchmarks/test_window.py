"""Percentiles of latencies are values that were measured."""

from __future__ import annotations

from benchmarks.window import Latency, latency, percentile


def test_percentile_is_the_nearest_rank() -> None:
    """At least that share of the values is not greater, and the value is one of them."""
    ordered = [float(number) for number in range(1, 101)]
    assert [percentile(ordered, percent) for percent in (1, 50, 99, 99.5, 100)] == [1, 50, 99, 100, 100]
    assert percentile([7.0], 50) == 7


def test_latencies_come_in_any_order() -> None:
    """The greatest is not the last one."""
    assert latency([3.0, 9.0, 1.0]) == Latency(p50=3, p99=9, max=9, taken=3)


def test_no_latency_is_unknown() -> None:
    """Nothing measured is not zero."""
    assert latency([]) == Latency(None, None, None, 0)
