"""Clients of both transports with one interface, for tests of plugins."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator

import aiohttp
import msgspec

from rtdemo.protocol.client import Transport
from rtdemo.protocol.message import Message

RECEIVE_TIMEOUT_S = 10.0
"""Real seconds that `receive` waits for a message."""

_decode = msgspec.json.Decoder(Message).decode


class EndedError(Exception):
    """The server ended the connection.

    Attributes:
        code: the WebSocket close code; None over SSE.
    """

    def __init__(self, code: int | None = None) -> None:
        super().__init__("the connection ended" + (f" with code {code}" if code else ""))
        self.code = code


class Peer(ABC):
    """A connected client. It reads all messages as they arrive; `receive` and `take` return them.

    Attributes:
        transport: `"websocket"` or `"sse"`.
        welcome: the first message; its `client` is the client's id.
        count: number of messages that arrived, including the welcome.
    """

    transport: Transport
    welcome: Message

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.count = 0
        self._unread: deque[bytes | str] = deque()
        self._changed = asyncio.Event()
        self._reader = asyncio.ensure_future(self._read_all())

    @property
    def is_open(self) -> bool:
        """Whether further messages can arrive."""
        return not self._reader.done()

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            EndedError: if the server ended the connection.
            AssertionError: if no message arrives within 10 real seconds.
        """
        try:
            async with asyncio.timeout(RECEIVE_TIMEOUT_S):
                while not self._unread:
                    if not self.is_open:
                        raise EndedError(self._code)
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(
                "no message arrived; first call await server.advance(SECONDS)"
            ) from None
        return _decode(self._unread.popleft())

    def take(self) -> list[Message]:
        """Return all messages that arrived since the last call of `take` or `receive`."""
        messages = [_decode(text) for text in self._unread]
        self._unread.clear()
        return messages

    @abstractmethod
    async def say(self, text: str) -> None:
        """Send a text to the server."""

    async def leave(self) -> None:
        """Close the connection; a second call does nothing."""
        await self._close()
        self._reader.cancel()
        await asyncio.wait({self._reader})

    @property
    def _code(self) -> int | None:
        return None

    async def _read_all(self) -> None:
        try:
            async for text in self._texts():
                self._unread.append(text)
                self.count += 1
                self._changed.set()
        except aiohttp.ClientError:
            pass  # a stream that is cut ends like one that is closed
        finally:
            self._changed.set()

    @abstractmethod
    def _texts(self) -> AsyncIterator[bytes | str]: ...

    @abstractmethod
    async def _close(self) -> None: ...


class WebSocketPeer(Peer):
    """A client over WebSocket."""

    transport: Transport = "websocket"

    def __init__(self, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        super().__init__(session)
        self._socket = socket

    async def say(self, text: str) -> None:
        """Send a text frame."""
        await self._socket.send_str(text)

    @property
    def _code(self) -> int | None:
        return self._socket.close_code

    async def _texts(self) -> AsyncIterator[bytes | str]:
        async for message in self._socket:
            yield message.data

    async def _close(self) -> None:
        await self._socket.close()


class SsePeer(Peer):
    """A client over SSE, which sends by POST."""

    transport: Transport = "sse"

    def __init__(self, session: aiohttp.ClientSession, stream: aiohttp.ClientResponse) -> None:
        super().__init__(session)
        self._stream = stream

    async def say(self, text: str) -> None:
        """Post a text.

        Raises:
            AssertionError: if the server refuses it, with the server's status and text.
        """
        address = self._stream.url.with_path("/api/messages").with_query(
            client=self.welcome.client or ""
        )
        async with self._session.post(address, data=text.encode()) as answer:
            if answer.status != 202:
                raise AssertionError(f"{answer.status}: {(await answer.text()).strip()}")

    async def _texts(self) -> AsyncIterator[bytes | str]:
        rest = b""
        async for chunk in self._stream.content.iter_any():
            *blocks, rest = (rest + chunk).split(b"\n\n")
            for block in blocks:
                # A message has one data line, and begins with it. Pings and `retry:` have none.
                if block.startswith(b"data: "):
                    yield block.partition(b"\n")[0][6:]

    async def _close(self) -> None:
        self._stream.close()


async def connect(
    session: aiohttp.ClientSession, transport: Transport, addresses: dict[Transport, str], query: str
) -> Peer:
    """Connect, and read the welcome.

    Arguments:
        session: makes the connection.
        transport: `"websocket"` or `"sse"`.
        addresses: the server's address for each transport.
        query: the request's query, such as `speed=2`.

    Raises:
        AssertionError: if the server refuses the client, with its status and text.
    """
    address = f"{addresses[transport]}?{query}"
    peer: Peer
    if transport == "websocket":
        peer = WebSocketPeer(session, await _handshake(session, address))
    else:
        stream = await session.get(address)
        if stream.status != 200:
            raise AssertionError(f"{stream.status}: {(await stream.text()).strip()}")
        peer = SsePeer(session, stream)
    try:
        peer.welcome = await peer.receive()
    except BaseException:
        await peer.leave()
        raise
    return peer


async def _handshake(session: aiohttp.ClientSession, address: str) -> aiohttp.ClientWebSocketResponse:
    try:
        return await session.ws_connect(address, max_msg_size=0)
    except aiohttp.WSServerHandshakeError as error:
        raise AssertionError(f"{error.status}: {error.message}") from error
