"""Counts over time, in steps of a tenth of a second: connections made, opened and ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

STEP_S = 0.1
"""Length of a step in seconds."""
STEPS_PER_SECOND = 10


class Timeline:
    """Counts of one transport's clients over time.

    Arguments:
        now: returns seconds of a monotonic clock.

    Attributes:
        began: when the first step begins; None until `begin`, before which nothing is counted.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.began: float | None = None
        self._now = now
        self._at_first = 0
        self._bins: dict[str, list[int]] = {
            name: [] for name in ("attempts", "connects", "opened", "ended")
        }

    def begin(self, connected: int) -> None:
        """Begin to count.

        Arguments:
            connected: number of clients that are connected now.
        """
        self.began = self._now()
        self._at_first = connected

    def add(self, name: str) -> None:
        """Count an event that happens now.

        Arguments:
            name: `attempts`, `connects` (TCP is connected), `opened` (a stream is open) or `ended`.
        """
        if self.began is None:
            return
        bins = self._bins[name]
        step = int((self._now() - self.began) / STEP_S)
        bins += [0] * (step + 1 - len(bins))
        bins[step] += 1

    def counts(self, name: str, steps: int) -> list[int]:
        """Return the number of events in each step.

        Arguments:
            name: as `add` takes it.
            steps: number of steps to return.
        """
        bins = self._bins[name][:steps]
        return bins + [0] * (steps - len(bins))

    def connected(self, steps: int) -> list[int]:
        """Return the number of open streams at the end of each step."""
        changes = zip(self.counts("opened", steps), self.counts("ended", steps), strict=True)
        total = accumulate((opened - ended for opened, ended in changes), initial=self._at_first)
        return list(total)[1:]


def busiest_second(counts: Sequence[int]) -> int:
    """Return the largest number of events in a second, which may begin with any step."""
    return max((sum(counts[at : at + STEPS_PER_SECOND]) for at in range(len(counts))), default=0)


def time_until(times: Sequence[float | None], percent: float) -> float | None:
    """Return when so many have happened; None if they have not.

    Arguments:
        times: of each event, in seconds; None for one that has not happened.
        percent: of all events, over 0 and up to 100.
    """
    happened = sorted(at for at in times if at is not None)
    needed = -(-len(times) * percent // 100)
    return happened[int(needed) - 1] if 0 < needed <= len(happened) else None
