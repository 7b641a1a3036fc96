"""Watch a normal stream of a server from the beginning of a run to its end."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing

import aiohttp
import msgspec

from rtdemo import position
from rtdemo.client import Transport
from rtdemo.lab.doctor.outcome import FAULTS, NotTestedError, describe
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
    return position.parse(message.id) if message.id else None
