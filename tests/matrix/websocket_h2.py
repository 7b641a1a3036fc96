"""Open a WebSocket over HTTP/2 (RFC 8441), to find out whether a browser can, and whether it lives."""

from __future__ import annotations

import asyncio
import ssl
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError

TIMEOUT_S = 6.0
TEXT_FRAME, MASK = 0x81, 0x80
STREAM = 1


@dataclass
class Found:
    """What came out.

    Arguments:
        is_offered: whether the settings of the peer offer it; without, browsers use HTTP/1.1.
        status: of the answer to the handshake; 0 without one.
        error: why there is no answer; empty if there is.
        is_alive: whether a text came back at once, and another one after a silence; None if not tried.
    """

    is_offered: bool = True
    status: int = 0
    error: str = ""
    is_alive: bool | None = None


@dataclass
class _Socket:
    connection: H2Connection
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    found: Found = field(default_factory=Found)
    received: bytes = b""
    is_asked: bool = False

    async def read(self) -> bool:
        """Read once; return whether the connection is open."""
        data = await self.reader.read(65_536)
        if not data:
            return False
        for event in self.connection.receive_data(data):
            if isinstance(event, RemoteSettingsChanged) and not self.is_asked:
                self.found.is_offered = bool(self.connection.remote_settings.enable_connect_protocol)
                if not self.found.is_offered:
                    return False
                self.is_asked = True
            elif isinstance(event, ResponseReceived):
                headers = {_text(name): _text(value) for name, value in event.headers or ()}
                self.found.status = int(headers[":status"])
            elif isinstance(event, DataReceived):
                self.received += event.data or b""
                self.connection.acknowledge_received_data(event.flow_controlled_length or 0, STREAM)
            elif isinstance(event, StreamReset | StreamEnded | ConnectionTerminated):
                self.found.error = "the stream was ended"
                return False
        self.flush()
        return True

    def flush(self) -> None:
        self.writer.write(self.connection.data_to_send())

    async def echoes(self, text: bytes) -> bool:
        """Return whether a text comes back."""
        masked = bytes([TEXT_FRAME, MASK | len(text)]) + struct.pack("!I", 0) + text
        self.connection.send_data(STREAM, masked)
        self.flush()
        wanted = bytes([TEXT_FRAME, len(text)]) + text
        try:
            async with asyncio.timeout(TIMEOUT_S):
                while wanted not in self.received:
                    if not await self.read():
                        return False
        except TimeoutError:
            return False
        return True


async def handshake(url: str, silence_s: float) -> Found:
    """Open a WebSocket, and send a text at once and after a silence.

    Arguments:
        url: `wss://…`; its certificate may be any.
        silence_s: seconds between both texts.
    """
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    found = Found()
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
        connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        socket = _Socket(connection, reader, writer, found)
        try:
            await _converse(socket, parts.netloc, parts.path, silence_s)
        finally:
            writer.transport.abort()
    except (OSError, TimeoutError, ProtocolError) as error:
        found.error = f"{type(error).__name__}: {error}"
    return found


async def _converse(socket: _Socket, host: str, path: str, silence_s: float) -> None:
    socket.connection.initiate_connection()
    socket.flush()
    async with asyncio.timeout(TIMEOUT_S):
        while not socket.is_asked:
            if not await socket.read():
                return
        socket.connection.send_headers(STREAM, _request(host, path))
        socket.flush()
        while not socket.found.status:
            if not await socket.read():
                return
    if socket.found.status != 200:
        return
    is_first = await socket.echoes(b"first")
    with suppress(TimeoutError):
        async with asyncio.timeout(silence_s):
            while await socket.read():
                pass
    socket.found.is_alive = is_first and await socket.echoes(b"second")


def _request(host: str, path: str) -> list[tuple[str, str]]:
    return [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", path),
        (":authority", host),
        ("sec-websocket-version", "13"),
        ("origin", f"https://{host}"),
    ]


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
