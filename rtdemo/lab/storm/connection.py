"""One attempt of a client: connect, open a stream, and receive it until it ends."""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from collections.abc import Callable
from typing import cast

import msgspec

from rtdemo.errors import printable
from rtdemo.lab.bench.connection import Endpoint
from rtdemo.lab.bench.response_head import HeadError, HeadReader, ResponseHead
from rtdemo.lab.bench.stream_reader import BodyReader, StreamEnd, StreamReader, new_reader
from rtdemo.protocol.client import Transport

_OPENED: dict[Transport, int] = {"websocket": 101, "sse": 200}
MAX_LOCATION_CHARS = 150
"""Characters of an address to which a server redirects that are shown."""
_MAX_RETRY_AFTER_DIGITS = 6
"""Longer numbers in `Retry-After` are as good as none: they are over eleven days."""


class Failure(msgspec.Struct, frozen=True):
    """Why an attempt opened no stream.

    Arguments:
        reason: in a few words, such as `connection refused` or `503`.
        status: HTTP status; 0 without an answer.
        retry_after_s: `Retry-After` in seconds; None without one.
    """

    reason: str
    status: int = 0
    retry_after_s: float | None = None


class Stream(asyncio.Protocol):
    """Protocol of one attempt.

    Arguments:
        endpoint: where it connects.
        resume: position or event id after which the stream should continue; empty for none.
        connected: called when TCP is connected.
        receive: called with each payload.

    Attributes:
        opened: done with None when the head of the answer has opened a stream, or with the failure.
        ended: done when the connection has ended.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        resume: str,
        connected: Callable[[], object],
        receive: Callable[[bytes], object],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[Failure | None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._endpoint = endpoint
        self._resume = resume
        self._connected = connected
        self._receive = receive
        self._head: HeadReader | None = HeadReader()
        self._reader: StreamReader | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def retry_s(self) -> float | None:
        """Seconds of the event stream's last `retry:`; None without one."""
        reader = self._reader
        if not isinstance(reader, BodyReader) or reader.parser.retry is None:
            return None
        return reader.parser.retry / 1000

    @property
    def last_event_id(self) -> str:
        """The event stream's last id; empty without one."""
        return self._reader.parser.last_id if isinstance(self._reader, BodyReader) else ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        # uvloop's transport has the methods, but not the base class.
        self._transport = cast("asyncio.Transport", transport)
        self._connected()
        request = resuming(self._endpoint, self._resume)
        if self._endpoint.transport == "websocket":
            request += f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}\r\n"
        self._write(f"{request}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """Receive the head of the answer, then payloads."""
        if self._reader is None:
            data = self._read_head(data)
            if not data or self._reader is None:
                return
        try:
            payloads = self._reader.feed(data)
        except StreamEnd as end:
            payloads = end.payloads
            self.close()
        except ValueError:
            # No client accepts these bytes.
            self.close()
            return
        for payload in payloads:
            self._receive(payload)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _read_head(self, data: bytes) -> bytes:
        """Return the bytes after the head, or nothing while it is incomplete or opens no stream."""
        if self._head is None:
            return b""  # it opened no stream
        try:
            head = self._head.feed(data)
        except HeadError as error:
            self._fail(Failure(str(error)))
            return b""
        if head is None:
            return b""
        self._head = None
        failure = _failure(self._endpoint.transport, head)
        if failure is not None:
            self._fail(failure)
            return b""
        self._reader = new_reader(self._endpoint.transport, head, self._write)
        if not self.opened.done():
            self.opened.set_result(None)
        if head.length == 0:
            self.close()
        return head.rest

    def _fail(self, why: Failure) -> None:
        if not self.opened.done():
            self.opened.set_result(why)
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end."""
        if not self.opened.done():
            self.opened.set_result(Failure("cut before an answer"))
        if not self.ended.done():
            self.ended.set_result(None)

    def close(self) -> None:
        """Close the connection from this side."""
        if not self.ended.done():
            self.ended.set_result(None)
        if self._transport is not None:
            self._transport.abort()


def resuming(endpoint: Endpoint, resume: str) -> str:
    """Return the head of a request that continues after a position.

    Arguments:
        endpoint: has the request.
        resume: position or event id; empty for none.
    """
    if not resume:
        return endpoint.request
    if endpoint.transport == "sse":
        return f"{endpoint.request}Last-Event-ID: {resume}\r\n"
    target, version, rest = endpoint.request.partition(" HTTP/1.1\r\n")
    joint = "&" if "?" in target else "?"
    return f"{target}{joint}last_event_id={resume}{version}{rest}"


def _failure(transport: Transport, head: ResponseHead) -> Failure | None:
    """Return why an answer opens no stream; None if it does."""
    if not head.status[:3].isdigit():
        return Failure("does not speak HTTP/1.1")
    status = int(head.status[:3])
    if status != _OPENED[transport]:
        location = head.fields.get(b"location", b"").partition(b"?")[0]
        if 300 <= status < 400 and location:
            shown = printable(location.decode(errors="replace"))[:MAX_LOCATION_CHARS]
            return Failure(f"it redirects to {shown}", status)
        later = head.fields.get(b"retry-after", b"")
        known = later.isdigit() and len(later) <= _MAX_RETRY_AFTER_DIGITS
        return Failure(str(status), status, float(later) if known else None)
    if transport == "sse" and head.media_type != b"text/event-stream":
        return Failure("200, but no event stream", status)
    return None
