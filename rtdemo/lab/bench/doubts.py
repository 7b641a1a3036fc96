"""Say what makes a run doubtful: a busy client, a busy machine, connections that ended."""

from __future__ import annotations

from collections import Counter

from rtdemo.client import LABELS
from rtdemo.lab.bench.latencies import merged
from rtdemo.lab.bench.metrics import NOISE
from rtdemo.lab.bench.result import Round, Run

BUSY = 0.85
"""Share of a core from which on a process that measures is late itself."""
NO_RTDEMO = "no rtdemo"
LAG = 0.001
"""Seconds; less than that is not the client's fault."""


def note(run: Run) -> None:
    """Add the warnings that a run deserves, one line each."""
    for transport in run.transports:
        rounds = run.of(transport)
        found = Counter(words for one in rounds for words in _doubts(one))
        run.warnings += [
            f"{LABELS[transport]}: {words} (in {times} of {len(rounds)} rounds)"
            for words, times in found.items()
        ]
    names = sorted({name for one in run.rounds for name in one.figures.irregular})
    if names:
        shown = ", ".join(repr(name[:30]) for name in names[:5])
        run.notes.append(f"no due instants, since they come at no regular period: {shown}")
    if run.environment.server == NO_RTDEMO and any(one.figures.periods for one in run.rounds):
        periods = {name: ms for one in run.rounds for name, ms in sorted(one.figures.periods.items())}
        shown = ", ".join(f"{name[:30]!r} {ms:.4g} ms" for name, ms in list(periods.items())[:5])
        run.notes.append(f"periods estimated from sentAt: {shown}")
    if any(one.clock_is_assumed and one.clock_error is None for one in run.rounds):
        run.notes.append(
            "one-way latency is not told: messages came before they were sent by this machine's clock,"
            " so that the server has another, and it has no /api/time"
        )
    if any(one.figures.whole for one in run.rounds):
        run.notes.append("sentAt has whole milliseconds: latencies are known to ± 0.5 ms at best")


def _doubts(one: Round) -> list[str]:
    found = []
    if any(cost.share > BUSY for cost in one.costs):
        found.append(f"the client was the bottleneck, it used over {BUSY:.0%} of a core")
    elif _is_late(one):
        found.append("the client was the bottleneck, its loop was late by a quarter of the p99")
    if one.others is not None and one.others > NOISE:
        found.append(f"other processes used over {NOISE:.0%} of a core meanwhile")
    if one.figures.mute:
        found.append(f"{one.figures.mute} of {one.connections} connections received nothing")
    for why, times in one.ended.items():
        found.append(f"{times} connections ended on the way: {why[:100]}")
    if one.unread:
        found.append("some messages were no JSON objects with `sentAt`, and are not measured")
    if one.left_out:
        found.append(f"{one.left_out} messages over the bound of a process are not measured")
    return found


def _is_late(one: Round) -> bool:
    lag = merged(cost.lag for cost in one.costs).percentile(99)
    p99 = merged(block.sent for block in one.figures.blocks).percentile(99)
    return lag is not None and p99 is not None and lag > LAG and lag > p99 / 4
