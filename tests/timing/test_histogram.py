"""Histograms: percentiles are as accurate as promised."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtdemo.timing.histogram import RESOLUTION, Histogram


def test_empty_histogram_has_no_percentile() -> None:
    """Without durations the percentile is None."""
    assert Histogram().percentile(50) is None


def test_negative_duration_counts_as_zero() -> None:
    """A tick that ran early, within the timer's resolution, was not late."""
    histogram = Histogram()
    histogram.record(-0.0004)
    assert histogram.percentile(50) == 0.0


@given(
    st.lists(st.floats(min_value=1e-5, max_value=1e5), min_size=1), st.sampled_from([50, 95, 99, 100])
)
def test_percentile_is_within_its_bucket(durations: list[float], percent: int) -> None:
    """A percentile differs from the exact one by at most 1.6 % and a microsecond."""
    histogram = Histogram()
    for duration in durations:
        histogram.record(duration)
    true = sorted(durations)[max(1, round(len(durations) * percent / 100)) - 1]
    figure = histogram.percentile(percent)
    assert figure is not None
    assert abs(figure - true) <= true * RESOLUTION + 1e-6
    assert histogram.maximum == max(durations)


def test_longest_durations_share_the_last_bucket() -> None:
    """A duration beyond the last bucket is counted in it."""
    histogram = Histogram()
    histogram.record(1e12)
    assert histogram.count == 1
    assert histogram.percentile(99) is not None
