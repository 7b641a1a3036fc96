"""Read one stream over one connection, without reconnecting, and monitor a stream for a whole run."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

import aiohttp
import msgspec

from rtdemo.lab.doctor.errors import (
    NETWORK_ERRORS,
    NotTestedError,
    StreamError,
    check_status,
    describe,
)
from rtdemo.lab.event_stream import Event, EventParser
from rtdemo.lab.server_clock import now
from rtdemo.protocol.client import Transport
from rtdemo.protocol.message import Message, Position, parse_position

OPEN_TIMEOUT_S = 10.0
"""Seconds for a stream to open."""
BROWSER_HEADERS = {"Accept": "text/event-stream", "Accept-Encoding": "gzip, deflate"}
"""Headers with which a browser asks for an event stream."""
MAX_RECEIVED_BYTES = 4 * 1024 * 1024
"""Bytes of the largest WebSocket message that is read: the server may be any."""
MAX_RECORDED_MESSAGES = 1000
"""Messages of one stream for which times and positions are kept; the oldest are dropped."""
ABNORMAL_CLOSURE = 1006
"""Close code of a WebSocket that ended without a close frame (RFC 6455 section 7.1.5)."""


class StreamMonitor:
    """Follow one stream until it ends, and record when its messages arrived.

    Arguments:
        transport: of the stream.
        url: of the stream.

    Attributes:
        opened_at: when the first message arrived, in ms of `server_clock.now()`; None before that.
        last_message_at: when the last message arrived, in ms.
        messages: number of messages received.
        error: how the stream ended; None while it is open.
        ended_at: when it ended, in ms.
        times: when each message arrived, by the local clock, and was sent, by the server's, in ms.
        shared_positions: positions of the shared messages, the latest last.
    """

    def __init__(self, transport: Transport, url: str) -> None:
        self.transport = transport
        self.url = url
        self.opened_at: float | None = None
        self.last_message_at = now()
        self.messages = 0
        self.error: Exception | None = None
        self.ended_at = 0.0
        self.times: deque[tuple[float, float]] = deque(maxlen=MAX_RECORDED_MESSAGES)
        self.shared_positions: deque[Position] = deque(maxlen=MAX_RECORDED_MESSAGES)
        self._changed = asyncio.Event()

    @property
    def lifetime(self) -> float:
        """Seconds from the first message to the end, or until now while the stream is open."""
        end = self.ended_at if self.error else now()
        return (end - self.opened_at) / 1000 if self.opened_at is not None else 0.0

    async def run(self, http: aiohttp.ClientSession) -> None:
        """Read the stream until it ends or this task is cancelled."""
        try:
            async with aclosing(texts(http, self.transport, self.url)) as stream:
                async for text in stream:
                    self._record(text)
        except (*NETWORK_ERRORS, NotTestedError) as error:
            self.error = error
            self.ended_at = now()
            self._changed.set()

    async def wait_for_first_message(self) -> None:
        """Wait until the first message arrived, or the stream ended."""
        while self.opened_at is None and self.error is None:
            self._changed.clear()
            await self._changed.wait()

    async def wait_for_shared_after(self, position: Position) -> list[Position]:
        """Wait for shared messages after a position in the log; return their positions.

        Raises:
            NotTestedError: if the stream ends before.
        """
        while not (
            found := [
                shared
                for shared in self.shared_positions
                if shared.epoch == position.epoch and shared > position
            ]
        ):
            self._changed.clear()
            await self._changed.wait()
            if self.error is not None:
                raise NotTestedError(f"the stream for comparison {describe(self.error)}")
        return found

    def _record(self, text: str) -> None:
        self.last_message_at = now()
        if self.opened_at is None:
            self.opened_at = self.last_message_at
        self.messages += 1
        message = decode_message(text)
        if message is not None:
            self.times.append((self.last_message_at, message.sent_at))
            position = position_of(message)
            # The welcome has a position and a client, but is no shared message.
            if position is not None and message.client is None:
                self.shared_positions.append(position)
        self._changed.set()


async def events(
    http: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None
) -> AsyncGenerator[Event | None, None]:
    """Yield None at the first byte of an event stream, then each event.

    Arguments:
        headers: request headers beside those of a browser.

    Raises:
        NotTestedError: if the server limits how often probes may run.
        StreamError: if the response is not an event stream, or when the stream ends.
    """
    request_headers = BROWSER_HEADERS | (headers or {})
    async with (
        asyncio.timeout(OPEN_TIMEOUT_S) as opening,
        http.get(url, headers=request_headers) as response,
    ):
        await check_status(response)
        if response.content_type != "text/event-stream":
            raise StreamError(f"sends {response.content_type}, not an event stream")
        opening.reschedule(None)
        parser = EventParser()
        is_first = True
        while chunk := await response.content.readany():
            if is_first:
                yield None
                is_first = False
            for event in parser.feed(chunk):
                yield event
    raise StreamError("ended")


async def texts(
    http: aiohttp.ClientSession, transport: Transport, url: str, position: str = ""
) -> AsyncGenerator[str, None]:
    """Yield the text of each message of a stream, over either transport.

    Arguments:
        position: where in the log to resume; empty for a new client. It is sent as browsers do: over
            SSE in the header `Last-Event-ID`, over WebSocket in the query.

    Raises:
        StreamError: if the stream does not open, or when it ends.
    """
    if transport == "sse":
        headers = {"Last-Event-ID": position} if position else {}
        async with aclosing(events(http, url, headers)) as stream:
            async for event in stream:
                if event is not None:
                    yield event.data.decode(errors="replace")
        return
    params = {"last_event_id": position} if position else {}
    timeout = aiohttp.ClientWSTimeout(ws_close=1.0)
    async with (
        asyncio.timeout(OPEN_TIMEOUT_S) as opening,
        http.ws_connect(url, params=params, timeout=timeout, max_msg_size=MAX_RECEIVED_BYTES) as socket,
    ):
        opening.reschedule(None)
        async for frame in socket:
            if frame.type is aiohttp.WSMsgType.TEXT:
                yield frame.data
        code = socket.close_code or ABNORMAL_CLOSURE
        raise StreamError("was cut" if code == ABNORMAL_CLOSURE else f"was closed with code {code}")


def decode_message(text: str) -> Message | None:
    """Return a text as an rtdemo message; None if it is not one."""
    try:
        return msgspec.json.decode(text, type=Message)
    except msgspec.DecodeError:
        return None


def position_of(message: Message) -> Position | None:
    """Return a message's position in the log; None if it has none."""
    return parse_position(message.id) if message.id else None
