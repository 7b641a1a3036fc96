"""When clients try again: the rules of browsers, of rtdemo's page, and of the user, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from rtdemo.protocol.client import Transport

MIN_FIXED_S, MAX_FIXED_S = 0.1, 600.0
"""Limits of a fixed wait. A shorter one would measure the clients, and not the server."""
MAX_WAIT_S = 86_400.0
"""Longest wait in seconds, whatever a server asks for."""
_PATIENT_S = 30.0
"""Seconds after which an attempt of a client without a limit of its own counts as failed."""


class Backoff(msgspec.Struct, frozen=True):
    """A rule for the wait before each attempt to reconnect.

    Arguments:
        name: as `--backoff` takes it.
        first_s: wait before the first attempt, in seconds.
        factor: by how much the wait grows with each failure.
        max_s: longest wait before randomness, in seconds.
        random_share: part of the wait that is random, 0 to 1.
        obeys_retry: whether `retry:` of an event stream replaces the wait.
        min_s: shortest wait that `retry:` can set, in seconds.
        gives_up: whether the client never tries again after an HTTP status that opens no stream. If not,
            it waits for `Retry-After`, or as after any failure.
        attempt_timeout_s: seconds after which an attempt without an answer counts as failed.
    """

    name: str
    first_s: float
    factor: float = 1.0
    max_s: float = MAX_FIXED_S
    random_share: float = 0.0
    obeys_retry: bool = False
    min_s: float = 0.0
    gives_up: bool = False
    attempt_timeout_s: float = _PATIENT_S

    def wait_s(
        self,
        failures: int,
        retry_s: float | None,
        retry_after_s: float | None,
        random: Callable[[], float],
    ) -> float:
        """Return the seconds before the next attempt.

        Arguments:
            failures: attempts that failed since the last message.
            retry_s: `retry:` of the event stream, in seconds; None without one.
            retry_after_s: `Retry-After` of the last answer, in seconds; None without one.
            random: returns a number from 0 to 1.
        """
        if retry_after_s is not None:
            return min(retry_after_s, MAX_WAIT_S)
        # Above 32 doublings the wait is the longest one in any case.
        wait = min(self.first_s * self.factor ** min(failures, 32), self.max_s)
        if self.obeys_retry and retry_s is not None:
            wait = min(max(retry_s, self.min_s), MAX_WAIT_S)
        return wait * (1 - self.random_share * random())


BACKOFFS: Mapping[str, Backoff] = {
    one.name: one
    for one in (
        # Blink's and WebKit's EventSource: 3 s, not random, and no growth.
        Backoff("chromium", 3.0, obeys_retry=True, gives_up=True),
        # Gecko's: 5 s, and never below 0.5 s.
        Backoff("firefox", 5.0, obeys_retry=True, min_s=0.5, gives_up=True),
        # rtdemo/web/static/client/backoff.js and ATTEMPT_TIMEOUT_MS of reconnecting.js.
        Backoff("page", 0.5, factor=2.0, max_s=5.0, random_share=0.5, attempt_timeout_s=4.0),
        Backoff("exponential", 1.0, factor=2.0, max_s=30.0, random_share=0.5),
    )
}
"""Rules by name. An EventSource ends for good after any status but 200 (WHATWG HTML section 9.2.3)."""
DEFAULTS: Mapping[Transport, str] = {"websocket": "page", "sse": "chromium"}
"""Rules without `--backoff`. A WebSocket has no rule of its own: each page brings one."""


def parse(text: str) -> Backoff:
    """Return the rule that a user names.

    Arguments:
        text: a name of BACKOFFS, or `fixed:SECONDS`.

    Raises:
        ValueError: if it is neither; the text says what is allowed.
    """
    if text in BACKOFFS:
        return BACKOFFS[text]
    kind, _, number = text.partition(":")
    allowed = f"one of {', '.join(BACKOFFS)}, fixed:SECONDS"
    if kind != "fixed":
        raise ValueError(f"{text!r} is not {allowed}")
    try:
        seconds = float(number)
    except ValueError:
        raise ValueError(f"{text!r} is not {allowed}") from None
    if not MIN_FIXED_S <= seconds <= MAX_FIXED_S:
        raise ValueError(f"{text!r} is not between {MIN_FIXED_S:g} and {MAX_FIXED_S:g} seconds")
    return Backoff(text, seconds)
