"""A TCP proxy whose path a test breaks: it swallows, holds back, resets, or refuses."""

from __future__ import annotations

import asyncio
import socket
import struct

from tests.free_port import free_port


class TcpProxy:
    """Pass on what both sides send, until the test breaks the path.

    Arguments:
        server_port: where the server listens on loopback.

    Attributes:
        port: where the proxy listens on loopback.
        swallowed: bytes of the server that were dropped.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listening: asyncio.Server | None = None
        self._connecting: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._lines: list[_Line] = []
        self._swallows = self._refuses = False
        self._passes = asyncio.Event()
        self._passes.set()
        # No other program gets it while the proxy refuses.
        self.port = free_port()

    @property
    def swallowed(self) -> int:
        """Bytes of the server that were dropped."""
        return sum(line.swallowed for line in self._lines)

    async def start(self) -> None:
        """Listen, at a later start on the same port."""
        self._refuses = False
        self._listening = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    def swallow(self) -> None:
        """Pass on nothing any more, not even the end of a connection; accept new ones."""
        self._swallows = True
        for line in self._lines:
            line.swallows = True

    def restore(self) -> None:
        """Pass on again what later connections send; the older ones stay dead."""
        self._swallows = False

    def hold(self) -> None:
        """Pass on nothing until `release`, and lose nothing, as a network that is away for some time."""
        self._passes.clear()

    def release(self) -> None:
        """Pass on what was held back, and all that follows."""
        self._passes.set()

    def refuse(self) -> None:
        """Reset each connection, and refuse new ones until the next start."""
        self._refuses = True
        if self._listening is not None:
            self._listening.close()
        for task, writer in self._connecting.items():
            task.cancel()
            writer.transport.abort()
        for line in self._lines:
            line.reset()
        self._lines.clear()

    async def close(self) -> None:
        """Close everything."""
        tasks = [*self._connecting, *(task for line in self._lines for task in line.tasks)]
        self.refuse()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:  # it was accepted before
            writer.transport.abort()
            return
        task = asyncio.ensure_future(self._connect(reader, writer))
        self._connecting[task] = writer
        task.add_done_callback(self._connecting.pop)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.transport.abort()
            return
        line = _Line((reader, writer), server, self._swallows, self._passes)
        self._lines.append(line)


Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Line:
    """One connection through the proxy."""

    def __init__(self, client: Side, server: Side, swallows: bool, passes: asyncio.Event) -> None:
        self.swallows = swallows
        self._passes = passes
        self.swallowed = 0
        self._writers = (client[1], server[1])
        self.tasks = [
            asyncio.ensure_future(self._pass_on(client[0], server[1], False)),
            asyncio.ensure_future(self._pass_on(server[0], client[1], True)),
        ]

    def reset(self) -> None:
        """End both sides by RST."""
        for task in self.tasks:
            task.cancel()
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            if sock is not None and sock.fileno() >= 0:
                # Linger of zero seconds: close sends RST.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_server: bool
    ) -> None:
        try:
            while data := await reader.read(65536):
                await self._passes.wait()
                if self.swallows:
                    self.swallowed += len(data) if is_server else 0
                else:
                    writer.write(data)
        except ConnectionError:
            pass
        if not self.swallows:
            writer.close()
