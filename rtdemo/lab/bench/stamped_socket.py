"""Read a TCP socket together with the time at which the kernel received the bytes.

Many connections receive messages at the same time, and a client reads them one after the other. With
the kernel's time, a latency does not include that wait, and is that of a packet capture. Linux has it
for TCP (SO_TIMESTAMPNS, socket(7)). Elsewhere, and with TLS, the time of reading counts.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from collections.abc import Iterable
from typing import Protocol

from rtdemo.lab import server_clock

READ_BYTES = 64 * 1024
MAX_WRITE_BYTES = 1024 * 1024
"""Waiting to be sent to a server that does not read; a connection over it is closed."""
MAX_WAIT_MS = 60_000.0
"""Between the arrival and the reading; a longer one shows that a clock was set."""
_SO_TIMESTAMPNS = 35
"""Socket option, and type of the control message: seconds and nanoseconds since the epoch."""
_TIMESPEC = struct.Struct("@qq")


class Receiver(Protocol):
    """What receives the bytes of a socket; its methods are those of `asyncio.Protocol`."""

    def received(self, data: bytes, at: float, is_stamped: bool) -> None:
        """Receive bytes.

        Arguments:
            data: the bytes.
            at: arrival, milliseconds of `server_clock.now`.
            is_stamped: whether the kernel took the time, not this process.
        """
        ...

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of the end: by an error, or by the server."""
        ...


class StampedSocket:
    """A connected socket that calls its receiver; it has the methods of a transport that bench uses.

    Arguments:
        sock: connected and non-blocking.
        receiver: of the bytes.
    """

    def __init__(self, sock: socket.socket, receiver: Receiver) -> None:
        self._sock = sock
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._unsent = b""
        self._is_open = True
        request_stamps(sock)
        self._loop.add_reader(sock.fileno(), self._read)

    def write(self, data: bytes) -> None:
        """Send bytes, or keep them until they can be sent."""
        if not self._is_open:
            return
        self._unsent += data
        self._send()
        if len(self._unsent) > MAX_WRITE_BYTES:
            self._lose(ConnectionError("the server does not read"))

    def abort(self) -> None:
        """Close the socket; the receiver is not called again."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self._sock.close()

    def _send(self) -> None:
        try:
            sent = self._sock.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lose(error)
            return
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self._loop.add_writer(self._sock.fileno(), self._send)
        else:
            self._loop.remove_writer(self._sock.fileno())

    def _read(self) -> None:
        try:
            data, ancillary, _, _ = self._sock.recvmsg(READ_BYTES, socket.CMSG_SPACE(_TIMESPEC.size))
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if not data:
            self._lose(None)
            return
        now = server_clock.now()
        waited = waiting_time(ancillary)
        self._receiver.received(data, now - (waited or 0.0), waited is not None)

    def _lose(self, error: Exception | None) -> None:
        if self._is_open:
            self.abort()
            self._receiver.connection_lost(error)


def request_stamps(sock: socket.socket) -> None:
    """Ask the kernel for the time of arrival, where it has one."""
    if sys.platform == "linux":
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        except OSError:
            return


def waiting_time(ancillary: Iterable[tuple[int, int, bytes]]) -> float | None:
    """Return the milliseconds between the arrival of bytes and now; None if it is unknown.

    Arguments:
        ancillary: control messages of `recvmsg`.
    """
    for level, kind, data in ancillary:
        if (level, kind, len(data)) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS, _TIMESPEC.size):
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            waited = (time.time_ns() - seconds * 1_000_000_000 - nanoseconds) / 1e6
            return waited if 0 <= waited <= MAX_WAIT_MS else None
    return None
