"""Find when messages were due, from when they were sent and from their period.

A server that stalls sends late, and its `sentAt` is late too, so latency from `sentAt` does not show the
stall (coordinated omission). This module derives the due times of a stream from its period. A due time
without a message counts with the wait until the next message, as HdrHistogram corrects for an expected
interval.

All instants and periods are milliseconds. A *tick* is the number of a due time; the *grid* is the
instant of tick 0.
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
"""Messages within this share of a period count as equally punctual; a message may be this early."""
REGULAR_SHARE = 0.6
"""Share of gaps that must have the same length for a stream to have a period."""
MIN_GAPS = 3
"""Gaps that an estimate of a period needs."""
MIN_PERIOD_MS = 1.0
"""Shorter periods have no due times that a clock of milliseconds can separate."""


class DueMessage(NamedTuple):
    """A message that was due.

    Attributes:
        due: instant.
        wait: time until it, or the next message, arrived.
        has_arrived: whether it arrived itself.
    """

    due: float
    wait: float
    has_arrived: bool


class AssignedTicks(NamedTuple):
    """The tick of each message of a stream, and the grid from that message on."""

    ticks: list[int]
    grids: list[float]


def due_messages(
    sent: Sequence[float],
    arrived: Sequence[float],
    period: float,
    is_declared: bool,
    window: tuple[float, float],
    end: float,
) -> list[DueMessage]:
    """Return the messages of a stream that were due in a window.

    Arguments:
        sent, arrived: of each message in order, on the same clock.
        period: of the stream.
        is_declared: whether the server lists this period. Then its deadlines are fixed, and messages
            were also due before the first one that arrived. For other servers that time is unknown.
        window: from (inclusive) and to (exclusive), on the same clock.
        end: instant until which messages were recorded; a missing message waits until then.
    """
    if not sent:
        return _nothing_arrived(period, window, end) if is_declared else []
    ticks, grids = assign_ticks(sent, period, is_fixed=is_declared)
    found: list[DueMessage] = []
    # One place more than there are messages: more may be due after the last one.
    for place, grid in enumerate([grids[0], *grids]):
        first, after = (ceil((at - grid) / period) for at in window)
        known = first if is_declared else ticks[0]
        begin = max(first, ticks[place - 1] + 1 if place else known)
        until = arrived[place] if place < len(ticks) else end
        for tick in range(begin, min(after, ticks[place] + 1) if place < len(ticks) else after):
            due = grid + tick * period
            has_arrived = place < len(ticks) and tick == ticks[place]
            found.append(DueMessage(due, until - due, has_arrived))
    return found


def _nothing_arrived(period: float, window: tuple[float, float], end: float) -> list[DueMessage]:
    """Return the due messages of an empty stream: the least number that a window can contain."""
    begin, after = window
    instants = (begin + period * tick for tick in range(floor((after - begin) / period)))
    return [DueMessage(due, end - due, False) for due in instants]


def assign_ticks(sent: Sequence[float], period: float, is_fixed: bool) -> AssignedTicks:
    """Return the tick of each message.

    It assigns from the last message backwards. Each message of a burst after a stall gets the tick for
    which it is late. If the server skips ticks, as rtdemo does, they stay without a message.

    Arguments:
        sent: instants in order, at least one.
        period: of the stream.
        is_fixed: True if each deadline is a period after the previous deadline, so that a late message
            delays no other. False if it is a period after the previous message, as with Node's
            setInterval: then a message that is early for all later ones shows that the grid moved
            after it.
    """
    grid = anchor(sent, period) if is_fixed else sent[-1]
    ticks: list[int] = []
    grids: list[float] = []
    later = sent[-1]
    for at in reversed(sent):
        exact = (at - grid) / period
        tick = floor(exact + PUNCTUAL_SHARE)
        # Between messages less than two periods apart there is no other tick.
        nearest = ticks[-1] - 1 if ticks and later - at < 2 * period else round(exact)
        if not is_fixed and exact < nearest and (not ticks or nearest < ticks[-1]):
            grid += (exact - nearest) * period
            tick = nearest
        ticks.append(min(tick, ticks[-1] - 1) if ticks else tick)
        grids.append(grid)
        later = at
    return AssignedTicks(ticks[::-1], grids[::-1])


def anchor(sent: Sequence[float], period: float) -> float:
    """Return an instant at which a message was due: the start of the largest group of equal phase.

    It is not the earliest phase of all, because after a stall a message may have any phase. Such a
    message may also be just before the group, so a tenth of the group may be earlier.

    Arguments:
        sent: instants, at least one.
        period: of the stream.
    """
    base = sent[0]
    phases = sorted((at - base) % period for at in sent)
    around = phases + [phase + period for phase in phases]
    width = period * PUNCTUAL_SHARE
    counts = [bisect_right(around, phase + width) - place for place, phase in enumerate(phases)]
    most = counts.index(max(counts))
    return base + around[most + counts[most] // 10]


def estimate_period(streams: Iterable[Sequence[float]]) -> float | None:
    """Return the period of streams of the same producer; None if they are not regular.

    The result is the typical gap, or the slope of the regression of the instants on their ticks if
    that is smaller.

    Arguments:
        streams: `sentAt` of each message in order, for each stream.
    """
    kept = [list(stream) for stream in streams if len(stream) > 1]
    gaps = [late - early for stream in kept for early, late in pairwise(stream)]
    if len(gaps) < MIN_GAPS or sum(gaps) <= 0:
        return None
    # The short gaps of a burst after a stall carry no information about the period.
    apart = [gap for gap in gaps if gap > mean(gaps) * PUNCTUAL_SHARE]
    middle = median(apart)
    alike = sum(abs(gap - middle) <= middle * 0.2 for gap in apart)
    if alike < REGULAR_SHARE * len(apart) or middle < MIN_PERIOD_MS:
        return None
    typical = mean(gap for gap in apart if abs(gap - middle) <= max(MIN_PERIOD_MS, middle * 0.01))
    # If each late message delays the next ones, the regression is longer than the gap between ticks.
    # An estimate that is a little short does no harm: the grid then moves with every message.
    return min(_slope(kept, middle), typical)


def _slope(streams: Sequence[Sequence[float]], near: float) -> float:
    """Return the slope of the regression of instants on ticks, pooled over streams."""
    above = below = 0.0
    for stream in streams:
        at = [0.0]
        for early, late in pairwise(stream):
            at.append(at[-1] + round((late - early) / near))
        mean_at, mean_sent = sum(at) / len(at), sum(stream) / len(stream)
        above += sum((a - mean_at) * (s - mean_sent) for a, s in zip(at, stream, strict=True))
        below += sum((a - mean_at) ** 2 for a in at)
    return above / below if below and above > 0 else near
