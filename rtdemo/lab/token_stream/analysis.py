"""Figures of an answer: bursts of tokens, gaps between them, and how long tokens wait in a burst."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from rtdemo.lab.token_stream.recording import Recording

BURST_GAP_S = 0.002
"""Arrivals that follow each other in less time are one burst."""

MAX_WEIGHT = 10_000
"""Tokens of a burst that count for a median."""

Unit = Literal["tokens", "events", "bytes"]
"""What is counted: bytes where no event can be read, events where none has a text that is known."""


class Burst(NamedTuple):
    """Bytes that arrived together.

    Arguments:
        start_s: first arrival, in seconds since the request.
        end_s: last arrival.
        wire_bytes: with the framing of HTTP.
        body_bytes: without it.
        tokens: that ended in these bytes.
        is_whole: whether the bytes end between two events; true if compression hides that.
    """

    start_s: float
    end_s: float
    wire_bytes: int
    body_bytes: int
    tokens: int
    is_whole: bool

    @property
    def tokens_at_once(self) -> float:
        """Tokens that arrive within 2 ms: of a server that makes one a millisecond, not all."""
        span_s = self.end_s - self.start_s
        return self.tokens * BURST_GAP_S / span_s if span_s > BURST_GAP_S else self.tokens


@dataclass(frozen=True, slots=True)
class Figures:
    """What one answer shows.

    Arguments:
        unit: what counts as a token here.
        tokens: their number.
        bursts: in which the bytes arrived.
        first_token_s: seconds from the request to the first token; None without tokens.
        last_token_s: the same for the last token.
        gaps_s: times between the bursts that have tokens.
        wait_s: how long a token waits for the others of its burst, on average, if the server makes
            tokens evenly. The first burst does not count: its tokens may have waited for the server.
    """

    unit: Unit
    tokens: int
    bursts: tuple[Burst, ...]
    first_token_s: float | None
    last_token_s: float | None
    gaps_s: tuple[float, ...]
    wait_s: float

    @property
    def span_s(self) -> float:
        """Seconds from the first token to the last."""
        if self.first_token_s is None or self.last_token_s is None:
            return 0.0
        return self.last_token_s - self.first_token_s

    @property
    def tokens_per_burst(self) -> float:
        """Tokens of a burst that has any, on average."""
        return self.tokens / (len(self.gaps_s) + 1) if self.tokens else 0.0

    @property
    def usual_burst_tokens(self) -> float:
        """Tokens of the burst in which the middle token arrives: a few pauses do not change it."""
        return median(
            burst.tokens_at_once for burst in self.bursts for _ in range(min(burst.tokens, MAX_WEIGHT))
        )

    @property
    def first_burst_tokens(self) -> int:
        """Tokens of the first burst that has any."""
        return next((burst.tokens for burst in self.bursts if burst.tokens), 0)

    @property
    def token_s(self) -> float:
        """Seconds for a token, on average, after the first."""
        return self.span_s / (self.tokens - 1) if self.tokens > 1 else 0.0

    @property
    def token_bytes(self) -> float:
        """Bytes of a token's event, on average."""
        return sum(b.wire_bytes for b in self.bursts) / self.tokens if self.tokens else 0.0


def figures(recording: Recording) -> Figures:
    """Return what an answer shows."""
    unit = _unit(recording)
    bursts = tuple(_bursts(recording, unit))
    with_tokens = [burst for burst in bursts if burst.tokens]
    waits = [_wait_s(before, burst) * burst.tokens for before, burst in pairwise(with_tokens)]
    later = sum(burst.tokens for burst in with_tokens[1:])
    return Figures(
        unit,
        sum(burst.tokens for burst in bursts),
        bursts,
        with_tokens[0].start_s if with_tokens else None,
        with_tokens[-1].end_s if with_tokens else None,
        tuple(burst.start_s - before.end_s for before, burst in pairwise(with_tokens)),
        sum(waits) / later if later else 0.0,
    )


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below which a share of the values is (nearest rank); 0 without values."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def median(values: Iterable[float]) -> float:
    """Return the middle value; of an even number, the higher one of the two; 0 without values."""
    return percentile(values, 0.5)


def is_even(values: Sequence[float], tolerance: float) -> bool:
    """Return whether most values are about the same.

    Arguments:
        values: any number.
        tolerance: largest difference of the middle 80 %, as a share of the median.
    """
    return percentile(values, 0.9) - percentile(values, 0.1) <= tolerance * median(values)


def _unit(recording: Recording) -> Unit:
    if not recording.is_decoded or recording.format == "text":
        return "bytes"
    return "tokens" if any(arrival.texts for arrival in recording.arrivals) else "events"


def _bursts(recording: Recording, unit: Unit) -> Iterable[Burst]:
    burst: Burst | None = None
    for arrival in recording.arrivals:
        counts = {"tokens": arrival.texts, "events": arrival.events, "bytes": arrival.body_bytes}
        new = Burst(
            arrival.at_s,
            arrival.at_s,
            arrival.wire_bytes,
            arrival.body_bytes,
            counts[unit],
            arrival.is_whole or bool(recording.coding),
        )
        if burst is not None and arrival.at_s - burst.end_s < BURST_GAP_S:
            burst = Burst(
                burst.start_s,
                new.end_s,
                burst.wire_bytes + new.wire_bytes,
                burst.body_bytes + new.body_bytes,
                burst.tokens + new.tokens,
                new.is_whole,
            )
        else:
            if burst is not None:
                yield burst
            burst = new
    if burst is not None:
        yield burst


def _wait_s(before: Burst, burst: Burst) -> float:
    """Return how long a token of a burst waited, on average.

    The server makes the tokens evenly between the ends of both bursts; they arrive evenly within theirs.
    """
    made = before.end_s + (burst.end_s - before.end_s) * (burst.tokens + 1) / (2 * burst.tokens)
    return max((burst.start_s + burst.end_s) / 2 - made, 0.0)
