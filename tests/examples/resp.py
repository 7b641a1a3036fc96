"""A small Redis server with publish and subscribe, which a test can stop and start again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.free_port import free_port

Push = list[str | bytes | int]


class RespServer:
    """A Redis server for subscribers, over RESP3 on a local port.

    Attributes:
        connected: number of connections so far.
        commands: the commands that it received, in order.
        subscribers: the connections that have subscribed, with their channels.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.connected = 0
        self.commands: list[list[str]] = []
        self.subscribers: dict[asyncio.StreamWriter, str] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a second call uses the same port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, and cut all connections."""
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> None:
        """Cut all connections without closing them properly."""
        for writer in self._writers:
            writer.transport.abort()
        self.subscribers.clear()

    def publish(self, channel: str, text: str | bytes) -> None:
        """Send a text to the subscribers of a channel."""
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
    """Yield the commands of a client, each an array of bulk strings, until it disconnects."""
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
    """Encode a push message, which the server sends without a request."""
    parts = [b":%d\r\n" % item if isinstance(item, int) else bulk(item) for item in items]
    return b">%d\r\n" % len(items) + b"".join(parts)


@asynccontextmanager
async def resp_server() -> AsyncIterator[RespServer]:
    """Run a server until the context ends."""
    server: Any = RespServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
