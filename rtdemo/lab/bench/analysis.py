"""Compute the figures of a window from the recorded arrivals, after the window has ended."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate, pairwise
from math import ceil
from statistics import median

from rtdemo.lab.bench import due_times
from rtdemo.lab.bench.arrivals import Arrivals, ConnectionArrivals, Response, Stream
from rtdemo.lab.bench.protocol import DRAIN_S, Window
from rtdemo.lab.bench.result import MAX_NAMES, Figures, SecondBlock

SENT_AT_ROUNDING_MS = 0.5
"""Added to each `sentAt` if a server rounds them down to milliseconds: the mean rounding error."""


def analyse_window(
    arrivals: Arrivals,
    periods: Mapping[str, float],
    window: Window,
    offset: float | None,
    error: float | None = None,
    repeats: bool = False,
) -> Figures:
    """Return the figures of a window.

    Arguments:
        arrivals: messages that one worker recorded.
        periods: milliseconds by producer, as the server lists them.
        window: start and length of the window.
        offset: server time minus `server_clock.now`, in milliseconds; None if it is unknown.
        error: largest error of an assumed offset, in milliseconds. If a message arrived before its
            `sentAt` by more than this, the offset is wrong, and latencies are unknown.
        repeats: whether each connection repeats its request. Each response then has a schedule of its
            own, which ends with it, so there are no due times.
    """
    figures = Figures([SecondBlock() for _ in range(ceil(window.seconds))])
    by_name: dict[str, list[Stream]] = {}
    for connection in arrivals.connections:
        # A listed producer has due messages on every connection, even if nothing arrived there.
        for name in periods:
            connection.streams.setdefault(name, Stream())
        for response in connection.responses:
            for name, stream in response.streams.items():
                by_name.setdefault(name, []).append(stream)
    responses = [response for connection in arrivals.connections for response in connection.responses]
    streams = [stream for group in by_name.values() for stream in group]
    instants = [at for stream in streams for at in stream.sent]
    figures.whole = bool(instants) and all(at.is_integer() for at in instants)
    for stream in streams:
        _count_sequence(figures, stream)
    if not repeats:
        _set_periods(figures, by_name, periods)
    if offset is not None and error is not None and offset - _largest_offset(streams) < -error:
        figures.refuted, offset = True, None
    rounding = SENT_AT_ROUNDING_MS if figures.whole else 0.0
    # Without an offset, count due messages as if the fastest message had no latency.
    shift = rounding - (offset if offset is not None else _largest_offset(streams))
    analysis = _WindowAnalysis(window, shift, has_clock=offset is not None)
    jitters = [
        found
        for name, group in by_name.items()
        for stream in group
        if (found := analysis.add(figures, stream, figures.periods.get(name), name in periods))
        is not None
    ]
    gap_jitters = [one for each in responses if (one := analysis.add_gaps(figures, each)) is not None]
    if not streams:
        jitters = gap_jitters
    figures.mute = sum(not analysis.has_any(connection) for connection in arrivals.connections)
    figures.streams = len(jitters)
    figures.jitter = sum(jitters) / len(jitters) if jitters else 0.0
    return figures


def _set_periods(
    figures: Figures, by_name: Mapping[str, Iterable[Stream]], periods: Mapping[str, float]
) -> None:
    """Set the period of each producer, listed or estimated; list the producers without a period."""
    for name, group in sorted(by_name.items()):
        private = [stream for stream in group if not stream.is_shared]
        period = periods.get(name) or due_times.estimate_period(stream.sent for stream in private)
        if period is not None and private:
            figures.periods[name] = period
        elif any(len(stream.sent) > 1 for stream in group):
            figures.irregular = [*figures.irregular, name][:MAX_NAMES]


def _count_sequence(figures: Figures, stream: Stream) -> None:
    """Count lost, repeated and disordered messages by their `seq`."""
    numbers = [seq for seq in stream.seq if seq >= 0]
    if not numbers:
        return
    seen: set[float] = set()
    highest = numbers[0]
    for seq in numbers:
        figures.disordered += seq < highest and seq not in seen
        seen.add(seq)
        highest = max(highest, seq)
    figures.numbered += len(numbers)
    figures.repeated += len(numbers) - len(seen)
    figures.lost += int(highest - min(seen)) + 1 - len(seen)


class _WindowAnalysis:
    """Convert server times to this machine's clock, and assign instants to seconds of the window.

    Arguments:
        window: start and length of the window.
        shift: milliseconds to add to a server time.
        has_clock: whether the server's clock is known, so that latencies have a meaning.
    """

    def __init__(self, window: Window, shift: float, has_clock: bool) -> None:
        self._begin, self._end = window.start, window.start + window.seconds * 1000
        self._shift, self._has_clock = shift, has_clock

    def has_any(self, connection: ConnectionArrivals) -> bool:
        """Return whether a connection received anything in the window."""
        return any(
            bisect_left(times, self._begin) < bisect_left(times, self._end)
            for response in connection.responses
            for times in (response.untimed, *(one.arrived for one in response.streams.values()))
        )

    def add(
        self, figures: Figures, stream: Stream, period: float | None, is_declared: bool
    ) -> float | None:
        """Add a stream's messages in the window; return its jitter in milliseconds, if it has one.

        Arguments:
            figures: to add to.
            stream: of one producer on one connection.
            period: milliseconds; None if the stream is not regular.
            is_declared: whether the server lists this period.
        """
        sent = [at + self._shift for at in stream.sent]
        transits = self._add_arrivals(figures, sent, stream)
        if period is not None:
            span = (self._begin, self._end)
            drained = self._end + DRAIN_S * 1000
            due = due_times.due_messages(sent, stream.arrived, period, is_declared, span, drained)
            figures.due += len(due)
            figures.kept += sum(one.has_arrived for one in due)
            for at, wait, _ in due if self._has_clock else ():
                self._block(figures, at).due.record(wait / 1000)
        return jitter(transits) if len(transits) > 1 else None

    def _add_arrivals(self, figures: Figures, sent: Iterable[float], stream: Stream) -> list[float]:
        transits = []
        for at, arrived in zip(sent, stream.arrived, strict=True):
            if self._begin <= arrived < self._end:
                transits.append(arrived - at)
                if self._has_clock:
                    self._block(figures, arrived).sent.record((arrived - at) / 1000)
        figures.messages += len(transits)
        return transits

    def add_gaps(self, figures: Figures, response: Response) -> float | None:
        """Add a response's gaps that end in the window, and its messages without `sentAt`.

        Returns:
            The jitter in milliseconds, as if messages were sent at the median gap; None without gaps.
        """
        times = response.arrivals()
        begin, end = bisect_left(times, self._begin), bisect_left(times, self._end)
        untimed = bisect_left(response.untimed, self._end) - bisect_left(response.untimed, self._begin)
        figures.untimed += untimed
        figures.messages += untimed
        gaps = [later - early for early, later in pairwise(times[max(0, begin - 1) : end])]
        for at, gap in zip(times[end - len(gaps) : end], gaps, strict=True):
            self._block(figures, at).gap.record(gap / 1000)
        return jitter(accumulate(gap - median(gaps) for gap in gaps)) if len(gaps) > 1 else None

    def _block(self, figures: Figures, at: float) -> SecondBlock:
        # Rounding may put an instant at the window's end just after the last block.
        return figures.blocks[min(len(figures.blocks) - 1, int((at - self._begin) / 1000))]


def _largest_offset(streams: Iterable[Stream]) -> float:
    """Return the largest possible clock offset, in milliseconds: the fastest message had no latency."""
    return max(
        (
            at - arrived
            for stream in streams
            for at, arrived in zip(stream.sent, stream.arrived, strict=True)
        ),
        default=0.0,
    )


def jitter(transits: Iterable[float]) -> float:
    """Return the interarrival jitter of messages (RFC 3550 section 6.4.1).

    Arguments:
        transits: their transit times, in the unit of the result.
    """
    smoothed = 0.0
    previous = None
    for transit in transits:
        if previous is not None:
            smoothed += (abs(transit - previous) - smoothed) / 16
        previous = transit
    return smoothed
