"""When a client asks for the past again after a loss, and which messages of it the program has."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from rtdemo.client.waits import Waits
from rtdemo.protocol.message import Position, parse_position


class Rewinds:
    """Plan the requests for the past after losses.

    All clients of a server lose its log at the same moment, so half of each wait is random. The wait
    doubles with each loss, as the log may be shorter than the way of its messages. It is short again
    after a healthy time.

    The messages between the loss and the request arrive twice: live, and with the past.

    Arguments:
        waits: times in seconds.
        is_wanted: whether the program asked for a past.
        random: returns a number from 0 to 1.

    Attributes:
        due_at: time of the next request, by the clock of the event loop; infinite for none.
    """

    def __init__(
        self, waits: Waits, is_wanted: bool, random: Callable[[], float] = random.random
    ) -> None:
        self.due_at = math.inf
        self._waits = waits
        self._is_wanted = is_wanted
        self._random = random
        self._losses = 0
        self._asked_at = -math.inf
        self._lost_at: Position | None = None
        # The first position is before the first message that the program has, the second is its last.
        self._known: tuple[Position, Position] | None = None

    def lost(self, position: str | None, now: float) -> float | None:
        """Plan a request after a loss.

        Arguments:
            position: after which the client continues.
            now: time of the event loop.

        Returns:
            Seconds until the request; None if the program asked for no past.
        """
        if not self._is_wanted:
            return None
        self._lost_at = parse_position(position or "")
        if self.due_at == math.inf:
            self._losses = 0 if now - self._asked_at > self._waits.healthy else self._losses + 1
            self.due_at = now + self._waits.rewind_s(self._losses, self._random)
        return self.due_at - now

    def begin(self, position: str, now: float) -> bool:
        """Return whether the next connection asks for the past again.

        Arguments:
            position: after the last message that arrived.
            now: time of the event loop.
        """
        if now < self.due_at:
            return False
        self.due_at = math.inf
        self._asked_at = now
        after, until = self._lost_at, parse_position(position)
        self._known = None if after is None or until is None else (after, until)
        return True

    def has(self, position: str) -> bool:
        """Return whether the program has the message at a position since the last loss."""
        found = parse_position(position)
        if self._known is None or found is None:
            return False
        after, until = self._known
        return found.epoch == after.epoch == until.epoch and after.offset < found.offset <= until.offset
