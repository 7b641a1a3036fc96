"""A box in the path that does what such boxes do, on real bytes between real sockets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

STREAM = b"Content-Type: text/event-stream"


async def forward(
    writer: asyncio.StreamWriter, data: bytes, header: re.Pattern[bytes] | None, holds: float
) -> None:
    """Write what came, without a header, or later."""
    if holds:
        asyncio.get_running_loop().call_later(holds, writer.write, data)
        return
    writer.write(header.sub(b"", data) if header else data)
    await writer.drain()


@asynccontextmanager
async def middlebox(
    server: str,
    *,
    without: str = "",
    forgets: float = 0,
    life: float = 0,
    largest: int = 0,
    holds: float = 0,
    back: str = "",
) -> AsyncIterator[str]:
    """Forward TCP to a server's address, with a fault; give the box's own address.

    Arguments:
        without: a header that it takes out of requests.
        forgets: seconds of silence behind which it forwards nothing more and says nothing.
        life: seconds after which it cuts a connection.
        holds: seconds for which it holds each piece of an event stream back.
        back: another server's address, to which it brings those who come back.
        largest: bytes of what it reads at once, from which it cuts the connection.
    """
    port = int(server.rpartition(":")[2])
    header = re.compile(rf"(?im)^{without}:.*\r\n".encode()) if without else None

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: list[float]
    ) -> None:
        loop = asyncio.get_running_loop()
        is_held = False
        while data := await reader.read(1 << 20):
            silence = loop.time() - heard[0]
            if forgets and silence > forgets:
                await asyncio.Event().wait()
            heard[0] = loop.time()
            if largest and len(data) > largest:
                break
            is_held |= STREAM in data
            await forward(writer, data, header, holds if is_held else 0)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(1 << 16)
        is_back = bool(back) and re.search(rb"(?i)last.event.id", first)
        there = int(back.rpartition(":")[2]) if is_back else port
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", there)
        there_writer.write(header.sub(b"", first) if header else first)
        heard = [asyncio.get_running_loop().time()]
        pumps = [
            asyncio.ensure_future(pump(reader, there_writer, heard)),
            asyncio.ensure_future(pump(there_reader, writer, heard)),
        ]
        try:
            timeout = life or None
            await asyncio.wait(pumps, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.transport.abort()
            there_writer.transport.abort()
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
