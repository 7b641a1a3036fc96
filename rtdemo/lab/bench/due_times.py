"""Tell when messages were due, from when they were sent and how regularly.

A server that stalls sends late, and its `sentAt` is late with it: latency from `sentAt` shows nothing
(coordinated omission). So the instants at which a stream's messages were due are taken from its
period, and each that got no message counts with the wait until the next one, as HdrHistogram corrects
for an expected interval.

All instants and periods are milliseconds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import ceil, floor
from statistics import fmean as mean
from statistics import median
from typing import NamedTuple

PUNCTUAL_SHARE = 0.1
"""Share of a period by which messages may differ and count as equally punctual, and may come early."""
REGULAR_SHARE = 0.6
"""Share of gaps that must be of one length, or there is no period to speak of."""
MIN_GAPS = 3
MIN_PERIOD_MS = 1.0
"""Milliseconds; what comes faster has no instants that a clock of milliseconds could tell apart."""


def anchor(sent: Sequence[float], period: float) -> float:
    """Return an instant at which a message was due: the earliest of the largest punctual group.

    Not the earliest of all: after a stall a message may lie anywhere between two ticks. Nor one that
    stands a little before the group by such an accident, so a tenth of the group may be earlier.
    """
    base = sent[0]
    phases = sorted((at - base) % period for at in sent)
    around = phases + [phase + period for phase in phases]
    width = period * PUNCTUAL_SHARE
    counts = [bisect_right(around, phase + width) - place for place, phase in enumerate(phases)]
    most = counts.index(max(counts))
    return base + around[most + counts[most] // 10]


class AssignedTicks(NamedTuple):
    """Say which tick each message answers, and where the grid of ticks lies from that message on."""

    ticks: list[int]
    grids: list[float]


def assign_ticks(sent: Sequence[float], period: float, is_fixed: bool) -> AssignedTicks:
    """Return the schedule that a stream kept.

    From the last message backwards, so that a burst after a stall gets one tick each, the stalled ones,
    and a server that leaves ticks out (as rtdemo does) leaves them without a message.

    Arguments:
        is_fixed: whether deadlines are a period after deadlines, so that a late message puts off none
            after it. Elsewhere, as with Node's setInterval, they are a period after the last message:
            then one that is early for all later ones shows that the grid moved after it.
    """
    start = anchor(sent, period) if is_fixed else sent[-1]
    ticks: list[int] = []
    grids: list[float] = []
    later = sent[-1]
    for at in reversed(sent):
        exact = (at - start) / period
        tick = floor(exact + PUNCTUAL_SHARE)
        # Less than two periods apart nothing lies in between.
        nearest = ticks[-1] - 1 if ticks and later - at < 2 * period else round(exact)
        if not is_fixed and exact < nearest and (not ticks or nearest < ticks[-1]):
            start += (exact - nearest) * period
            tick = nearest
        ticks.append(min(tick, ticks[-1] - 1) if ticks else tick)
        grids.append(start)
        later = at
    return AssignedTicks(ticks[::-1], grids[::-1])


def period(streams: Iterable[Sequence[float]]) -> float | None:
    """Estimate the period of streams of one kind; None where they are not regular.

    It is the gap that most have, or less where the regression of the instants on their ticks says so.
    """
    kept = [list(stream) for stream in streams if len(stream) > 1]
    gaps = [late - early for stream in kept for early, late in pairwise(stream)]
    if len(gaps) < MIN_GAPS or sum(gaps) <= 0:
        return None
    # The short gaps of a burst, which make up for a stall, say nothing of the period.
    apart = [gap for gap in gaps if gap > mean(gaps) * PUNCTUAL_SHARE]
    middle = median(apart)
    alike = sum(abs(gap - middle) <= middle * 0.2 for gap in apart)
    if alike < REGULAR_SHARE * len(apart) or middle < MIN_PERIOD_MS:
        return None
    typical = mean(gap for gap in apart if abs(gap - middle) <= max(MIN_PERIOD_MS, middle * 0.01))
    # A schedule that each late message puts off is longer in all than from tick to tick. One that is
    # taken a little too short does no harm: then the grid moves on with every message.
    return min(_slope(kept, middle), typical)


def _slope(streams: Sequence[Sequence[float]], near: float) -> float:
    above = below = 0.0
    for stream in streams:
        at = [0.0]
        for early, late in pairwise(stream):
            at.append(at[-1] + round((late - early) / near))
        mean_at, mean_sent = sum(at) / len(at), sum(stream) / len(stream)
        above += sum((a - mean_at) * (s - mean_sent) for a, s in zip(at, stream, strict=True))
        below += sum((a - mean_at) ** 2 for a in at)
    return above / below if below and above > 0 else near


def waits(
    sent: Sequence[float],
    arrived: Sequence[float],
    period: float,
    is_declared: bool,
    window: tuple[float, float],
    end: float,
) -> list[tuple[float, float, bool]]:
    """Return the instants in a window at which messages were due, with the wait and whether it came.

    Arguments:
        sent, arrived: of a stream's messages in order, on one clock.
        period: of its schedule.
        is_told: whether the server told that; then its deadlines are fixed, and a message was due
            before the first that came, too. Elsewhere nothing is known of that time.
        window: from (inclusive) and to (exclusive), on that clock.
        end: instant up to which messages were taken; whatever did not come waits until then.
    """
    if not sent:
        return _silent(period, window, end) if is_declared else []
    ticks, grids = assign_ticks(sent, period, is_fixed=is_declared)
    found: list[tuple[float, float, bool]] = []
    # Behind the last message there may be more due.
    for place, start in enumerate([grids[0], *grids]):
        first, after = (ceil((at - start) / period) for at in window)
        known = first if is_declared else ticks[0]
        begin = max(first, ticks[place - 1] + 1 if place else known)
        came = arrived[place] if place < len(ticks) else end
        for tick in range(begin, min(after, ticks[place] + 1) if place < len(ticks) else after):
            due = start + tick * period
            found.append((due, came - due, place < len(ticks) and tick == ticks[place]))
    return found


def _silent(period: float, window: tuple[float, float], end: float) -> list[tuple[float, float, bool]]:
    """Return what was due of a stream that said nothing: as many as must lie in the window."""
    begin, after = window
    instants = (begin + period * tick for tick in range(floor((after - begin) / period)))
    return [(due, end - due, False) for due in instants]
