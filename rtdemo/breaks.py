"""Break one client's connection because it asks for it: to see what its transport does then."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rtdemo.connection import Connection
from rtdemo.reasons import Reason

STOP = 5.0
"""Seconds for which a stopped connection delivers nothing."""
DELAY = 0.25
"""Seconds by which everything is late on a delayed connection."""

_Break = tuple[Callable[[Connection], object], float | None]


def _cut(connection: Connection) -> None:
    connection.end(Reason.CONNECTION_LOST)


def _stop(connection: Connection) -> None:
    connection.throttle().stop(STOP)


def _delay(connection: Connection) -> None:
    connection.throttle().delay = DELAY


def _mend(connection: Connection) -> None:
    connection.throttle().release()


BREAKS: Mapping[str, _Break] = {
    "cut": (_cut, None),
    "stop": (_stop, STOP),
    "delay": (_delay, DELAY),
    "none": (_mend, None),
}
"""What a client may ask for: how it is done, and the seconds that its answer tells."""


def answer(name: str) -> dict[str, object]:
    """Return what a client is told before it happens."""
    seconds = BREAKS[name][1]
    return {"break": name} | ({"seconds": seconds} if seconds is not None else {})


def apply(name: str, connection: Connection) -> None:
    """Do it."""
    BREAKS[name][0](connection)
