"""Write times, ranges and differences for readers: never narrower than was measured."""

from __future__ import annotations

from math import ceil, floor

from rtdemo.lab.bench.comparison import Difference
from rtdemo.lab.bench.metrics import METRICS, MIN_SAMPLES

MINUS = "\N{MINUS SIGN}"
NO_FIGURE = "\N{EN DASH}"
"""Shown for a figure that is unknown."""
UNKNOWN = "unknown"
"""First word of why a figure is unknown."""
_WHOLE_FROM = 99.95
"""Milliseconds and percentages from here on have no decimals."""
_LEAST = 0.0005
"""Smaller figures are shown as 0."""
_SHORTEST_MS, _SHORTEST = 0.001, "< 0.001"
"""Shorter durations are shown as less than this: the smallest figure with three decimals."""
_ROUNDING = 1e-6
"""Less than this beyond a tenth does not count as the next tenth."""


def number(value: float | None) -> str:
    """Return a figure as text with about four digits."""
    if value is None:
        return NO_FIGURE
    if abs(value) < _LEAST:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return (
        f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"
    )


def milliseconds(value: float | None, error: float = 0.0) -> str:
    """Return a duration as text; a step that took no time, or under a microsecond, as `< 0.001`.

    Arguments:
        value: milliseconds; None if unknown.
        error: of the clocks, in milliseconds; a latency of no time is shown as below it.
    """
    if value is None or value >= _SHORTEST_MS:
        return number(value)
    return f"< {error:.2g}" if error > _SHORTEST_MS else _SHORTEST


def rounded_down(value: float) -> str:
    """Return a quantity of 0 or more, rounded down to a tenth, or to a whole number from 100 on."""
    return _tenths(floor(value * 10 + _ROUNDING) / 10, floor(value))


def rounded_up(value: float) -> str:
    """Return a quantity of 0 or more, rounded up to a tenth, or to a whole number from 100 on."""
    return _tenths(ceil(value * 10 - _ROUNDING) / 10, ceil(value - _ROUNDING))


def _tenths(tenths: float, whole: int) -> str:
    return f"{tenths:.1f}" if tenths < _WHOLE_FROM else f"{whole:,}"


def span(low: float, high: float) -> str:
    """Return a range, such as `2.1 to 2.9`; one number if both ends look alike."""
    least, most = rounded_down(low), rounded_up(high)
    return least if least == most else f"{least} to {most}"


def signed_span(low: float, high: float) -> str:
    """Return a range of which each end has its sign, such as `-3.0 to +5.2`."""
    return f"{_signed(low, is_low=True)} to {_signed(high, is_low=False)}"


def _signed(value: float, is_low: bool) -> str:
    # Away from the middle of the range: a low end goes down, a high end up.
    is_outward = (value < 0) == is_low
    text = (rounded_up if is_outward else rounded_down)(abs(value))
    return f"{MINUS if value < 0 else '+'}{text}"


def faster(found: Difference, first: str, second: str) -> str:
    """Return which side is faster and by how much, of a difference in milliseconds that names one."""
    if found.outcome == "less":
        return f"{second} is {span(-found.high, -found.low)} ms faster"
    return f"{first} is {span(found.low, found.high)} ms faster"


def difference_text(found: Difference, first: str, second: str) -> str:
    """Return a difference for the table.

    Arguments:
        found: the difference.
        first, second: names of the sides.
    """
    metric = METRICS[found.metric]
    if found.outcome == "undecided":
        if metric.scale == "ms":
            return f"not decided: {signed_span(found.low, found.high)} ms"
        return "not decided"
    if metric.scale == "ms":
        if found.outcome == "equal":
            return f"equal (under {rounded_up(found.bound)} ms)"
        low, high = (found.low, found.high) if found.outcome == "more" else (-found.high, -found.low)
        side = first if found.outcome == "more" else second
        return f"{side} {span(low, high)} ms {'less' if found.metric == 'jitter' else 'faster'}"
    unit = " points" if metric.scale == "points" else " %"
    if found.outcome == "equal":
        same = found.bound <= found.least
        return "the same" if same else f"equal (under {_percent(found, found.bound)}{unit})"
    return _more_or_less(found, second, unit)


def _more_or_less(found: Difference, second: str, unit: str) -> str:
    """Return by how much the second side's share is larger or smaller; a factor if it is uncertain."""
    way = "more" if found.outcome == "more" else "less"
    if METRICS[found.metric].scale == "share" and not found.is_readable_share:
        return f"{second} {way}, uncertain by how much"
    low, high = sorted((abs(found.low), abs(found.high)))
    times = 1 if unit == " points" else 100
    return f"{second} {span(low * times, high * times)}{unit} {way}"


def _percent(found: Difference, share: float) -> str:
    return rounded_up(share if METRICS[found.metric].scale == "points" else 100 * share)


def change_text(found: Difference) -> str:
    """Return how a figure changed between two runs, such as `from 2.00 to 3.06 ms (40 to 61 % more)`.

    A percentage is left out if its interval is wide.
    """
    metric = METRICS[found.metric]
    text = f"from {number(found.first)} to {number(found.second)} {metric.unit}"
    low, high = found.low_share, found.high_share
    if metric.scale != "points" and not found.is_readable_share:
        return text
    way = "more" if low > 0 else "less"
    low, high = sorted((abs(low), abs(high)))
    if metric.scale == "points":
        return f"{text} ({span(low, high)} points {way})"
    return f"{text} ({span(100 * low, 100 * high)} % {way})"


def why_unknown(percent: float, samples: str) -> str:
    """Return why a percentile is unknown.

    Arguments:
        percent: the percentile.
        samples: what it is computed from, such as `messages`.
    """
    return f"{UNKNOWN}: it needs {MIN_SAMPLES.get(percent, 1):,} {samples}."
