"""A WebSocket over HTTP/1.1 (RFC 6455) or HTTP/2 (RFC 8441) that shows when each text arrived."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urlsplit

from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN
from websockets.protocol import Protocol as FrameProtocol

from rtdemo.lab import http2
from rtdemo.lab.connect import connect
from rtdemo.lab.doctor.errors import StreamError
from rtdemo.lab.doctor.exchange import HTTP1, MAX_BODY_BYTES, MAX_TEXT_BYTES, TEXT_TIMEOUT_S, Answer
from rtdemo.lab.http2_exchange import Chunk, Exchange, Http2Error
from rtdemo.lab.server_clock import now

if TYPE_CHECKING:
    from rtdemo.lab.doctor.context import Context

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of the head of an answer to a handshake."""
ABNORMAL_CLOSURE = 1006
"""Close code of a WebSocket that ended without a close frame (RFC 6455 section 7.1.5)."""
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_DATA = (Opcode.TEXT, Opcode.CONT, Opcode.BINARY)


class RefusedError(Exception):
    """Report that a handshake was answered in another way than by a WebSocket.

    Attributes:
        answer: the answer.
        text: the beginning of its body.
    """

    def __init__(self, answer: Answer, text: str) -> None:
        super().__init__(f"answered {answer.status}")
        self.answer, self.text = answer, text


class ClosedError(StreamError):
    """Report how a WebSocket ended.

    Attributes:
        code: the close code.
        reason: text of the close frame; empty without one.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__("was cut" if code == ABNORMAL_CLOSURE else f"was closed with code {code}")
        self.code, self.reason = code, reason


class Text(NamedTuple):
    """A text of a WebSocket.

    Arguments:
        first: when its first byte arrived, in ms of `server_clock.now()`.
        last: when its last byte arrived.
        gap: longest time between two of its pieces.
        text: the text.
    """

    first: float
    last: float
    gap: float
    text: str


class Pipe(Protocol):
    """Bytes in both directions."""

    async def read(self) -> Chunk | None:
        """Return the next bytes; None at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        ...


class TcpPipe(asyncio.Protocol):
    """Bytes of a TCP or TLS connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._chunks: deque[Chunk | None] = deque()
        self._unread = 0
        self._changed = asyncio.Event()

    async def read(self) -> Chunk | None:
        """Return the next bytes; None at the end."""
        while not self._chunks:
            self._changed.clear()
            await self._changed.wait()
        chunk = self._chunks[0]
        if chunk is not None:
            self._chunks.popleft()
            self._unread -= len(chunk.data)
        return chunk

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError
        self._transport.write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]  # a TCP or TLS connection

    def data_received(self, data: bytes) -> None:
        """Note when bytes arrive; cut a connection whose bytes nobody reads."""
        self._chunks.append(Chunk(now(), data))
        self._unread += len(data)
        self._changed.set()
        if self._unread > MAX_BODY_BYTES and self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self._chunks.append(None)
        self._changed.set()


class ExchangePipe:
    """Bytes of an HTTP/2 exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def read(self) -> Chunk | None:
        """Return the next bytes; None at the end."""
        try:
            return await self._exchange.read()
        except Http2Error:
            return None

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        await self._exchange.send(data)


class Socket:
    """An open WebSocket.

    Arguments:
        pipe: its bytes.
        rest: bytes that came with the answer to its handshake.
        answer: that answer.
    """

    def __init__(self, pipe: Pipe, rest: Chunk | None, answer: Answer) -> None:
        self.answer = answer
        self._pipe = pipe
        self._rest = rest
        self._frames = FrameProtocol(CLIENT, state=OPEN, max_size=MAX_BODY_BYTES)
        self._texts: deque[Text] = deque()
        self._parts = b""
        self._began: float | None = None
        self._previous = self._gap = 0.0
        self._has_ended = False

    async def send(self, text: str) -> None:
        """Send a text."""
        self._frames.send_text(text.encode())
        await self._flush()

    async def receive(self) -> Text:
        """Return the next text; answer pings meanwhile.

        Raises:
            ClosedError: if the socket has ended.
        """
        while not self._texts:
            if self._has_ended:
                raise self._closed()
            chunk = self._rest or await self._pipe.read()
            self._rest = None
            if chunk is None:
                self._has_ended = True
                continue
            if self._began is None:
                self._began, self._gap = chunk.at, 0.0
            else:
                self._gap = max(self._gap, chunk.at - self._previous)
            self._previous = chunk.at
            self._frames.receive_data(chunk.data)
            for frame in self._frames.events_received():
                if isinstance(frame, Frame) and frame.opcode in _DATA:
                    self._take(frame, chunk.at)
            self._has_ended = self._frames.close_expected() or self._frames.parser_exc is not None
            await self._flush()
        return self._texts.popleft()

    def _take(self, frame: Frame, at: float) -> None:
        self._parts += bytes(frame.data)
        if frame.fin:
            began = at if self._began is None else self._began
            self._texts.append(Text(began, at, self._gap, self._parts.decode(errors="replace")))
            self._parts, self._began = b"", None

    def _closed(self) -> ClosedError:
        received = self._frames.close_rcvd
        if received is None:
            return ClosedError(ABNORMAL_CLOSURE)
        return ClosedError(received.code, received.reason)

    async def _flush(self) -> None:
        data = b"".join(self._frames.data_to_send())
        if data and not (self._has_ended and self._frames.close_rcvd is None):
            try:
                await self._pipe.write(data)
            except OSError:
                self._has_ended = True


@asynccontextmanager
async def open_socket(
    context: Context, path: str, headers: Mapping[str, str] | None = None, version: str = HTTP1
) -> AsyncIterator[Socket]:
    """Open a WebSocket; leaving the context cuts it. The caller limits the time.

    Arguments:
        context: of the run.
        path: of rtdemo, such as `/ws?a=b`, or the URL of one WebSocket.
        headers: further ones of the handshake.
        version: of HTTP.

    Raises:
        RefusedError: if the server answers in another way.
        OSError: if it does not answer.
        ExpiredError: if the login token has expired.
    """
    context.check_token()
    url = path if "://" in path else context.url(path)
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = {"Sec-WebSocket-Version": "13", **(headers or {}), **context.address.headers}
    sent |= context.cookie_headers()
    if version == HTTP1:
        transport, pipe = await connect(context.address, TcpPipe, context.tls_parameters("http/1.1"))
        try:
            answer, rest = await _shake_hands(pipe, parts.netloc, target, sent)
            context.open_connections += 1
            try:
                yield Socket(pipe, rest, answer)
            finally:
                context.open_connections -= 1
        finally:
            transport.abort()
        return
    async with (
        http2.connect(context.address, context.tls_parameters()) as connection,
        connection.request("CONNECT", target, sent, protocol="websocket", ends=False) as exchange,
    ):
        head = await exchange.head()
        answer = Answer(version, head.status, head.headers, _no_chunks())
        if head.status != 200:
            raise RefusedError(answer, await _text(ExchangePipe(exchange), b""))
        yield Socket(ExchangePipe(exchange), None, answer)


async def _shake_hands(
    pipe: TcpPipe, netloc: str, target: str, headers: Mapping[str, str]
) -> tuple[Answer, Chunk | None]:
    """Send a handshake over HTTP/1.1; return its answer, and what came behind it."""
    key = base64.b64encode(secrets.token_bytes(16))
    lines = {"Host": netloc, "Upgrade": "websocket", "Connection": "Upgrade", **headers}
    lines["Sec-WebSocket-Key"] = key.decode()
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    await pipe.write(f"GET {target} HTTP/1.1\r\n{head}\r\n".encode())
    data, at = b"", now()
    while b"\r\n\r\n" not in data:
        chunk = await pipe.read()
        if chunk is None:
            raise ConnectionResetError if not data else StreamError("sent an incomplete answer")
        data, at = data + chunk.data, chunk.at
        if len(data) > MAX_HEAD_BYTES:
            raise StreamError(f"sent a head of over {MAX_HEAD_BYTES} bytes")
    raw, _, rest = data.partition(b"\r\n\r\n")
    answer = _parse_head(raw)
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
    if answer.status != 101:
        raise RefusedError(answer, await _text(pipe, rest, answer.header("Transfer-Encoding")))
    if answer.header("Sec-WebSocket-Accept") != accept:
        raise RefusedError(answer, "the answer has a wrong Sec-WebSocket-Accept")
    return answer, Chunk(at, rest) if rest else None


def _parse_head(raw: bytes) -> Answer:
    """Return the answer to a handshake with all its headers, as in answers from aiohttp and HTTP/2."""
    first, *lines = raw.decode(errors="replace").split("\r\n")
    words = first.split(" ", 2)
    if not words[0].startswith("HTTP/") or len(words) < 2 or not words[1].isdigit():
        raise StreamError("was not answered with HTTP")
    pairs = [line.partition(":") for line in lines[:500] if ":" in line]
    headers = [(name.strip(), value.strip()) for name, _, value in pairs]
    return Answer(HTTP1, int(words[1][:3]), headers, _no_chunks())


async def _text(pipe: Pipe, data: bytes, coding: str = "") -> str:
    """Return the beginning of a body; the lines with the sizes of chunks are left out."""
    try:
        async with asyncio.timeout(TEXT_TIMEOUT_S / 6):
            while len(data) < MAX_TEXT_BYTES and (chunk := await pipe.read()) is not None:
                data += chunk.data
    except (TimeoutError, OSError):
        pass  # what has come is enough for a finding
    if "chunked" in coding.lower():
        data = data.partition(b"\r\n")[2]
    return data[:MAX_TEXT_BYTES].decode(errors="replace")


async def _no_chunks() -> AsyncGenerator[Chunk, None]:
    nothing: tuple[Chunk, ...] = ()
    for chunk in nothing:
        yield chunk
