"""Check a run against limits on how much worse it may be than an earlier one (`--fail-if`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rtdemo.lab.bench.comparison import MIN_ROUNDS, Comparison, Difference
from rtdemo.lab.bench.metrics import METRICS
from rtdemo.lab.bench.result import Finding, Run
from rtdemo.lab.bench.verdict import why_not_comparable
from rtdemo.lab.bench.wording import change_text
from rtdemo.protocol.client import LABELS

NOISY_LIMIT_FACTOR = 3
"""A change beyond this multiple of its limit counts even if other processes were busy."""
_MAY_CAUSE = "this may cause the difference"
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
            found = Comparison(first, second, is_one_run=False).difference(limit.metric)
            why = why_not_comparable(first, second) if METRICS[limit.metric].needs_quiet else ""
            factor = NOISY_LIMIT_FACTOR if why else 1
            label = LABELS[transport]
            if found is not None and found.is_beyond_chance and _is_exceeded(limit, found, factor):
                metric = METRICS[limit.metric].label
                exceeded.append(f"{label}: {metric} went {change_text(found)}: over {limit}")
            elif found is None or why:
                why = why or f"it needs this figure from {MIN_ROUNDS} rounds of each run"
                undecided.append(f"{label}: {limit} could not be checked: {why}")
    return exceeded, undecided


def _is_exceeded(limit: RegressionLimit, found: Difference, factor: float) -> bool:
    metric = METRICS[limit.metric]
    allowed = factor * (limit.percent if metric.scale == "points" else limit.percent / 100)
    return found.low_share > allowed if metric.more_is_worse else -found.high_share > allowed


def setting_differences(old: Run, new: Run) -> list[Finding]:
    """Return each condition that differs between two runs."""
    names = {"connections": "-n", "speed": "--speed", "producers": "--producers"}
    found = [
        Finding("other-settings", f"the old run had {flag} {before}, this one {now}; {_MAY_CAUSE}")
        for name, flag in names.items()
        if (before := getattr(old.settings, name)) != (now := getattr(new.settings, name))
    ]
    if (
        old.environment.system != new.environment.system
        or old.environment.cores != new.environment.cores
    ):
        found.append(Finding("other-machine", f"the old run was on another machine; {_MAY_CAUSE}"))
    return found
