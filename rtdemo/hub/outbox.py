"""Write to a client without waiting: to the kernel at once, and the rest through the transport."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from typing import Protocol

from rtdemo.timing.schedule import Clock, Timer

OUTBOX_LIMIT_BYTES = 256 * 1024
"""Bytes that may wait for a client in its transport's buffer."""
OUTBOX_TIMEOUT_S = 10.0
"""Seconds for which the outbox may stay over its limit; then the connection ends as too slow."""

SHARED_BYTES = 4096
"""Writes of this size or more wait as they are: many connections may share the object."""
JOINED_BYTES = 16 * 1024
"""Shorter writes that wait are joined up to this size: an object for each costs more than its bytes."""


class Outbox(Protocol):
    """What a connection writes to."""

    def write(self, data: bytes, /) -> bool:
        """Take bytes; return whether some have to wait."""
        ...

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that wait."""
        ...

    def is_closing(self) -> bool:
        """Return whether nothing more can be written."""
        ...


class SocketOutbox(asyncio.BaseProtocol):
    """Write to a plain socket past its transport, but never before what waits already.

    uvloop keeps writes until the end of the loop's turn, which costs more than a direct system call:
    one message to 5,000 clients took 8.9 us of CPU a delivery through it, and takes 7.9 us directly.

    This is the transport's protocol too: the transport reports by `pause_writing` when something
    waits, and by `resume_writing` when nothing waits any more. So `write` does not have to ask.

    The transport gets one piece at a time, and the rest waits here. A transport keeps several objects
    for each write: 256 KiB of short messages took up to 1 MiB there.

    Arguments:
        transport: of an open connection. With TLS everything goes through it.

    Attributes:
        is_lost: whether `connection_lost` was called.
        transport: as given.
    """

    # The file number stays that of this connection until `connection_lost`, which the transport calls
    # before it closes the file; after that nothing is written.
    __slots__ = ("_file", "_is_waiting", "_queue", "_queued", "is_lost", "transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        sock = transport.get_extra_info("socket")
        plain = transport.get_extra_info("sslcontext") is None
        self._file = sock.fileno() if sock is not None and plain else -1
        # Whether bytes wait in the transport, and those that wait behind them; None while none do.
        self._is_waiting = False
        self._queue: list[bytes | bytearray] | None = None
        self._queued = 0
        self.is_lost = False
        self.transport = transport

    def start(self, first: bytes) -> None:
        """Become the transport's protocol, and hold what is written until `release`.

        Arguments:
            first: what the peer gets first. With the first message in one segment, a connect costs one
                system call less.
        """
        self.transport.set_protocol(self)
        self._is_waiting = True
        self._queue, self._queued = [bytearray(first)], len(first)

    def release(self) -> None:
        """Write what was held, and hold nothing from now on."""
        is_encrypted = self._file < 0 and self.transport.get_extra_info("sslcontext") is not None
        # TLS pauses at the limit, and not above it: at 0 it would pause and resume at every other write.
        self.transport.set_write_buffer_limits(high=int(is_encrypted), low=0)
        self._is_waiting = self.transport.get_write_buffer_size() > 0
        if self._is_waiting:
            self.hand_over()
        else:
            self._write_queue()

    def write(self, data: bytes | bytearray, /) -> bool:
        """Take bytes; return whether some have to wait."""
        if self._is_waiting:
            self._enqueue(data)
            return True
        if self._file >= 0:
            try:
                sent = os.write(self._file, data)
            except OSError:
                sent = 0  # full, or broken: the transport waits, or finds and reports the error
            if sent == len(data):
                return False
            data = data[sent:]
        if not self.transport.is_closing():
            self.transport.write(data)
        return True

    def hand_over(self) -> None:
        """Give the transport all that waits here; do this before it closes or ends the stream."""
        queue, self._queue, self._queued = self._queue, None, 0
        if queue is not None and not self.transport.is_closing():
            self.transport.write(b"".join(queue))

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that wait."""
        return self._queued + self.transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        """Return whether nothing more can be written."""
        return self.transport.is_closing()

    def pause_writing(self) -> None:
        """Note that bytes wait in the transport."""
        self._is_waiting = True

    def resume_writing(self) -> None:
        """Write what has waited behind the transport's bytes, until it has to wait again."""
        self._is_waiting = False
        self._write_queue()

    def connection_lost(self, exc: Exception | None) -> None:
        """Write nothing any more."""
        self._file = -1
        self._queue, self._queued = None, 0
        self.is_lost = True

    def _enqueue(self, data: bytes | bytearray) -> None:
        """Keep bytes: large ones as the object that all connections share, short ones joined."""
        if self._queue is None:
            self._queue = []
        queue, size = self._queue, len(data)
        self._queued += size
        if size >= SHARED_BYTES:
            queue.append(data)
        elif queue and type(queue[-1]) is bytearray and len(queue[-1]) + size <= JOINED_BYTES:
            queue[-1] += data
        else:
            queue.append(bytearray(data))

    def _write_queue(self) -> None:
        while self._queue is not None and not self._is_waiting:
            data = self._queue.pop(0)
            if not self._queue:
                self._queue = None
            self._queued -= len(data)
            self.write(data)


class Throttle:
    """Delay what is written to an outbox, in order, for fault injection.

    Delayed bytes count as waiting: the outbox's limits apply as for a client that reads slowly.

    Arguments:
        outbox: takes the bytes in the end.
        clock: times the delay.
        has_ended: returns whether the connection has ended. Delayed bytes are dropped then, since
            nothing may follow a close frame.

    Attributes:
        delay: seconds by which each write is late.
    """

    def __init__(self, outbox: Outbox, clock: Clock, has_ended: Callable[[], bool]) -> None:
        self.delay = 0.0
        self.is_closing = outbox.is_closing
        self._outbox = outbox
        self._clock = clock
        self._has_ended = has_ended
        self._delayed: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._stopped_until = 0.0
        self._timer: Timer | None = None

    def stop(self, seconds: float) -> None:
        """Write nothing for so many seconds; what is delayed already waits too."""
        self._stopped_until = self._clock.time() + seconds

    def release(self) -> None:
        """Write everything now, and delay nothing from now on."""
        self.delay = self._stopped_until = 0.0
        self._delayed = deque((0.0, data) for _, data in self._delayed)
        self._write_due()

    def write(self, data: bytes, /) -> bool:
        """Take bytes; return whether some have to wait."""
        due = max(self._clock.time() + self.delay, self._stopped_until)
        if not self._delayed and due <= self._clock.time():
            return self._outbox.write(data)
        self._delayed.append((due, data))
        self._size += len(data)
        self._set_timer()
        return True

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that wait here or in the outbox."""
        return self._size + self._outbox.get_write_buffer_size()

    def _set_timer(self) -> None:
        if self._timer is None and self._delayed:
            due = max(self._delayed[0][0], self._stopped_until)
            self._timer = self._clock.call_at(due, self._write_due)

    def _write_due(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._has_ended() or self.is_closing():
            self._delayed.clear()
            self._size = 0
        now = self._clock.time()
        while self._delayed and max(self._delayed[0][0], self._stopped_until) <= now:
            _, data = self._delayed.popleft()
            self._size -= len(data)
            self._outbox.write(data)
        self._set_timer()
