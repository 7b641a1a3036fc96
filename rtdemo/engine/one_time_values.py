"""Values that are taken once, by whichever server is asked first; for the login tickets."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from rtdemo.errors import Unavailable

MAX_VALUES = 100_000
"""Values that a process keeps at once, at about 300 bytes each; a further one is refused."""


class OneTimeValues(Protocol):
    """Keep values until they are taken, or for a time."""

    async def put(self, name: str, value: str, seconds: float) -> None:
        """Keep a value under a name that is new.

        Raises:
            Unavailable: it cannot be kept now.
        """

    async def take(self, name: str) -> str | None:
        """Return and forget a value; None if there is none any more. It returns each value once.

        Raises:
            Unavailable: it cannot be read now.
        """
        ...


class MemoryValues:
    """Keep the values of a single process.

    Arguments:
        now: returns the time, in milliseconds since the Unix epoch.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        # By name: the time at which it expires, in ms, and the value. The oldest is first.
        self._values: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def put(self, name: str, value: str, seconds: float) -> None:
        """Keep a value under a name that is new."""
        now = self._now()
        while self._values and next(iter(self._values.values()))[0] <= now:
            self._values.popitem(last=False)
        if len(self._values) >= MAX_VALUES:
            raise Unavailable(f"{MAX_VALUES} values are kept already")
        self._values[name] = now + seconds * 1000, value

    async def take(self, name: str) -> str | None:
        """Return and forget a value; None if there is none any more."""
        expires, value = self._values.pop(name, (0.0, None))
        return value if self._now() < expires else None
