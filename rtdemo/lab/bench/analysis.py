"""Work out, once a window is over, what its messages show."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from math import ceil

from rtdemo.lab.bench import due_times
from rtdemo.lab.bench.arrivals import Arrivals, ConnectionArrivals, Stream
from rtdemo.lab.bench.protocol import DRAIN_S, Window
from rtdemo.lab.bench.result import MAX_NAMES, Figures, SecondBlock

SENT_AT_ROUNDING_MS = 0.5
"""Milliseconds that a `sentAt` without a fraction is moved by: it lies anywhere in its millisecond."""


def analyse_window(
    arrivals: Arrivals,
    periods: Mapping[str, float],
    go: Window,
    offset: float | None,
    error: float | None = None,
) -> Figures:
    """Return the figures of a window.

    Arguments:
        arrivals: of one process.
        periods: milliseconds by producer that the server told.
        go: when the window was.
        offset: the server's time minus `server_clock.now`, in milliseconds; None where it is not known.
        error: milliseconds by which that may be off where it is assumed; where messages came before
            they were sent by more than this, it is not known after all.
    """
    figures = Figures([SecondBlock() for _ in range(ceil(go.seconds))])
    by_name: dict[str, list[Stream]] = {}
    for connection in arrivals.connections:
        # What the server says that it sends was due on every connection, whatever came there.
        for name in periods:
            connection.streams.setdefault(name, Stream())
        for name, stream in connection.streams.items():
            by_name.setdefault(name, []).append(stream)
    streams = [stream for kind in by_name.values() for stream in kind]
    instants = [at for stream in streams for at in stream.sent]
    figures.whole = bool(instants) and all(at.is_integer() for at in instants)
    for stream in streams:
        _count(figures, stream)
    _schedule(figures, by_name, periods)
    if offset is not None and error is not None and offset - _fastest(streams) < -error:
        figures.refuted, offset = True, None
    moved = SENT_AT_ROUNDING_MS if figures.whole else 0.0
    # Without an offset the fastest message counts as taking no time, for the count alone.
    shift = moved - (offset if offset is not None else _fastest(streams))
    window = WindowAnalysis(go, shift, is_told=offset is not None)
    jitters = [
        found
        for name, kind in by_name.items()
        for stream in kind
        if (found := window.count(figures, stream, figures.periods.get(name), name in periods))
        is not None
    ]
    figures.mute = sum(not window.has_any(connection) for connection in arrivals.connections)
    figures.streams = len(jitters)
    figures.jitter = sum(jitters) / len(jitters) if jitters else 0.0
    return figures


def _schedule(
    figures: Figures, by_name: Mapping[str, Iterable[Stream]], periods: Mapping[str, float]
) -> None:
    for name, kind in sorted(by_name.items()):
        private = [stream for stream in kind if not stream.is_shared]
        period = periods.get(name) or due_times.period(stream.sent for stream in private)
        if period is not None and private:
            figures.periods[name] = period
        elif any(len(stream.sent) > 1 for stream in kind):
            figures.irregular = [*figures.irregular, name][:MAX_NAMES]


def _count(figures: Figures, stream: Stream) -> None:
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


class WindowAnalysis:
    """Map the server's clock to this one's and instants to the seconds of a window.

    Arguments:
        go: when it was.
        shift: milliseconds to add to the server's time.
        is_told: whether that is known, so that latencies mean something.
    """

    def __init__(self, go: Window, shift: float, is_told: bool) -> None:
        self.first, self.after = go.start, go.start + go.seconds * 1000
        self.shift, self.is_told = shift, is_told

    def has_any(self, connection: ConnectionArrivals) -> bool:
        """Tell whether anything came on a connection in the window."""
        return any(
            bisect_left(stream.arrived, self.first) < bisect_left(stream.arrived, self.after)
            for stream in connection.streams.values()
        )

    def count(
        self, figures: Figures, stream: Stream, period: float | None, is_told: bool
    ) -> float | None:
        """Add what a stream shows in the window; return its jitter, if it has one.

        Arguments:
            period: of its schedule; None where it has none.
            is_told: whether the server told that.
        """
        sent = [at + self.shift for at in stream.sent]
        transits = self._arrivals(figures, sent, stream)
        if period is not None:
            span = (self.first, self.after)
            end = self.after + DRAIN_S * 1000
            waits = due_times.waits(sent, stream.arrived, period, is_told, span, end)
            figures.due += len(waits)
            figures.kept += sum(came for _, _, came in waits)
            for at, wait, _ in waits if self.is_told else ():
                self._block(figures, at).due.record(wait / 1000)
        return jitter(transits) if len(transits) > 1 else None

    def _arrivals(self, figures: Figures, sent: Iterable[float], stream: Stream) -> list[float]:
        transits = []
        for at, came in zip(sent, stream.arrived, strict=True):
            if self.first <= came < self.after:
                transits.append(came - at)
                if self.is_told:
                    self._block(figures, came).sent.record((came - at) / 1000)
        figures.messages += len(transits)
        return transits

    def _block(self, figures: Figures, at: float) -> SecondBlock:
        # Rounding may put the last instant of all just behind the last block.
        return figures.blocks[min(len(figures.blocks) - 1, int((at - self.first) / 1000))]


def _fastest(streams: Iterable[Stream]) -> float:
    return max(
        (at - came for stream in streams for at, came in zip(stream.sent, stream.arrived, strict=True)),
        default=0.0,
    )


def jitter(transits: Iterable[float]) -> float:
    """Return the interarrival jitter of messages by their transit times (RFC 3550 section 6.4.1)."""
    found = 0.0
    previous = None
    for transit in transits:
        if previous is not None:
            found += (abs(transit - previous) - found) / 16
        previous = transit
    return found
