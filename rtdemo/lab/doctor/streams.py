"""Read a stream over one connection, without coming back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

import aiohttp
import msgspec

from rtdemo.lab.doctor.errors import FAULTS, NotTestedError, StreamError, check_status, describe
from rtdemo.lab.event_stream import Event, EventParser
from rtdemo.lab.server_clock import now
from rtdemo.protocol.client import Transport
from rtdemo.protocol.message import Message, Position, parse_position

OPENING = 10.0
"""Seconds for a stream to open."""
AS_A_BROWSER = {"Accept": "text/event-stream", "Accept-Encoding": "gzip, deflate"}
MAX_MESSAGE = 4 * 1024 * 1024


async def events(
    http: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None
) -> AsyncGenerator[Event | None, None]:
    """Give what comes on an event stream; None is its first byte.

    Raises:
        StreamError: when it is none, or ends.
    """
    asked = AS_A_BROWSER | (headers or {})
    async with asyncio.timeout(OPENING) as opening, http.get(url, headers=asked) as answer:
        await check_status(answer)
        if answer.content_type != "text/event-stream":
            raise StreamError(f"sends {answer.content_type}, no event stream")
        opening.reschedule(None)
        parser = EventParser()
        is_first = True
        while chunk := await answer.content.readany():
            if is_first:
                yield None
                is_first = False
            for event in parser.feed(chunk):
                yield event
    raise StreamError("ended")


async def texts(
    http: aiohttp.ClientSession, transport: Transport, url: str, position: str = ""
) -> AsyncGenerator[str, None]:
    """Give the texts of a stream of either transport.

    Arguments:
        position: behind which it goes on; over SSE the header tells it, as browsers do.

    Raises:
        StreamError: when it does not open, or ends.
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
        asyncio.timeout(OPENING) as opening,
        http.ws_connect(url, params=params, timeout=timeout, max_msg_size=MAX_MESSAGE) as socket,
    ):
        opening.reschedule(None)
        async for frame in socket:
            if frame.type is aiohttp.WSMsgType.TEXT:
                yield frame.data
        code = socket.close_code or 1006
        raise StreamError("was cut" if code == 1006 else f"was closed with code {code}")


KEPT = 1000
"""Messages whose time is kept."""


class Watch:
    """Keep account of one stream.

    Arguments:
        transport: over which it comes.
        url: its address.

    Attributes:
        opened: when its first text came, in ms of `server_clock.now()`; None while there is none.
        heard: when its last one came.
        messages: how many came.
        error: how it ended; None while it is open.
        ended: when.
        times: when messages came and were sent, each by its own clock, in ms.
        shared: the positions of shared messages, the latest last.
    """

    def __init__(self, transport: Transport, url: str) -> None:
        self.transport = transport
        self.url = url
        self.opened: float | None = None
        self.heard = now()
        self.messages = 0
        self.error: Exception | None = None
        self.ended = 0.0
        self.times: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self.shared: deque[Position] = deque(maxlen=KEPT)
        self._changed = asyncio.Event()

    @property
    def lived(self) -> float:
        """Seconds since its first message, up to its end."""
        end = self.ended if self.error else now()
        return (end - self.opened) / 1000 if self.opened is not None else 0.0

    async def run(self, http: aiohttp.ClientSession) -> None:
        """Read it until it ends or this is cancelled."""
        try:
            async with aclosing(texts(http, self.transport, self.url)) as stream:
                async for text in stream:
                    self._take(text)
        except (*FAULTS, NotTestedError) as error:
            self.error = error
            self.ended = now()
            self._changed.set()

    async def begun(self) -> None:
        """Wait until its first message came, or it ended."""
        while self.opened is None and self.error is None:
            self._changed.clear()
            await self._changed.wait()

    async def shared_behind(self, place: Position) -> list[Position]:
        """Wait for shared messages behind a place in the log; return their positions."""
        while not (found := [p for p in self.shared if p.epoch == place.epoch and p > place]):
            self._changed.clear()
            await self._changed.wait()
            if self.error is not None:
                raise NotTestedError(f"the stream to compare with {describe(self.error)}")
        return found

    def _take(self, text: str) -> None:
        self.heard = now()
        if self.opened is None:
            self.opened = self.heard
        self.messages += 1
        message = read(text)
        if message is not None:
            self.times.append((self.heard, message.sent_at))
            place = place_of(message)
            if place is not None and message.client is None:
                self.shared.append(place)
        self._changed.set()


def read(text: str) -> Message | None:
    """Return a message of rtdemo; None where it is another server's."""
    try:
        return msgspec.json.decode(text, type=Message)
    except msgspec.DecodeError:
        return None


def place_of(message: Message) -> Position | None:
    """Return a message's place in the log, if it has one."""
    return parse_position(message.id) if message.id else None
