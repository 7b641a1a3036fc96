"""Hold a client's bytes back on purpose, so that one sees what a transport does when the line is bad."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from rtdemo.outbox import Outbox
from rtdemo.schedule import Clock, Timer


class Throttle:
    """Stand before an outbox and pass bytes on late, in their order.

    What is held counts as waiting: the outbox's limits apply as to a client that reads slowly.

    Arguments:
        outbox: where the bytes go in the end.
        clock: tells when.
        is_over: whether the connection has ended; what is held then is dropped, since a close frame
            may be out already.

    Attributes:
        delay: seconds by which each write is late.
    """

    def __init__(self, outbox: Outbox, clock: Clock, is_over: Callable[[], bool]) -> None:
        self.delay = 0.0
        self.is_closing = outbox.is_closing
        self._outbox = outbox
        self._clock = clock
        self._is_over = is_over
        self._held: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._stopped_until = 0.0
        self._timer: Timer | None = None

    def stop(self, seconds: float) -> None:
        """Pass nothing on for so long; what is held already waits too."""
        self._stopped_until = self._clock.time() + seconds

    def release(self) -> None:
        """Pass everything on now, and hold nothing from here on."""
        self.delay = self._stopped_until = 0.0
        self._held = deque((0.0, data) for _, data in self._held)
        self._pass_on()

    def write(self, data: bytes, /) -> bool:
        """Take bytes; return whether some have to wait."""
        due = max(self._clock.time() + self.delay, self._stopped_until)
        if not self._held and due <= self._clock.time():
            return self._outbox.write(data)
        self._held.append((due, data))
        self._size += len(data)
        self._wait()
        return True

    def get_write_buffer_size(self) -> int:
        """Return the bytes that are held here or were not taken by the peer yet."""
        return self._size + self._outbox.get_write_buffer_size()

    def _wait(self) -> None:
        if self._timer is None and self._held:
            due = max(self._held[0][0], self._stopped_until)
            self._timer = self._clock.call_at(due, self._pass_on)

    def _pass_on(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_over() or self.is_closing():
            self._held.clear()
            self._size = 0
        now = self._clock.time()
        while self._held and max(self._held[0][0], self._stopped_until) <= now:
            _, data = self._held.popleft()
            self._size -= len(data)
            self._outbox.write(data)
        self._wait()
