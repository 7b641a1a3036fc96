"""What an attack is, what it measures, and what must hold."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from tests.faults.target import Setup

Figures = Mapping[str, float]
"""Measured values by their names."""


@dataclass(frozen=True)
class Bound:
    """The values of a figure at which an attack has failed.

    Attributes:
        figure: its name, as it is printed.
        low: smallest value that holds.
        high: largest value that holds.
        unit: printed after the values; empty for a number of things.
    """

    figure: str
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""

    def holds(self, figures: Figures) -> bool:
        """Return whether the figure was measured and lies within the bounds."""
        return self.low <= figures.get(self.figure, math.nan) <= self.high

    def describe(self, figures: Figures) -> str:
        """Return the figure with its bounds, such as `RSS growth 4.1 MiB (at most 10)`."""
        value = f"{_number(figures.get(self.figure, math.nan))} {self.unit}".rstrip()
        return f"{self.figure} {value} ({self._wanted()})"

    def _wanted(self) -> str:
        if self.low == self.high:
            return _number(self.low)
        if math.isinf(self.low):
            if math.isinf(self.high):
                return "no bound: it depends on the machine"
            return f"at most {_number(self.high)}"
        if math.isinf(self.high):
            return f"at least {_number(self.low)}"
        return f"{_number(self.low)} to {_number(self.high)}"


def none(figure: str) -> Bound:
    """Return the bound of something that must not happen once."""
    return Bound(figure, 0, 0)


@dataclass(frozen=True)
class Attack:
    """One line of the table.

    Attributes:
        name: selects it on the command line.
        row: number of the rule that it checks; `limit` for one of the limits.
        what: what is done to the server, in words.
        run: does it, and returns the figures.
        must_hold: bounds of the figures.
        waits: whether it mostly waits for the server's time limits, and so disturbs no other attack.
        in_suite: whether it is quick, and no figure depends on how busy the machine is.
        only_long: whether it runs only with `--long`.
    """

    name: str
    row: str
    what: str
    run: Callable[[Setup], Awaitable[Figures]]
    must_hold: tuple[Bound, ...]
    waits: bool = False
    in_suite: bool = False
    only_long: bool = False


@dataclass(frozen=True)
class Verdict:
    """What came of an attack.

    Attributes:
        attack: the line of the table.
        figures: what was measured; empty if the attack could not be made.
        error: why it could not be made, or an empty text.
        seconds: how long it took.
    """

    attack: Attack
    figures: Figures
    error: str = ""
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether every figure lies within its bounds."""
        return not self.error and all(bound.holds(self.figures) for bound in self.attack.must_hold)

    def __str__(self) -> str:
        """Return the line that is printed."""
        figures = "; ".join(bound.describe(self.figures) for bound in self.attack.must_hold)
        word = "holds" if self.holds else "FAILS"
        attack = self.attack
        return f"{attack.row:>5}  {word}  {attack.name:<24} {attack.what}: {self.error or figures}"


def _number(value: float) -> str:
    if math.isnan(value):
        return "not measured"
    if math.isinf(value):
        return "never"
    return f"{value:.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.2f}"
