"""What a client asked to receive: which producers, and how fast."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rtdemo.plugin_system.producer import Producer

MIN_SPEED, MAX_SPEED = 0.1, 20.0
"""Bounds of the factor by which a client may multiply the rates of its private producers."""
LISTED_NAMES = 50
"""Producers' names that an error lists at most."""


class SelectionError(ValueError):
    """Report a selection that is not possible, and what is."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Hold what a client asked for.

    Arguments:
        producers: names that it picked; None for all.
        speed: factor of the rate of its private producers, from 0.1 to 20.
    """

    producers: frozenset[str] | None = None
    speed: float = 1.0

    def picks(self, producer: Producer) -> bool:
        """Return whether a producer runs for the client."""
        return producer.always or self.names(producer.name)

    def names(self, producer: str) -> bool:
        """Return whether a producer's name is picked."""
        return self.producers is None or producer in self.producers


def read_speed(given: object) -> float:
    """Return a speed from 0.1 to 20.

    Arguments:
        given: a number, or text with one.

    Raises:
        SelectionError: it is no number in these bounds.
    """
    try:
        speed = float(given)  # type: ignore[arg-type]  # anything but a number raises
    except (TypeError, ValueError, OverflowError):
        speed = math.nan
    if isinstance(given, bool) or not MIN_SPEED <= speed <= MAX_SPEED:
        raise SelectionError(
            f"speed: {str(given)[:100]!r} is not a number from {MIN_SPEED} to {MAX_SPEED:g}"
        )
    return speed


def read_producers(names: Iterable[object], known: Iterable[str]) -> frozenset[str]:
    """Return the names that a client picks.

    Arguments:
        names: what the client gave.
        known: names that it may pick.

    Raises:
        SelectionError: a name is not known; the error lists those that are.
    """
    known = list(known)
    picked = list(names)
    unknown = [name for name in picked if name not in known]
    if unknown:
        more = f" and {len(known) - LISTED_NAMES} more" if len(known) > LISTED_NAMES else ""
        there_are = ", ".join(known[:LISTED_NAMES]) + more or "none"
        raise SelectionError(f"producers: there is no {str(unknown[0])[:100]!r}; there are {there_are}")
    return frozenset(map(str, picked))
