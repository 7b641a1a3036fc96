"""One exchange of an HTTP/2 connection (RFC 9113 section 8.1): a request and its answer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

import h2.errors

MAX_UNREAD_BYTES = 4 * 1024 * 1024
"""Bytes of an answer that may wait for their reader; beyond, the exchange is reset."""


class Http2Error(ConnectionError):
    """Report how an exchange or its connection ended, in a few words."""


class ResetError(Http2Error):
    """Report that the server has reset an exchange (RST_STREAM).

    Attributes:
        code: name of the error code, such as `REFUSED_STREAM` (RFC 9113 section 7).
    """

    def __init__(self, code: int | None) -> None:
        self.code = code_name(code)
        super().__init__(f"was reset ({self.code})")


class Chunk(NamedTuple):
    """Part of an answer's body.

    Arguments:
        at: when it arrived, in ms of `server_clock.now()`.
        data: its bytes.
    """

    at: float
    data: bytes


class Head(NamedTuple):
    """Status and headers of an answer.

    Arguments:
        status: HTTP status.
        headers: names, in lower case, and values, in the order in which they were sent.
    """

    status: int
    headers: list[tuple[str, str]]


class Sender(Protocol):
    """The connection of an exchange, as far as an exchange needs it."""

    def room(self, number: int) -> int:
        """Return the number of bytes that an exchange may send now."""
        ...

    def send_data(self, number: int, data: bytes, ends: bool) -> None:
        """Send bytes of an exchange for which there is room."""
        ...

    def reset(self, number: int) -> None:
        """End an exchange that nobody needs any more."""
        ...


class Exchange:
    """A request and its answer. Iterate over it for the chunks of the answer's body.

    Attributes:
        error: how it ended before its time; None while it is open, or if it ended well.
        has_ended: whether the whole answer arrived.
    """

    def __init__(self, connection: Sender, number: int) -> None:
        self.error: Http2Error | None = None
        self.has_ended = False
        self._connection = connection
        self._number = number
        self._head: Head | None = None
        self._chunks: deque[Chunk] = deque()
        self._unread = 0
        self._changed = asyncio.Event()

    async def head(self) -> Head:
        """Return the status and the headers of the answer.

        Raises:
            Http2Error: if the exchange ended before.
        """
        while self._head is None:
            self._raise_if_over()
            await self._wait()
        return self._head

    async def read(self) -> Chunk | None:
        """Return the next chunk of the body; None at its end. A read that is cancelled loses nothing.

        Raises:
            Http2Error: if the exchange ends before its time.
        """
        while not self._chunks:
            if self.has_ended:
                return None
            self._raise_if_over()
            await self._wait()
        chunk = self._chunks.popleft()
        self._unread -= len(chunk.data)
        return chunk

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        """Yield the chunks of the body as they arrive; errors are those of `read`."""
        while (chunk := await self.read()) is not None:
            yield chunk

    async def send(self, data: bytes, ends: bool = False) -> None:
        """Send part of the request's body, as the server has room for it.

        Arguments:
            data: any number of bytes.
            ends: whether they are the last.

        Raises:
            Http2Error: if the exchange has ended.
        """
        while True:
            self._raise_if_over()
            room = self._connection.room(self._number)
            if data and not room:
                await self._wait()
                continue
            part, data = data[:room], data[room:]
            self._connection.send_data(self._number, part, ends and not data)
            if not data:
                return

    def add_head(self, head: Head) -> None:
        """Take the head of the answer."""
        self._head = self._head or head
        self._changed.set()

    def add_chunk(self, chunk: Chunk) -> None:
        """Take a chunk of the answer; reset the exchange if its reader is too slow."""
        self._unread += len(chunk.data)
        if self._unread > MAX_UNREAD_BYTES:
            self._connection.reset(self._number)
            self.end(Http2Error(f"over {MAX_UNREAD_BYTES} bytes wait"))
            return
        self._chunks.append(chunk)
        self._changed.set()

    def end(self, error: Http2Error | None = None) -> None:
        """Take the end of the answer."""
        if error is None:
            self.has_ended = True
        elif self.error is None and not self.has_ended:
            self.error = error
        self.wake()

    def wake(self) -> None:
        """Let a method that waits look again."""
        self._changed.set()

    def _raise_if_over(self) -> None:
        if self.error is not None:
            raise self.error
        if self.has_ended and self._head is None:
            raise Http2Error("ended without an answer")

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


def code_name(code: int | None) -> str:
    """Return the name of an error code (RFC 9113 section 7)."""
    try:
        return h2.errors.ErrorCodes(code or 0).name
    except ValueError:
        return f"error {code}"
