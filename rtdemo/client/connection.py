"""One connection of a client, over either transport."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, WSMsgType, hdrs

from rtdemo.client import failures
from rtdemo.client.request_headers import middlewares
from rtdemo.errors import NotSentError
from rtdemo.protocol.address import Address
from rtdemo.protocol.client import Transport
from rtdemo.protocol.event_stream import EventParser

MAX_RECEIVED_BYTES = 4 * 1024 * 1024
"""Longest message that is received; rtdemo's have 64 KiB."""
MAX_REFUSAL_BYTES = 4096
"""Bytes that are read of an answer that opens no stream."""
_CLOSE_TIMEOUT_S = 1.0
_EVENTS = ("message", "heartbeat")
"""Names of rtdemo's events; those of a later version are ignored."""
_NO_CLOSE_FRAME = 1006
_CLOSED = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED)


class Request(NamedTuple):
    """What opens a connection.

    Arguments:
        url: of the stream, as errors show it.
        hidden: parameters to add to it, which errors do not show: a ticket, and what no user asked for.
        position: after which the stream continues; empty for a new client.
        messages_url: where texts of an event stream's client are posted; None for another server than
            rtdemo.
        seconds: time for opening, and for each text that is posted.
    """

    url: str
    hidden: Mapping[str, str]
    position: str
    messages_url: str | None
    seconds: float


class _NoHandshakeError(Exception):
    """The answer to a WebSocket handshake is a redirect, or an error with its reason as the body."""

    def __init__(self, status: int, words: str, headers: Mapping[str, str]) -> None:
        self.status, self.words, self.headers = status, words, headers


def new_session(address: Address) -> aiohttp.ClientSession:
    """Return what makes the connections of a client; it sends the address's headers."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None),
        middlewares=(*middlewares(address), _read_refusal),
        # A proxy of the environment is for other machines.
        trust_env=not address.is_loopback,
    )


async def _read_refusal(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Raise the reason for which a handshake is refused. aiohttp drops it, and follows a redirect."""
    answer = await handler(request)
    if hdrs.UPGRADE in request.headers and answer.status >= 200:
        # With 200 the body may be an event stream, or a page: neither has a reason.
        words = await _start_of(answer) if answer.status >= 300 else ""
        answer.close()
        raise _NoHandshakeError(answer.status, words, answer.headers)
    return answer


class Received(NamedTuple):
    """A text that arrived.

    Arguments:
        text: of a frame, or the data of an event.
        position: the stream's last event id, if the event changed it; over WebSocket the text has it.
    """

    text: str
    position: str | None = None


class Connection(ABC):
    """An open connection.

    Attributes:
        url: of the stream.
        retry_s: seconds that the server asks clients to wait before they reconnect; None for none.
    """

    url: str
    retry_s: float | None = None

    @abstractmethod
    async def receive(self) -> Sequence[Received]:
        """Wait for bytes, and return the texts that end in them.

        Raises:
            ServerError: at the end of the connection.
            Exception: one of NETWORK_ERRORS.
        """

    @abstractmethod
    async def send(self, text: str, client: str) -> None:
        """Send a text.

        Arguments:
            text: to send.
            client: id of the client, from the welcome.

        Raises:
            NotSentError: if the server did not take it.
        """


class WebSocket(Connection):
    """A WebSocket.

    Arguments:
        url: of the WebSocket.
        socket: open, and answering no ping by itself: each shows that the connection works.
    """

    def __init__(self, url: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.url = url
        self._socket = socket

    async def receive(self) -> Sequence[Received]:
        """Wait for a frame, and answer it if it is a ping."""
        frame = await self._socket.receive()
        if frame.type is WSMsgType.TEXT:
            return (Received(frame.data),)
        if frame.type is WSMsgType.PING:
            await self._socket.pong(frame.data)
        elif frame.type in _CLOSED:
            given = frame.extra if frame.type is WSMsgType.CLOSE else ""
            raise failures.close_error(self.url, self._socket.close_code or _NO_CLOSE_FRAME, given or "")
        elif frame.type is WSMsgType.ERROR:
            raise failures.broken_error(self.url, frame.data)
        return ()

    async def send(self, text: str, client: str) -> None:
        """Send a text frame."""
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError) as error:
            raise NotSentError(self.url, "the connection has ended", "send it again") from error


class EventStream(Connection):
    """An event stream.

    Arguments:
        request: that opened it.
        http: sends texts.
        answer: of the server, whose body is the stream.
    """

    def __init__(
        self, request: Request, http: aiohttp.ClientSession, answer: aiohttp.ClientResponse
    ) -> None:
        self.url = request.url
        self._http = http
        self._answer = answer
        self._messages_url = request.messages_url
        self._is_rtdemo = request.messages_url is not None
        self._seconds = request.seconds
        self._has_expired = False
        self._parser = EventParser()
        self._parser.last_id = self._last_id = request.position

    async def receive(self) -> Sequence[Received]:
        """Wait for bytes."""
        if self._has_expired:
            raise failures.expired_error(self.url)
        data = await self._answer.content.readany()
        if not data:
            raise failures.ended_error(self.url)
        events = self._parser.feed(data)
        retry = self._parser.retry
        self.retry_s = None if retry is None else retry / 1000
        received = []
        for event in events:
            if self._is_rtdemo and event.type == "expired":
                # The messages before it come first.
                self._has_expired = True
                break
            if self._is_rtdemo and event.type not in _EVENTS:
                continue
            changed = None if event.id == self._last_id else event.id
            self._last_id = event.id
            received.append(Received(event.data.decode(errors="replace"), changed))
        return received

    async def send(self, text: str, client: str) -> None:
        """Post a text."""
        if self._messages_url is None or not client:
            raise NotSentError(self.url, "is an event stream, which takes no texts", "use a WebSocket")
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._http.post(
                    self._messages_url,
                    params={"client": client},
                    data=text.encode(),
                    allow_redirects=False,
                ) as answer,
            ):
                if answer.status >= 300:
                    words = await _start_of(answer)
                    raise failures.not_sent_error(
                        self._messages_url, answer.status, words, answer.headers
                    )
        except failures.NETWORK_ERRORS as error:
            reason = failures.to_server_error(self._messages_url, error)
            raise NotSentError(self._messages_url, reason.problem, reason.fix) from error


@asynccontextmanager
async def _open_websocket(http: aiohttp.ClientSession, request: Request) -> AsyncIterator[Connection]:
    """Open a WebSocket, and close it at the end.

    Raises:
        RefusedError: if the server refuses it.
        Exception: one of NETWORK_ERRORS.
    """
    resume = {"last_event_id": request.position} if request.position else {}
    try:
        async with asyncio.timeout(request.seconds):
            socket = await http.ws_connect(
                request.url,
                params={**request.hidden, **resume},
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT_S),
                max_msg_size=MAX_RECEIVED_BYTES,
                autoping=False,
            )
    except _NoHandshakeError as error:
        raise failures.refusal_error(request.url, error.status, error.words, error.headers) from None
    try:
        yield WebSocket(request.url, socket)
    finally:
        await socket.close()


@asynccontextmanager
async def _open_event_stream(http: aiohttp.ClientSession, request: Request) -> AsyncIterator[Connection]:
    """Open an event stream, and close it at the end.

    Raises:
        ServerError: if the answer is no event stream.
        Exception: one of NETWORK_ERRORS.
    """
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Cache-Control": "no-cache"}
    if request.position:
        headers["Last-Event-ID"] = request.position
    async with (
        asyncio.timeout(request.seconds) as opening,
        http.get(request.url, params=request.hidden, headers=headers, allow_redirects=False) as answer,
    ):
        if answer.status != 200:
            words = await _start_of(answer)
            raise failures.refusal_error(request.url, answer.status, words, answer.headers)
        if answer.content_type != "text/event-stream":
            raise failures.no_stream_error(request.url, answer.content_type)
        opening.reschedule(None)
        try:
            yield EventStream(request, http, answer)
        finally:
            # Its rest is not read: the stream may have no end.
            answer.close()


OPENERS: Mapping[Transport, Callable[..., AbstractAsyncContextManager[Connection]]] = {
    "websocket": _open_websocket,
    "sse": _open_event_stream,
}


async def _start_of(answer: aiohttp.ClientResponse) -> str:
    return (await answer.content.read(MAX_REFUSAL_BYTES)).decode(errors="replace")
