"""A TCP middlebox with a chosen fault, between a real client and a real server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.raw_server import raw_server

EVENT_STREAM = b"Content-Type: text/event-stream"
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Fault:
    """What a middlebox does wrong.

    Arguments:
        removes: header to remove from requests.
        drops_after: seconds of silence after which it silently forwards nothing more.
        max_age: seconds after which it cuts a connection.
        max_bytes: it cuts a connection when it reads more bytes at once.
        delay: seconds by which it delays each part of an event stream.
        reconnects_to: URL of another server, to which it forwards clients that resume.
        holds: until what it holds data of event streams: `next`, `end` or a number of bytes.
        client_silence: seconds after which it cuts a WebSocket whose client has sent nothing.
        refuses_above: event streams at the same time, above which it answers 503.
        stalls: seconds for which it forwards nothing of the first probe, once.
    """

    removes: str = ""
    drops_after: float = 0
    max_age: float = 0
    max_bytes: int = 0
    delay: float = 0
    reconnects_to: str = ""
    holds: str = ""
    client_silence: float = 0
    refuses_above: int = 0
    stalls: float = 0


class Held:
    """Data of an event stream that waits: until the next data, until a size, or until the end.

    Arguments:
        until: `next`, `end` or a number of bytes.
        writer: gets the data.
    """

    def __init__(self, until: str, writer: asyncio.StreamWriter) -> None:
        self._until = until
        self._writer = writer
        self._data = b""

    def add(self, data: bytes) -> None:
        """Hold data, and release what is due."""
        if self._until == "next":
            data, self._data = self._data, data
        else:
            self._data += data
            size = int(self._until) if self._until.isdigit() else 1 << 30
            end = len(self._data) // size * size
            data, self._data = self._data[:end], self._data[end:]
        self._writer.write(data)

    async def release(self) -> None:
        """Release everything."""
        self._writer.write(self._data)
        await self._writer.drain()


class Connection:
    """One connection of a client.

    Arguments:
        fault: of the middlebox.
        reader, writer: of the client.
    """

    def __init__(self, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._fault = fault
        self.stall_s = 0.0
        self._reader, self._writer = reader, writer
        self._removed = re.compile(rf"(?im)^{fault.removes}:.*\r\n".encode()) if fault.removes else None
        self._last_data = self._last_sent = asyncio.get_running_loop().time()

    async def run(self, port: int, first: bytes) -> None:
        """Forward in both directions until one ends, or the fault ends it."""
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        server_writer.write(self._removed.sub(b"", first) if self._removed else first)
        tasks = [
            asyncio.ensure_future(self._pump(self._reader, server_writer)),
            asyncio.ensure_future(self._pump(server_reader, self._writer)),
        ]
        if self._fault.client_silence and b"Upgrade: websocket" in first:
            tasks.append(asyncio.ensure_future(self._client_is_silent()))
        try:
            timeout = self._fault.max_age or None
            await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if self._fault.holds:
                await asyncio.sleep(0.05)  # for what was released to be sent
        finally:
            self._writer.transport.abort()
            server_writer.transport.abort()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop, fault = asyncio.get_running_loop(), self._fault
        is_stream = False
        held = Held(fault.holds, writer) if fault.holds else None
        while data := await reader.read(1 << 20):
            if fault.drops_after and loop.time() - self._last_data > fault.drops_after:
                await asyncio.Event().wait()
            self._last_data = loop.time()
            if reader is self._reader:
                self._last_sent = loop.time()
            if fault.max_bytes and len(data) > fault.max_bytes:
                return
            is_stream |= EVENT_STREAM in data
            if is_stream and b'"producer": "probe"' in data:
                await asyncio.sleep(self.stall_s)
                self.stall_s = 0.0
            if held is not None and is_stream:
                held.add(data)
            else:
                await self._forward(writer, data, fault.delay if is_stream else 0)
        if held is not None:
            await held.release()

    async def _forward(self, writer: asyncio.StreamWriter, data: bytes, delay: float) -> None:
        if delay:
            asyncio.get_running_loop().call_later(delay, writer.write, data)
            return
        writer.write(self._removed.sub(b"", data) if self._removed else data)
        await writer.drain()

    async def _client_is_silent(self) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() - self._last_sent < self._fault.client_silence:
            await asyncio.sleep(0.1)


@asynccontextmanager
async def middlebox(server: str, **fault: Any) -> AsyncIterator[str]:
    """Forward TCP connections to a server, with a fault; yield the URL of the middlebox.

    Arguments:
        server: URL of the server.
        fault: as `Fault` takes it.
    """
    does = Fault(**fault)
    streams: list[bool] = []
    stalls = [does.stalls] if does.stalls else []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(1 << 16)
        is_stream = first.startswith(b"GET /api/sse")
        if does.refuses_above and is_stream and sum(streams) >= does.refuses_above:
            writer.write(REFUSAL)
            return
        is_resuming = bool(does.reconnects_to) and re.search(rb"(?i)last.event.id", first)
        target = does.reconnects_to if is_resuming else server
        streams.append(is_stream)
        try:
            connection = Connection(does, reader, writer)
            if b"probe=1" in first and stalls:
                connection.stall_s = stalls.pop()
            await connection.run(int(target.rpartition(":")[2]), first)
        finally:
            streams.remove(is_stream)

    async with raw_server(connected) as port:
        yield f"http://127.0.0.1:{port}"
