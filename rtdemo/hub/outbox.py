"""Write to a client without waiting: to the kernel at once, and the rest through the transport."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol

from rtdemo.timing.schedule import Clock, Timer

NOT_SENT = getattr(socket, "TCP_NOTSENT_LOWAT", 0)
NOT_SENT_BYTES = 64 * 1024
"""Bytes that wait in the kernel without having been sent."""


class Outbox(Protocol):
    """What a connection writes to."""

    def write(self, data: bytes, /) -> bool:
        """Take bytes; return whether some have to wait."""
        ...

    def get_write_buffer_size(self) -> int:
        """Return the bytes that the peer has not taken yet."""
        ...

    def is_closing(self) -> bool:
        """Tell whether nothing more can be written."""
        ...


class SocketOutbox:
    """Write to a plain socket, beside its transport and never before what waits there.

    uvloop keeps writes until the end of the turn, which costs more than the system call's way around
    it: one message to 5,000 clients took 8.9 us of CPU a delivery that way, and takes 7.9 this way.

    Arguments:
        transport: without TLS; it must not be closing at a write, since its file number may be
            somebody else's then.
    """

    __slots__ = ("_file", "_write", "get_write_buffer_size", "is_closing")

    def __init__(self, transport: asyncio.Transport) -> None:
        sock = transport.get_extra_info("socket")
        plain = transport.get_extra_info("sslcontext") is None
        if sock is not None and sock.family != socket.AF_UNIX and NOT_SENT:
            # Else the kernel holds megabytes for a slow reader, and is writable again only when a third
            # of them is read: 1 MB at 100 kB/s outlasts every patience with a full outbox.
            sock.setsockopt(socket.IPPROTO_TCP, NOT_SENT, NOT_SENT_BYTES)
        self._file = sock.fileno() if sock is not None and plain else -1
        self._write = transport.write
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.is_closing = transport.is_closing

    def write(self, data: bytes, /) -> bool:
        """Take bytes; return whether some have to wait."""
        sent = 0
        # By a name of its own: CPython calls what a slot holds much slower by attribute.
        waiting = self.get_write_buffer_size
        if not waiting():
            try:
                sent = os.write(self._file, data)
            except OSError:
                sent = 0  # full, or broken: the transport waits, or finds out and tells
            if sent == len(data):
                return False
        self._write(data[sent:])
        return True


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
