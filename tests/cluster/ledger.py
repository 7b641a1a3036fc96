"""Keep account of what one client gets of the log, across all its connections."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

import aiohttp

from rtdemo.protocol.message import Position, parse_position

FIRST_PAUSE, LAST_PAUSE = 0.1, 2.0
FAULTS = (aiohttp.ClientError, OSError, TimeoutError)
SILENCE = 8.0
"""Seconds without a message after which a client comes back of itself: its server may be frozen."""


class Ledger:
    """Count what came twice, out of order or not at all.

    Attributes:
        last: the position that was reached.
        texts, sent_at: by position, what was received and when it was sent, in ms.
        repeated: messages at or before the position that was reached.
        missing: positions that were jumped over, and changes of epoch, without a word.
        told: how often the server said that messages are lost.
        connects: connections that got their welcome.
        refused: tries that got none.
    """

    def __init__(self) -> None:
        self.last: Position | None = None
        self.texts: dict[Position, str] = {}
        self.sent_at: dict[Position, float] = {}
        self.repeated = 0
        self.missing = 0
        self.told = 0
        self.connects = 0
        self.refused = 0

    def take(self, message: dict[str, Any]) -> None:
        """Note a message."""
        if "client" in message:
            self.connects += 1
        position = parse_position(message["id"]) if "id" in message else None
        if position is None:
            return
        if "client" in message:
            # A browser keeps the welcome's id as its last: another one would hide what lies between.
            self.missing += self.last not in (None, position)
            self.last = position
        elif message.get("lost"):
            self.told += 1
            self.last = position
        else:
            # Also what came before a word of loss is not to come again.
            self.repeated += position in self.texts and self.last is not None and position > self.last
            self._count(position)
            self.texts[position] = message["message"]
            self.sent_at[position] = message["sentAt"]

    def has_reached(self, end: Position) -> bool:
        """Tell whether it stands at a position or behind it; where it was told of a loss, without it."""
        return self.last is not None and self.last.epoch == end.epoch and self.last.offset >= end.offset

    def _count(self, position: Position) -> None:
        assert self.last is not None
        if position.epoch != self.last.epoch:
            self.missing += 1
        elif position.offset <= self.last.offset:
            self.repeated += 1
        else:
            self.missing += position.offset - self.last.offset - 1
        self.last = position


class Client:
    """Follow a server over one transport, come back whenever the connection ends, and resume."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, transport: Literal["websocket", "sse"]
    ) -> None:
        self.http = http
        self.url = url
        self.transport = transport
        self.ledger = Ledger()
        self.is_connected = False
        self._open: aiohttp.ClientResponse | aiohttp.ClientWebSocketResponse | None = None

    async def run(self) -> None:
        """Follow until cancelled."""
        pause = FIRST_PAUSE
        while True:
            before = self.ledger.connects
            with suppress(*FAULTS):
                await self._connect()
            self._open = None
            self.is_connected = False
            if self.ledger.connects > before:
                pause = FIRST_PAUSE
            else:
                self.ledger.refused += 1
                pause = min(pause * 2, LAST_PAUSE)
            await asyncio.sleep(random.uniform(pause / 2, pause))

    def cut(self) -> None:
        """Break the connection without a word, as a network does."""
        opened = self._open
        if isinstance(opened, aiohttp.ClientWebSocketResponse):
            opened._response.close()
        elif opened is not None:
            opened.close()

    async def _connect(self) -> None:
        opening = self._websocket if self.transport == "websocket" else self._sse
        async with opening() as messages:
            while True:
                async with asyncio.timeout(SILENCE):
                    message = await anext(messages, None)
                if message is None:
                    return
                self.ledger.take(json.loads(message))
                self.is_connected = True

    @asynccontextmanager
    async def _websocket(self) -> AsyncIterator[AsyncIterator[str]]:
        query = f"?last_event_id={self.ledger.last}" if self.ledger.last else ""
        async with self.http.ws_connect(f"{self.url}/ws{query}") as socket:
            self._open = socket

            async def texts() -> AsyncIterator[str]:
                async for frame in socket:
                    if frame.type is aiohttp.WSMsgType.TEXT:
                        yield frame.data

            yield texts()

    @asynccontextmanager
    async def _sse(self) -> AsyncIterator[AsyncIterator[str]]:
        headers = {"Last-Event-ID": str(self.ledger.last)} if self.ledger.last else {}
        async with self.http.get(f"{self.url}/api/sse", headers=headers) as answer:
            answer.raise_for_status()
            self._open = answer

            async def texts() -> AsyncIterator[str]:
                async for line in answer.content:
                    if line.startswith(b"data:"):
                        yield line[5:].decode()

            yield texts()
