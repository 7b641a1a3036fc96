"""The histogram keeps percentiles within its promise."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtdemo.timing.histogram import RESOLUTION, Histogram


def test_nothing_recorded_has_no_percentile() -> None:
    """An empty histogram makes no figure up."""
    assert Histogram().percentile(50) is None


def test_below_zero_counts_as_zero() -> None:
    """A tick that came within the clock's grain was not late."""
    histogram = Histogram()
    histogram.record(-0.0004)
    assert histogram.percentile(50) == 0.0


@given(
    st.lists(st.floats(min_value=1e-5, max_value=1e5), min_size=1), st.sampled_from([50, 95, 99, 100])
)
def test_percentile_is_within_its_bucket(durations: list[float], percent: int) -> None:
    """The figure is within 1.6 % (and a microsecond) of the true one."""
    histogram = Histogram()
    for duration in durations:
        histogram.record(duration)
    true = sorted(durations)[max(1, round(len(durations) * percent / 100)) - 1]
    figure = histogram.percentile(percent)
    assert figure is not None
    assert abs(figure - true) <= true * RESOLUTION + 1e-6
    assert histogram.maximum == max(durations)


def test_days_fall_in_the_last_bucket() -> None:
    """Whatever is recorded is counted."""
    histogram = Histogram()
    histogram.record(1e12)
    assert histogram.count == 1
    assert histogram.percentile(99) is not None
