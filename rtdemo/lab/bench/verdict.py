"""Put the result of a comparison into a sentence, and check a run against limits (`--fail-if`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rtdemo.lab.bench.comparison import MIN_ROUNDS, Difference, compare
from rtdemo.lab.bench.metrics import BASIS_LABELS, MAX_OTHER_CORES, METRICS, basis, other_cores
from rtdemo.lab.bench.result import Round, Run
from rtdemo.protocol.client import LABELS, Transport
from rtdemo.timing.histogram import RESOLUTION

MINUS = "\N{MINUS SIGN}"
HEADLINE_METRICS = ("p99", "p50")
"""The verdict compares only the first of these that is known: two comparisons would double the chance of
a false difference."""
NOISY_LIMIT_FACTOR = 3
"""A change beyond this multiple of its limit counts even if other processes were busy."""
_LIMIT = re.compile(r"(?P<metric>[a-z0-9.]+)(?P<sign>[+-])(?P<number>\d+(?:\.\d+)?)%")


@dataclass(frozen=True)
class RegressionLimit:
    """How much worse a figure may become.

    Arguments:
        metric: its name in METRICS.
        percent: of the old figure; for `rate` and `loss`, percentage points.
    """

    metric: str
    percent: float

    def __str__(self) -> str:
        return f"{self.metric}{'+' if METRICS[self.metric].more_is_worse else '-'}{self.percent:g}%"


def parse_limit(text: str) -> RegressionLimit:
    """Parse a limit such as `p99+20%`.

    Raises:
        ValueError: if it is not a limit; the text names valid ones.
    """
    found = _LIMIT.fullmatch(text.strip())
    metric = METRICS.get(found["metric"]) if found else None
    if found is None or metric is None or (found["sign"] == "+") is not metric.more_is_worse:
        names = ", ".join(name for name, one in METRICS.items() if one.more_is_worse)
        raise ValueError(f"{text!r} is not a limit; give rate-N%, or NAME+N% with one of {names}")
    return RegressionLimit(found["metric"], float(found["number"]))


def verdicts(run: Run, old: Run | None) -> list[str]:
    """Return a sentence for each comparison: first with an earlier run, then of the transports.

    Arguments:
        run: with at least one round.
        old: an earlier run, if there is one.
    """
    both = [name for name in run.transports if old is not None and old.of(name)]
    found = [compare_runs(old, run, transport) for transport in both if old is not None]
    return [*found, *filter(None, [compare_transports(run)])]


def accuracy(run: Run) -> list[str]:
    """Return a sentence with the error of the latencies; none if latencies are unknown."""
    known = [one.clock_error for one in run.rounds if one.clock_error is not None]
    if not known:
        return []
    if any(one.clock_is_assumed for one in run.rounds):
        return ["Latencies assume that the server's clock is this machine's clock."]
    histogram = f"{RESOLUTION:.1%}".replace("%", " %")
    return [f"Latencies are accurate to ± {max(known):.2g} ms (clocks) and ± {histogram} (histogram)."]


def compare_transports(run: Run) -> str:
    """Return the verdict on the two transports of a run; empty if it has only one."""
    if len(run.transports) < 2:
        return ""
    if failed := [line for line in run.parity if line.state == "failed"]:
        return f"Not comparable: {'; '.join(f'{one.name}: {one.words}' for one in failed)}."
    first, second = run.transports
    return sentence(LABELS[first], run.of(first), LABELS[second], run.of(second))


def compare_runs(old: Run, new: Run, transport: Transport) -> str:
    """Return the verdict on a transport in two runs."""
    label = LABELS[transport]
    first, second = old.of(transport), new.of(transport)
    if why := why_not_comparable(first, second):
        return f"No comparison between {label} before and {label} now: {why}."
    return sentence(f"{label} before", first, f"{label} now", second)


def why_not_comparable(old: Sequence[Round], new: Sequence[Round]) -> str:
    """Return why rounds of two runs do not compare; empty if they do.

    Within one run the transports take turns, so other processes affect both alike.
    """
    before, now = other_cores(old), other_cores(new)
    if max(before, now) <= MAX_OTHER_CORES:
        return ""
    return f"other processes used {before:.2f} cores before and {now:.2f} now"


def sentence(first: str, one: Sequence[Round], second: str, other: Sequence[Round]) -> str:
    """Return whether two sides differ in latency, as a sentence.

    Arguments:
        first, second: names of the sides.
        one, other: rounds of each side.
    """
    sides = f"between {first} and {second}"
    if min(len(one), len(other)) < MIN_ROUNDS:
        return f"No comparison {sides}: it needs two rounds of each."
    found = next((d for name in HEADLINE_METRICS if (d := compare(name, one, other)) is not None), None)
    if found is None:
        return f"No comparison {sides}: too few messages, or latency is unknown."
    if not found.is_clear:
        change = f"{found.metric} {format_change(found)}"
        return f"No clear difference {sides}: {change}, which {found.why_unclear}."
    since = BASIS_LABELS[basis([*one, *other])]
    way = "higher" if found.change > 0 else "lower"
    change, low, high = (f"{100 * abs(share):.0f}" for share in (found.change, found.low, found.high))
    bounds = f"{low} to {high}" if found.change > 0 else f"{high} to {low}"
    return (
        f"{second}'s {found.metric} is {change} % {way} than {first}'s (95 % interval {bounds} %):"
        f" {found.second:.3g} ms against {found.first:.3g} ms {since}."
    )


def format_change(difference: Difference) -> str:
    """Return a change with its interval, such as `+3 % (-2 to +9)`."""
    scale, unit = (1, " points") if METRICS[difference.metric].in_points else (100, " %")
    change, low, high = (
        scale * figure for figure in (difference.change, difference.low, difference.high)
    )
    places = 0 if max(map(abs, (change, low, high))) >= 10 else 1
    return f"{change:+.{places}f}{unit} ({low:+.{places}f} to {high:+.{places}f})".replace("-", MINUS)


def check_limits(limits: Sequence[RegressionLimit], old: Run, new: Run) -> tuple[list[str], list[str]]:
    """Check a run against limits.

    Arguments:
        limits: how much worse each figure may become.
        old: the earlier run.
        new: the run to check.

    Returns:
        A sentence for each limit that is exceeded beyond chance, and one for each that could not be
        checked.
    """
    exceeded, undecided = [], []
    for transport in new.transports:
        for limit in limits:
            first, second = old.of(transport), new.of(transport)
            found = compare(limit.metric, first, second)
            why = why_not_comparable(first, second) if METRICS[limit.metric].needs_quiet else ""
            factor = NOISY_LIMIT_FACTOR if why else 1
            label = LABELS[transport]
            if found is not None and found.is_clear and _is_exceeded(limit, found, factor):
                figure = f"{METRICS[limit.metric].label} {format_change(found)}"
                exceeded.append(f"{label}: {figure} exceeds {limit}")
            elif found is None or why:
                why = why or "it needs this figure from two rounds of each run"
                undecided.append(f"{label}: {limit} could not be checked: {why}")
    return exceeded, undecided


def _is_exceeded(limit: RegressionLimit, found: Difference, factor: float) -> bool:
    metric = METRICS[limit.metric]
    allowed = factor * (limit.percent if metric.in_points else limit.percent / 100)
    return found.low > allowed if metric.more_is_worse else -found.high > allowed


def setting_differences(old: Run, new: Run) -> list[str]:
    """Return a sentence for each condition that differs between two runs."""
    names = {"connections": "-n", "speed": "--speed", "producers": "--producers"}
    found = [
        f"the old run had {flag} {before}, this one {now}"
        for name, flag in names.items()
        if (before := getattr(old.settings, name)) != (now := getattr(new.settings, name))
    ]
    if (
        old.environment.system != new.environment.system
        or old.environment.cores != new.environment.cores
    ):
        found.append("the old run was on another machine")
    return [f"{words}; this may cause the difference" for words in found]
