"""Choose what a client receives: which producers, and how fast."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rtdemo.plugin_system.producer import Producer

SLOWEST, FASTEST = 0.1, 20.0
TOLD = 50
"""Names that a refusal tells."""


class SelectionError(ValueError):
    """Report a choice that cannot be had, and what can."""


@dataclass(frozen=True)
class Selection:
    """Say what a client asked for.

    Arguments:
        producers: the names that it picked; None picks all.
        speed: multiplies the rate of its private producers.
    """

    producers: frozenset[str] | None = None
    speed: float = 1.0

    def picks(self, producer: Producer) -> bool:
        """Tell whether a producer runs for the client."""
        return producer.always or self.names(producer.name)

    def names(self, producer: str) -> bool:
        """Tell whether a name is among those that were picked."""
        return self.producers is None or producer in self.producers


def read_speed(given: object) -> float:
    """Return a speed from 0.1 to 20.

    Raises:
        SelectionError: when it is not one.
    """
    try:
        speed = float(given)  # type: ignore[arg-type]  # whatever is no number raises
    except (TypeError, ValueError):
        speed = math.nan
    if isinstance(given, bool) or not SLOWEST <= speed <= FASTEST:
        raise SelectionError(
            f"speed: {str(given)[:100]!r} is not a number from {SLOWEST} to {FASTEST:g}"
        )
    return speed


def read_producers(names: Iterable[object], known: Iterable[str]) -> frozenset[str]:
    """Return the names of producers that exist.

    Raises:
        SelectionError: with the names that exist, when another is among them.
    """
    known = list(known)
    picked = list(names)
    unknown = [name for name in picked if name not in known]
    if unknown:
        more = f" and {len(known) - TOLD} more" if len(known) > TOLD else ""
        there_are = ", ".join(known[:TOLD]) + more or "none"
        raise SelectionError(f"producers: there is no {str(unknown[0])[:100]!r}; there are {there_are}")
    return frozenset(map(str, picked))
