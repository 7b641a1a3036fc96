"""When bytes arrive (WHATWG HTML section 9.2.7)."""

from __future__ import annotations

from itertools import pairwise

from rtdemo.lab.conform.check import Check, Evidence, Outcome, met, missed, untested
from rtdemo.lab.conform.clauses import html, rfc

MAX_HEAD_S = 2.0
"""Seconds for the head of the stream's response."""
MAX_FIRST_BYTE_S = 15.0
"""Seconds until the first byte of the stream; hosting platforms cut after 30."""
MAX_SILENCE_S = 30.0
"""Longest silence in seconds. The note says "every 15 seconds or so"; common proxies cut after 60."""


def _longest_silence(evidence: Evidence) -> float:
    """Return the longest time without a byte of the stream, in seconds."""
    response = evidence.response
    start = response.head_at or 0.0
    end = evidence.stream.closed_at or evidence.stream.seconds
    times = [start, *(piece.at for piece in response.body)]
    if not response.is_complete:
        times.append(end)
    return max((after - before for before, after in pairwise(times)), default=0.0)


def _head(evidence: Evidence) -> Outcome:
    at = evidence.response.head_at or 0.0
    seen, figures = f"the head came after {at * 1000:.0f} ms", {"headMs": round(at * 1000, 1)}
    return met(seen, **figures) if at <= MAX_HEAD_S else missed(seen, **figures)


def _first_byte(evidence: Evidence) -> Outcome:
    body = evidence.response.body
    waited = evidence.stream.seconds
    if not body:
        seen = f"no byte in {waited:.0f} s"
        return missed(seen) if waited > MAX_FIRST_BYTE_S else untested(f"{seen}; use --seconds 20")
    at = body[0].at
    seen, figures = f"the first byte came after {at * 1000:.0f} ms", {"firstByteMs": round(at * 1000, 1)}
    return met(seen, **figures) if at <= MAX_FIRST_BYTE_S else missed(seen, **figures)


def _silence(evidence: Evidence) -> Outcome:
    longest, listened = _longest_silence(evidence), evidence.stream.seconds
    figures = {"longestSilenceMs": round(longest * 1000, 1)}
    seen = f"the longest silence in {listened:.0f} s was {longest:.1f} s"
    if longest > MAX_SILENCE_S:
        return missed(seen, **figures)
    if evidence.stream_ended:
        return met(f"{seen}; then the server ended the stream", **figures)
    if listened < MAX_SILENCE_S:
        return untested(f"read for {listened:.0f} s only; use --seconds {MAX_SILENCE_S + 5:.0f}")
    return met(seen, **figures)


def _not_reset(evidence: Evidence) -> Outcome:
    error = evidence.stream.error
    if evidence.unanswered:
        return untested("a request has ended the server")
    return missed(f"{error} after {evidence.stream.seconds:.1f} s") if error else met("not broken")


CHECKS = (
    Check(
        "head-at-once",
        "timing",
        "advice",
        html("9.2.3"),
        f"The head arrives within {MAX_HEAD_S:.0f} s, before the first event: it opens the stream.",
        "Flush the head of the response before the first event; a first comment line does that.",
        _head,
    ),
    Check(
        "first-byte",
        "timing",
        "advice",
        html("9.2.7"),
        f"The first byte of the stream arrives within {MAX_FIRST_BYTE_S:.0f} s.",
        "Send a comment line, or retry:, as soon as the stream opens.",
        _first_byte,
    ),
    Check(
        "no-long-silence",
        "timing",
        "advice",
        html("9.2.7"),
        f"No silence is longer than {MAX_SILENCE_S:.0f} s: proxies cut idle connections.",
        "Send a comment line, `:` and a blank line, every 15 seconds.",
        _silence,
    ),
    Check(
        "not-cut",
        "timing",
        "SHOULD",
        rfc(9112, "9.5"),
        "The server closes a stream gracefully, and does not break the connection.",
        "End the response, then close; look for a worker's time limit that kills long requests.",
        _not_reset,
    ),
)
