"""What a client asked to receive: which producers, and how fast."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from rtdemo.plugin_system.producer import Producer

MIN_SPEED, MAX_SPEED = 0.1, 20.0
"""Bounds of the factor by which a client may multiply the rates of its private producers."""
MAX_NAMES = 100
"""Names that a client may pick."""
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
        return self.producers is None or producer.always or producer.name in self.producers

    def names(self, producer: str) -> bool:
        """Return whether a producer's name is picked."""
        return self.producers is None or producer in self.producers


EVERYTHING = Selection()
"""The selection of a client that asked for nothing else."""


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


def read_producers(names: Sequence[object], known: Collection[str], advice: str = "") -> frozenset[str]:
    """Return the names that a client picks.

    The work does not grow with the number of known names: 10,000 may have been published under.

    Arguments:
        names: what the client gave.
        known: names that it may pick. Only `in`, `len` and the first names are used.
        advice: end of the sentence about a name that is not known.

    Raises:
        SelectionError: too many names, or one that is not known; the error lists some that are.
    """
    if len(names) > MAX_NAMES:
        raise SelectionError(f"producers: {len(names)} names; give at most {MAX_NAMES}")
    picked = [name for name in names if isinstance(name, str) and name in known]
    if len(picked) < len(names):
        unknown = next(name for name in names if name not in picked)
        more = f" and {len(known) - LISTED_NAMES} more" if len(known) > LISTED_NAMES else ""
        there_are = ", ".join(islice(known, LISTED_NAMES)) + more or "none"
        raise SelectionError(
            f"producers: there is no {str(unknown)[:100]!r}; there are {there_are}{advice}"
        )
    return frozenset(picked)


class KnownNames(Collection[str]):
    """The names that a client may pick: few of this server, and many that were published under.

    It makes no copy of the many.

    Arguments:
        few: names of producers and plugins.
        many: further names.
        hidden: those among the many that are for other users.
    """

    def __init__(
        self, few: Collection[str], many: Collection[str], hidden: Collection[str] = frozenset()
    ) -> None:
        self._few = dict.fromkeys(sorted(few))
        self._many = many
        self._hidden = hidden

    def __contains__(self, name: object) -> bool:
        return name in self._few or (name in self._many and name not in self._hidden)

    def __iter__(self) -> Iterator[str]:
        yield from self._few
        left_out = (self._few, self._hidden)
        yield from (name for name in self._many if not any(name in names for names in left_out))

    def __len__(self) -> int:
        left_out = sum(name in self._many for name in (*self._few, *self._hidden))
        return len(self._few) + len(self._many) - left_out
