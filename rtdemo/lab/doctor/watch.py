"""Watch a normal stream of a server from the beginning of a run to its end."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing

import aiohttp
import msgspec

from rtdemo import position
from rtdemo.client import Transport
from rtdemo.lab.doctor.outcome import FAULTS, NotTestedError, StreamError, describe
from rtdemo.lab.doctor.streams import texts
from rtdemo.lab.server_clock import now
from rtdemo.message import Message
from rtdemo.position import Position

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
        ended: how it ended; empty while it is open.
        times: when messages came and were sent, each by its own clock, in ms.
        shared: the positions of shared messages, the latest last.
    """

    def __init__(self, transport: Transport, url: str) -> None:
        self.transport = transport
        self.url = url
        self.opened: float | None = None
        self.heard = now()
        self.messages = 0
        self.ended = ""
        self.ended_at = 0.0
        self.times: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self.shared: deque[Position] = deque(maxlen=KEPT)
        self._changed = asyncio.Event()

    async def run(self, http: aiohttp.ClientSession) -> None:
        """Read it until it ends or this is cancelled."""
        try:
            async with aclosing(texts(http, self.transport, self.url)) as stream:
                async for text in stream:
                    self._take(text)
        except (*FAULTS, NotTestedError) as error:
            self.ended = describe(error) or str(error)
            self.ended_at = now()
            self._changed.set()

    async def begun(self) -> None:
        """Wait until its first message came, or it ended."""
        while self.opened is None and not self.ended:
            self._changed.clear()
            await self._changed.wait()

    async def shared_behind(self, place: Position) -> list[Position]:
        """Wait for shared messages behind a place in the log; return their positions."""
        while not (found := [p for p in self.shared if p.offset > place.offset]):
            self._changed.clear()
            await self._changed.wait()
            if self.ended:
                raise StreamError(f"the stream that stays {self.ended}")
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
    return position.parse(message.id) if message.id else None
