"""A TCP middlebox with a chosen fault, between a real client and a real server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

EVENT_STREAM = b"Content-Type: text/event-stream"


async def forward(
    writer: asyncio.StreamWriter, data: bytes, removed_header: re.Pattern[bytes] | None, delay: float
) -> None:
    """Forward data: without a header, or after a delay in seconds."""
    if delay:
        asyncio.get_running_loop().call_later(delay, writer.write, data)
        return
    writer.write(removed_header.sub(b"", data) if removed_header else data)
    await writer.drain()


@asynccontextmanager
async def middlebox(
    server: str,
    *,
    removes: str = "",
    drops_after: float = 0,
    max_age: float = 0,
    max_bytes: int = 0,
    delay: float = 0,
    reconnects_to: str = "",
) -> AsyncIterator[str]:
    """Forward TCP connections to a server, with a fault; yield the URL of the middlebox.

    Arguments:
        server: URL of the server.
        removes: header to remove from requests.
        drops_after: seconds of silence after which it silently forwards nothing more.
        max_age: seconds after which it cuts a connection.
        max_bytes: it cuts a connection when it reads more bytes at once.
        delay: seconds by which it delays each part of an event stream.
        reconnects_to: URL of another server, to which it forwards clients that resume.
    """
    port = int(server.rpartition(":")[2])
    removed_header = re.compile(rf"(?im)^{removes}:.*\r\n".encode()) if removes else None

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, last_data: list[float]
    ) -> None:
        loop = asyncio.get_running_loop()
        is_stream = False
        while data := await reader.read(1 << 20):
            silence = loop.time() - last_data[0]
            if drops_after and silence > drops_after:
                await asyncio.Event().wait()
            last_data[0] = loop.time()
            if max_bytes and len(data) > max_bytes:
                break
            is_stream |= EVENT_STREAM in data
            await forward(writer, data, removed_header, delay if is_stream else 0)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(1 << 16)
        is_resuming = bool(reconnects_to) and re.search(rb"(?i)last.event.id", first)
        target = int(reconnects_to.rpartition(":")[2]) if is_resuming else port
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", target)
        server_writer.write(removed_header.sub(b"", first) if removed_header else first)
        last_data = [asyncio.get_running_loop().time()]
        pumps = [
            asyncio.ensure_future(pump(reader, server_writer, last_data)),
            asyncio.ensure_future(pump(server_reader, writer, last_data)),
        ]
        try:
            timeout = max_age or None
            await asyncio.wait(pumps, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.transport.abort()
            server_writer.transport.abort()
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    tasks: list[asyncio.Task[None]] = []
    writers: list[asyncio.StreamWriter] = []

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        tasks.append(asyncio.ensure_future(connected(reader, writer)))

    box = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{box.sockets[0].getsockname()[1]}"
    finally:
        box.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
