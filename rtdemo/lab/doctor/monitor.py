"""Follow normal streams: one for the whole run, or one until its first messages."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import NamedTuple

import msgspec

from rtdemo.lab.content_coding import Decoder
from rtdemo.lab.doctor.answers import check_stream
from rtdemo.lab.doctor.context import Context
from rtdemo.lab.doctor.errors import (
    NETWORK_ERRORS,
    AnswerError,
    EndedError,
    NotTestedError,
)
from rtdemo.lab.doctor.exchange import EVENT_STREAM, HTTP1, request
from rtdemo.lab.doctor.websocket_client import ClosedError, RefusedError, open_socket
from rtdemo.lab.server_clock import now
from rtdemo.protocol.client import Transport
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.event_stream import EventParser
from rtdemo.protocol.message import DECODE_ERRORS, Message, Position, parse_position

MAX_RECORDED_MESSAGES = 1000
"""Messages of one stream for which times and positions are kept; the oldest are dropped."""
STREAM_ERRORS = (*NETWORK_ERRORS, AnswerError, NotTestedError, RefusedError)
"""How a stream may not open, or end."""


class Arrived(NamedTuple):
    """A text of a stream; None for bytes before the first one.

    Arguments:
        at: when it arrived, in ms of `server_clock.now()`.
        text: the text.
    """

    at: float
    text: str | None


async def texts(
    context: Context, transport: Transport, version: str = HTTP1, position: str = "", url: str = ""
) -> AsyncGenerator[Arrived, None]:
    """Yield the texts of a stream, over either transport.

    Arguments:
        context: of the run.
        transport: of the stream.
        version: of HTTP.
        position: where in the log to resume; empty for a new client. It is sent as browsers do: over
            SSE in the header `Last-Event-ID`, over WebSocket in the query.
        url: of the stream; by default the address's own.

    Raises:
        EndedError: when the stream ends.
        ExpiredError: when the login token expires, which the context notes.
        Others of `STREAM_ERRORS`: if it does not open.
    """
    if transport == "websocket":
        query = {"last_event_id": position} if position else None
        async with (
            asyncio.timeout(context.patience) as opening,
            open_socket(
                context, url or context.address.stream(transport, query), version=version
            ) as socket,
        ):
            opening.reschedule(None)
            while True:
                try:
                    text = await socket.receive()
                except ClosedError as error:
                    if (error.code, error.reason) == Reason.TOKEN_EXPIRED.value:
                        raise context.note_expiry() from None
                    raise
                yield Arrived(text.last, text.text)
    resuming = {"Last-Event-ID": position} if position else {}
    headers: Mapping[str, str] = EVENT_STREAM | {"Accept-Encoding": "gzip, deflate"} | resuming
    async with (
        asyncio.timeout(context.patience) as opening,
        request(context, url or context.address.stream(transport), headers, version=version) as answer,
    ):
        is_stream = answer.status == 200 and answer.media_type == "text/event-stream"
        check_stream(context, answer, "" if is_stream else await answer.text())
        opening.reschedule(None)
        # Only the event that has not ended is kept, so the stream may have any length.
        parser, decoder = EventParser(), Decoder(answer.header("Content-Encoding"), None)
        async for chunk in answer.chunks(math.inf):
            events = parser.feed(decoder.feed(chunk.data))
            yield Arrived(chunk.at, None)
            for event in events:
                if event.type == "expired" and context.has("rtdemo"):
                    raise context.note_expiry()
                yield Arrived(chunk.at, event.data.decode(errors="replace"))
    raise EndedError


class StreamMonitor:
    """Follow one stream until it ends, and record when its messages arrived.

    Arguments:
        transport: of the stream.
        version: of HTTP.

    Attributes:
        opened_at: when the first bytes arrived, in ms of `server_clock.now()`; None before that.
        last_message_at: when the last bytes arrived, in ms.
        messages: number of messages received.
        error: how the stream ended; None while it is open.
        ended_at: when it ended, in ms.
        times: when each message arrived, by the local clock, and was sent, by the server's, in ms.
        shared_positions: positions of the shared messages, the latest last.
    """

    def __init__(self, transport: Transport, version: str) -> None:
        self.transport = transport
        self.version = version
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
        """Seconds from the first bytes to the end, or until now while the stream is open."""
        end = self.ended_at if self.error else now()
        return (end - self.opened_at) / 1000 if self.opened_at is not None else 0.0

    async def run(self, context: Context) -> None:
        """Read the stream until it ends or this task is cancelled."""
        try:
            async with aclosing(texts(context, self.transport, self.version)) as stream:
                async for arrived in stream:
                    self._record(arrived)
        except STREAM_ERRORS as error:
            self.error = error
            self.ended_at = now()
            self._changed.set()

    async def wait_for_first_message(self) -> None:
        """Wait until the first message arrived, or the stream ended."""
        while not self.messages and self.error is None:
            await self._wait()

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
            if self.error is not None:
                raise NotTestedError("the stream for comparison ended")
            await self._wait()
        return found

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _record(self, arrived: Arrived) -> None:
        self.last_message_at = arrived.at
        if self.opened_at is None:
            self.opened_at = arrived.at
        if arrived.text is not None:
            self.messages += 1
            message = decode_message(arrived.text)
            if message is not None:
                self.times.append((arrived.at, message.sent_at))
                position = position_of(message)
                # The welcome has a position and a client, but is no shared message.
                if position is not None and message.client is None:
                    self.shared_positions.append(position)
        self._changed.set()


def decode_message(text: str) -> Message | None:
    """Return a text as an rtdemo message; None if it is not one."""
    try:
        return msgspec.json.decode(text, type=Message)
    except DECODE_ERRORS:
        return None


def position_of(message: Message) -> Position | None:
    """Return a message's position in the log; None if it has none."""
    return parse_position(message.id) if message.id else None
