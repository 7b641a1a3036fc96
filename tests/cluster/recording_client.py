"""A client that reconnects, resumes, and records what it receives of the log over all connections."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import aiohttp

from rtdemo.protocol.message import Position, parse_position

FIRST_RETRY_S, MAX_RETRY_S = 0.1, 2.0
"""Seconds until the first attempt to reconnect, and the longest time between two."""
NETWORK_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)
SILENCE_TIMEOUT_S = 8.0
"""Seconds without a message after which the client reconnects: its server may be frozen."""


class DeliveryRecord:
    """Count the messages that came twice, out of order or not at all.

    Attributes:
        position: the last position received; None before the first welcome.
        texts: received texts by position.
        sent_at: when these were sent by position, in ms.
        duplicates: messages at or before a position that was received already.
        missing: positions that were skipped, and changes of epoch, without a loss notice.
        loss_notices: messages in which the server reported a loss.
        connections: connections that received their welcome.
        reasons: why attempts to connect received none, each with their number.
    """

    def __init__(self) -> None:
        self.position: Position | None = None
        self.texts: dict[Position, str] = {}
        self.sent_at: dict[Position, float] = {}
        self.duplicates = 0
        self.missing = 0
        self.loss_notices = 0
        self.connections = 0
        self.reasons: Counter[str] = Counter()

    @property
    def failed_attempts(self) -> int:
        """Attempts to connect that received no welcome."""
        return self.reasons.total()

    def add(self, message: dict[str, Any]) -> None:
        """Record a message as it was decoded from JSON."""
        if "client" in message:
            self.connections += 1
        position = parse_position(message["id"]) if "id" in message else None
        if position is None:
            return
        if "client" in message:
            # A browser resumes after the welcome's id: another one would hide the messages between.
            self.missing += self.position not in (None, position)
            self.position = position
        elif message.get("lost"):
            self.loss_notices += 1
            self.position = position
        else:
            # After a loss notice, messages that were received before it must not be sent again.
            is_repeated = position in self.texts
            self.duplicates += is_repeated and self.position is not None and position > self.position
            self._advance(position)
            self.texts[position] = message["message"]
            self.sent_at[position] = message["sentAt"]

    def has_reached(self, end: Position) -> bool:
        """Return whether the record includes a position, or a loss notice that covers it."""
        return (
            self.position is not None
            and self.position.epoch == end.epoch
            and self.position.offset >= end.offset
        )

    def _advance(self, position: Position) -> None:
        assert self.position is not None
        if position.epoch != self.position.epoch:
            self.missing += 1
        elif position.offset <= self.position.offset:
            self.duplicates += 1
        else:
            self.missing += position.offset - self.position.offset - 1
        self.position = position


class RecordingClient:
    """Follow a server over one transport; reconnect and resume when the connection ends."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        transport: Literal["websocket", "sse"],
        query: str = "",
    ) -> None:
        self.http = http
        self.url = url
        self.transport = transport
        self.query = query
        self.seconds_to_first_text: float | None = None
        self.record = DeliveryRecord()
        self.is_connected = False
        self._connection: aiohttp.ClientResponse | aiohttp.ClientWebSocketResponse | None = None

    async def run(self) -> None:
        """Follow until cancelled."""
        pause = FIRST_RETRY_S
        while True:
            before = self.record.connections
            reason = "it ended before a message"
            try:
                await self._connect()
            except NETWORK_ERRORS as error:
                reason = f"{type(error).__name__}: {getattr(error, 'status', error)}"
            self._connection = None
            self.is_connected = False
            if self.record.connections > before:
                pause = FIRST_RETRY_S
            else:
                self.record.reasons[reason] += 1
                pause = min(pause * 2, MAX_RETRY_S)
            await asyncio.sleep(random.uniform(pause / 2, pause))

    def cut(self) -> None:
        """Close the TCP connection without a close frame, as a broken network does."""
        connection = self._connection
        if isinstance(connection, aiohttp.ClientWebSocketResponse):
            # aiohttp offers no public way to close a WebSocket without a close frame.
            connection._response.close()
        elif connection is not None:
            connection.close()

    async def _connect(self) -> None:
        connecting = self._websocket if self.transport == "websocket" else self._sse
        began = time.monotonic()
        async with connecting() as messages:
            while True:
                async with asyncio.timeout(SILENCE_TIMEOUT_S):
                    message = await anext(messages, None)
                if message is None:
                    return
                self.record.add(json.loads(message))
                self.is_connected = True
                if self.seconds_to_first_text is None and self.record.texts:
                    self.seconds_to_first_text = time.monotonic() - began

    @asynccontextmanager
    async def _websocket(self) -> AsyncIterator[AsyncIterator[str]]:
        position = f"&last_event_id={self.record.position}" if self.record.position else ""
        async with self.http.ws_connect(f"{self.url}/ws?{self.query}{position}") as socket:
            self._connection = socket

            async def texts() -> AsyncIterator[str]:
                async for frame in socket:
                    if frame.type is aiohttp.WSMsgType.TEXT:
                        yield frame.data

            yield texts()

    @asynccontextmanager
    async def _sse(self) -> AsyncIterator[AsyncIterator[str]]:
        headers = {"Last-Event-ID": str(self.record.position)} if self.record.position else {}
        async with self.http.get(f"{self.url}/api/sse?{self.query}", headers=headers) as response:
            response.raise_for_status()
            self._connection = response

            async def texts() -> AsyncIterator[str]:
                async for line in response.content:
                    if line.startswith(b"data:"):
                        yield line[5:].decode()

            yield texts()
