"""How far a bench run is, and about how long it still takes."""

from __future__ import annotations

import time
from math import ceil

from rtdemo.lab.bench.protocol import DRAIN_S, SETTLE_S
from rtdemo.lab.bench.result import RunSettings

OPENING_S = 1.5
"""Expected for the start of the processes and for opening the connections of a round."""


def expected_round_s(seconds: float) -> float:
    """Return about how long a round takes in all.

    Arguments:
        seconds: of its window.
    """
    return OPENING_S + SETTLE_S + seconds + DRAIN_S


class Progress:
    """The step of a run, and the time left.

    Arguments:
        settings: of the run.
        steps: number of steps before the first round.
    """

    def __init__(self, settings: RunSettings, steps: int) -> None:
        self._expected_round_s = expected_round_s(settings.seconds)
        self._steps_left = steps
        self._rounds = settings.rounds * len(settings.transports)
        self._number = 0
        self._what = "connecting"
        self._began = self._first_began = time.monotonic()

    def begin(self, what: str, number: int, of: int) -> None:
        """Begin a step.

        Arguments:
            what: is measured, such as `SSE`.
            number: of the round; 0 before the first round.
            of: number of rounds; 0 before the first round.
        """
        self._began = time.monotonic()
        if number == 0:
            self._steps_left -= 1
            self._what = what
            return
        if number == 1:
            self._first_began = self._began
        else:
            self._expected_round_s = (self._began - self._first_began) / (number - 1)
        self._number, self._rounds, self._steps_left = number, of, 0
        self._what = f"{what}, round {number} of {of}"

    @property
    def left_s(self) -> float:
        """About how many seconds are left."""
        short_s = OPENING_S + SETTLE_S
        step_s = self._expected_round_s if self._number else short_s
        rounds_after = self._rounds - self._number
        later_s = rounds_after * self._expected_round_s + self._steps_left * short_s
        return later_s + max(0.0, step_s - (time.monotonic() - self._began))

    def __str__(self) -> str:
        return f"{self._what}; about {_duration(self.left_s)} left"


def _duration(seconds: float) -> str:
    """Return a duration as text, such as `42 s` or `3 min 20 s`."""
    minutes, rest = divmod(ceil(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
