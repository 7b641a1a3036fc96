"""The past that a new client asks for: the latest message of each producer, or the last minutes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rtdemo.hub.selection import SelectionError

PARAMETERS = frozenset(("latest", "rewind"))
"""Parameters of a query by which a client asks for the past."""
_UNITS_S = {"s": 1, "m": 60, "h": 3600}
"""Seconds of each unit of `rewind`."""
REWIND = re.compile(r"([1-9][0-9]{0,5})([smh])", re.ASCII)
"""Form of `rewind`."""
LONGEST_REWIND = "999999h"
"""The longest time of this form. The log ends it sooner, and says so (`truncated`)."""


@dataclass(frozen=True, slots=True)
class Past:
    """What a new client receives before live messages.

    Arguments:
        latest: whether it receives the newest message of each shared producer that it picks.
        seconds: how far back it receives the shared messages that it picks; 0 for none.
    """

    latest: bool = False
    seconds: float = 0.0


NO_PAST = Past()
"""Live messages only."""


def read_past(query: Mapping[str, str]) -> Past:
    """Return what `?latest=1&rewind=10m` asks for.

    Raises:
        SelectionError: another value than 1 or 0, or no time in seconds, minutes or hours.
    """
    latest = query.get("latest", "0")
    if latest not in ("0", "1"):
        raise SelectionError(f"latest: {latest[:100]!r} is not 1 or 0")
    rewind = query.get("rewind")
    if rewind is None:
        return Past(latest=True) if latest == "1" else NO_PAST
    found = REWIND.fullmatch(rewind)
    if found is None:
        allowed = f"a whole number with s, m or h, such as 10m, and {LONGEST_REWIND} at the most"
        raise SelectionError(f"rewind: {rewind[:100]!r} is not allowed; give {allowed}")
    return Past(latest == "1", int(found[1]) * _UNITS_S[found[2]])
