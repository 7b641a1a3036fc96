"""A TCP server whose answers a test writes byte by byte; it ends with its block."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve each connection with a function; yield the port on 127.0.0.1.

    A connection is closed when its function returns, and cut when the block ends. If the client leaves,
    the function ends without an error.

    Raises:
        Exception: what the function raised; otherwise the test would not see it.
    """
    connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[asyncio.ensure_future(serve(reader, writer))] = writer

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task, writer in connections.items():
            task.cancel()
            writer.transport.abort()
        ends = await asyncio.gather(*connections, return_exceptions=True)
        closings = [writer.wait_closed() for writer in connections.values()]
        await asyncio.gather(*closings, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end
