"""Say in one sentence what a comparison found, and hold a run against what was allowed."""

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
"""What is compared in words, the first that is known: one question, or chance has two tries."""
NOISY_LIMIT_FACTOR = 3
"""Times a limit beyond which a change is no other program's doing."""
_LIMIT = re.compile(r"(?P<metric>[a-z0-9.]+)(?P<sign>[+-])(?P<number>\d+(?:\.\d+)?)%")


@dataclass(frozen=True)
class RegressionLimit:
    """Hold by how much a figure may get worse.

    Arguments:
        metric: its name in METRICS.
        percent: of the old figure; of `rate` and `loss`, percentage points.
    """

    metric: str
    percent: float

    def __str__(self) -> str:
        return f"{self.metric}{'+' if METRICS[self.metric].more_is_worse else '-'}{self.percent:g}%"


def parse_limit(text: str) -> RegressionLimit:
    """Read a limit such as `p99+20%`.

    Raises:
        ValueError: what would be one.
    """
    found = _LIMIT.fullmatch(text.strip())
    metric = METRICS.get(found["metric"]) if found else None
    if found is None or metric is None or (found["sign"] == "+") is not metric.more_is_worse:
        names = ", ".join(name for name, one in METRICS.items() if one.more_is_worse)
        raise ValueError(f"{text!r} is no limit; give rate-N%, or NAME+N% with one of {names}")
    return RegressionLimit(found["metric"], float(found["number"]))


def verdicts(run: Run, old: Run | None) -> list[str]:
    """Return a sentence on each comparison, that with an earlier run first."""
    both = [name for name in run.transports if old is not None and old.of(name)]
    found = [compare_runs(old, run, transport) for transport in both if old is not None]
    return [*found, *filter(None, [compare_transports(run)])]


def accuracy(run: Run) -> list[str]:
    """Return how far latencies may be off."""
    known = [one.clock_error for one in run.rounds if one.clock_error is not None]
    if not known:
        return []
    if any(one.clock_is_assumed for one in run.rounds):
        return ["Latencies are told assuming that the server's clock is this machine's."]
    return [f"Latencies are right to ± {max(known):.2g} ms and {RESOLUTION:.1%}.".replace("%", " %")]


def compare_transports(run: Run) -> str:
    """Return the verdict on the two transports of a run; empty where there is one alone."""
    if len(run.transports) < 2:
        return ""
    if failed := [line for line in run.parity if line.state == "failed"]:
        return f"Not comparable: {'; '.join(f'{one.name}: {one.words}' for one in failed)}."
    first, second = run.transports
    return sentence(LABELS[first], run.of(first), LABELS[second], run.of(second))


def compare_runs(old: Run, new: Run, transport: Transport) -> str:
    """Return the verdict on a transport of two runs."""
    label = LABELS[transport]
    first, second = old.of(transport), new.of(transport)
    if why := why_not_comparable(first, second):
        return f"No difference can be told between {label} before and {label} now: {why}."
    return sentence(f"{label} before", first, f"{label} now", second)


def why_not_comparable(old: Sequence[Round], new: Sequence[Round]) -> str:
    """Return why runs made at two times do not compare: in one run turns make up for that."""
    before, now = other_cores(old), other_cores(new)
    if max(before, now) <= MAX_OTHER_CORES:
        return ""
    return f"other processes used {before:.2f} cores then and {now:.2f} now"


def sentence(first: str, one: Sequence[Round], second: str, other: Sequence[Round]) -> str:
    """Return whether two sides differ in latency."""
    if min(len(one), len(other)) < MIN_ROUNDS:
        return f"No difference can be told between {first} and {second}: that takes two rounds of each."
    told = next((d for name in HEADLINE_METRICS if (d := compare(name, one, other)) is not None), None)
    if told is None:
        return (
            f"No difference can be told between {first} and {second}: latency is not known well enough."
        )
    if not told.is_clear:
        figures = f"{told.metric} {format_change(told)}, and {told.why_unclear}"
        return f"No difference can be told between {first} and {second}: {figures}."
    since = BASIS_LABELS[basis([*one, *other])]
    way = "higher" if told.change > 0 else "lower"
    change, low, high = (f"{100 * abs(share):.0f}" for share in (told.change, told.low, told.high))
    bounds = f"{low} to {high}" if told.change > 0 else f"{high} to {low}"
    return (
        f"{second}'s {told.metric} is {change} % {way} than {first}'s (95 % interval {bounds} %):"
        f" {told.second:.3g} ms against {told.first:.3g} ms {since}."
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
    """Return a sentence for each limit that is exceeded beyond chance, and for each not to be held."""
    over, undecided = [], []
    for transport in new.transports:
        for one in limits:
            first, second = old.of(transport), new.of(transport)
            found = compare(one.metric, first, second)
            why = why_not_comparable(first, second) if METRICS[one.metric].needs_quiet else ""
            label = LABELS[transport]
            if (
                found is not None
                and found.is_clear
                and _is_over(one, found, NOISY_LIMIT_FACTOR if why else 1)
            ):
                over.append(f"{label}: {METRICS[one.metric].label} {format_change(found)} is over {one}")
            elif found is None or why:
                why = why or "both runs must tell the figure, in two rounds"
                undecided.append(f"{label}: {one} could not be held: {why}")
    return over, undecided


def _is_over(one: RegressionLimit, found: Difference, times: float) -> bool:
    metric = METRICS[one.metric]
    allowed = times * (one.percent if metric.in_points else one.percent / 100)
    return found.low > allowed if metric.more_is_worse else -found.high > allowed


def setting_differences(old: Run, new: Run) -> list[str]:
    """Return in what two runs were not made alike."""
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
        found.append("the old run was made on another machine")
    return [f"{words}: the difference may come from that" for words in found]
