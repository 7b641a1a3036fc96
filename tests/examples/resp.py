"""A Redis server that knows as much as publish and subscribe need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

Push = list[str | bytes | int]


class RespServer:
    """Speak RESP3 with subscribers on a local port; it can go away and come back.

    Attributes:
        connected: how often a client came.
        commands: what was asked, in order.
        subscribers: the open connections that have subscribed, with their channels.
    """

    def __init__(self) -> None:
        self.port = 0
        self.connected = 0
        self.commands: list[list[str]] = []
        self.subscribers: dict[asyncio.StreamWriter, str] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and cut everyone off."""
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> None:
        """Cut everyone off without a word."""
        for writer in self._writers:
            writer.transport.abort()
        self.subscribers.clear()

    def publish(self, channel: str, text: str | bytes) -> None:
        """Send a text to those who subscribed to the channel."""
        for writer, subscribed in self.subscribers.items():
            if subscribed == channel:
                writer.write(push(["message", channel, text]))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected += 1
        self._writers.add(writer)
        try:
            async for command in commands(reader):
                self.commands.append(command)
                writer.write(self._answer(command, writer))
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            self.subscribers.pop(writer, None)
            writer.close()

    def _answer(self, command: list[str], writer: asyncio.StreamWriter) -> bytes:
        match command[0].upper():
            case "HELLO":
                return b"%2\r\n" + bulk("server") + bulk("redis") + bulk("proto") + b":3\r\n"
            case "SUBSCRIBE":
                self.subscribers[writer] = command[1]
                return push(["subscribe", command[1], 1])
            case "PING":
                return bulk(command[1]) if len(command) > 1 else b"+PONG\r\n"
            case "CLIENT" if command[1] == "SETINFO":
                return b"+OK\r\n"
            case name:
                return f"-ERR unknown command '{name}'\r\n".encode()


async def commands(reader: asyncio.StreamReader) -> AsyncIterator[list[str]]:
    """Read commands, each an array of bulk strings, until the client is gone."""
    while head := await reader.readline():
        words = []
        for _ in range(int(head[1:])):
            length = int((await reader.readline())[1:])
            words.append((await reader.readexactly(length + 2))[:-2].decode())
        yield words


def bulk(text: str | bytes) -> bytes:
    """Encode a bulk string."""
    data = text.encode() if isinstance(text, str) else text
    return b"$%d\r\n%s\r\n" % (len(data), data)


def push(items: Push) -> bytes:
    """Encode what RESP3 sends unasked."""
    parts = [b":%d\r\n" % item if isinstance(item, int) else bulk(item) for item in items]
    return b">%d\r\n" % len(items) + b"".join(parts)


@asynccontextmanager
async def resp_server() -> AsyncIterator[RespServer]:
    """Run one until the block ends."""
    server: Any = RespServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
