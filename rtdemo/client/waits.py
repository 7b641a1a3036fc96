"""How long a client waits, and for what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MAX_ASKED_S = 300.0
"""Longest wait in seconds that a server may ask for."""
ASKED_JITTER = 0.5
"""Part of a wait that the server asks for by which a client waits longer, at random."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Times of a client in seconds. The page's client/backoff.js has the same back-off.

    Arguments:
        first_retry: longest wait before the first try to reconnect; it doubles after each failure.
        max_retry: the wait doubles up to this.
        attempt: time for one try to open a connection.
        refusal: time for the other transport, before a refusal of this one is reported.
        mute: time for the first message of a connection to rtdemo, which comes at once.
        heartbeat: silence after which the server is asked to send a heartbeat; a whole number.
        dead: silence after which a connection with heartbeats is dropped: two are missing.
        silence: silence after which any other connection is dropped. rtdemo sends something every 25 s.
        first_rewind: longest wait before the past is asked for again after a loss; it doubles with each.
        max_rewind: that wait doubles up to this.
        healthy: time without a loss after which that wait is short again.
    """

    first_retry: float = 0.5
    max_retry: float = 5.0
    attempt: float = 10.0
    refusal: float = 1.0
    mute: float = 30.0
    heartbeat: int = 10
    dead: float = 25.0
    silence: float = 90.0
    first_rewind: float = 1.0
    max_rewind: float = 60.0
    healthy: float = 60.0

    def backoff_s(self, failures: int, random: Callable[[], float]) -> float:
        """Return the wait before the next try: half of it fixed, half random.

        Arguments:
            failures: consecutive ones before.
            random: returns a number from 0 to 1.
        """
        return _doubled(self.first_retry, failures, self.max_retry) * (0.5 + random() / 2)

    def rewind_s(self, losses: int, random: Callable[[], float]) -> float:
        """Return the wait before the past is asked for again: half of it fixed, half random.

        Arguments:
            losses: consecutive ones before.
            random: returns a number from 0 to 1.
        """
        return _doubled(self.first_rewind, losses, self.max_rewind) * (0.5 + random() / 2)


WAITS = Waits()


def _doubled(first: float, times: int, longest: float) -> float:
    # Above 16 doublings the wait is the longest one in any case.
    return min(first * 2.0 ** min(times, 16), longest)


def asked_s(seconds: float, random: Callable[[], float]) -> float:
    """Return the wait for a client that a server asks to wait: never less, and not all clients alike.

    Arguments:
        seconds: that the server asks for.
        random: returns a number from 0 to 1.
    """
    return min(seconds, MAX_ASKED_S) * (1 + random() * ASKED_JITTER)
