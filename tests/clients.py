"""Clients of other projects for both transports, with one interface."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import httpx
import httpx_sse
import websockets

from rtdemo.server.server import Server

Fields = dict[str, Any]


class Peer(Protocol):
    """A connected client."""

    welcome: Fields

    async def receive(self) -> Fields:
        """Return the next message; raise `Ended` if the server ended the connection."""
        ...

    async def say(self, text: str) -> None:
        """Send a text to the server."""

    async def leave(self) -> None:
        """Close the connection."""


class Ended(Exception):
    """The server ended the connection."""

    def __init__(self, code: int | None = None) -> None:
        super().__init__(code)
        self.code = code


class WebSocketPeer:
    """A client of the `websockets` library."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.welcome: Fields = {}

    async def receive(self) -> Fields:
        """Return the next message."""
        try:
            return dict(json.loads(await self.socket.recv()))
        except websockets.ConnectionClosed as error:
            raise Ended(error.rcvd.code if error.rcvd else None) from error

    async def say(self, text: str) -> None:
        """Send a text frame."""
        await self.socket.send(text)

    async def leave(self) -> None:
        """Close with a closing handshake."""
        await self.socket.close()


class SsePeer:
    """A client of `httpx-sse`, which sends by POST."""

    def __init__(self, http: httpx.AsyncClient, stream: httpx_sse.EventSource) -> None:
        self.http = http
        self.stream = stream
        self.welcome: Fields = {}
        self._events = stream.aiter_sse()

    async def receive(self) -> Fields:
        """Return the next event's message."""
        async for event in self._events:
            # An event without data is not dispatched (WHATWG HTML 9.2.6), but httpx-sse returns it.
            if event.data:
                return dict(json.loads(event.data))
        raise Ended

    async def say(self, text: str) -> None:
        """Post a text."""
        client = self.welcome["client"]
        answer = await self.http.post("/api/messages", params={"client": client}, content=text.encode())
        assert answer.status_code == 202, answer.text

    async def leave(self) -> None:
        """Close the stream."""
        await self.stream.response.aclose()


@asynccontextmanager
async def websocket(server: Server, query: str) -> AsyncIterator[Peer]:
    """Connect over WebSocket, and read the welcome."""
    async with websockets.connect(f"{server.websocket_url}?{query}") as socket:
        peer = WebSocketPeer(socket)
        peer.welcome = await peer.receive()
        yield peer


@asynccontextmanager
async def sse(server: Server, query: str) -> AsyncIterator[Peer]:
    """Connect over SSE, and read the welcome."""
    async with (
        httpx.AsyncClient(base_url=server.web_url, timeout=60) as http,
        httpx_sse.aconnect_sse(http, "GET", f"/api/sse?{query}") as stream,
    ):
        peer = SsePeer(http, stream)
        peer.welcome = await peer.receive()
        yield peer


class Connector(Protocol):
    """Connect to a server with a query, until the context ends."""

    def __call__(self, server: Server, query: str) -> AbstractAsyncContextManager[Peer]: ...


CONNECT: dict[str, Connector] = {"websocket": websocket, "sse": sse}


async def eventually(condition: Any) -> None:
    """Wait until a condition holds; pytest's timeout bounds the wait."""
    while not condition():
        await asyncio.sleep(0.001)
