"""Connect to a server, and iterate over its messages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Literal

import aiohttp

from rtdemo.client.connection import new_session
from rtdemo.client.credentials import Credentials, Renewable
from rtdemo.client.ledger import Ledger
from rtdemo.client.message import Message
from rtdemo.client.reconnecting import Options, Reconnecting
from rtdemo.client.waits import WAITS, Waits
from rtdemo.errors import NotSentError
from rtdemo.protocol import address as addresses
from rtdemo.protocol.client import Transport
from rtdemo.protocol.message import MAX_MESSAGE_BYTES

log = logging.getLogger("rtdemo.client")


def connect(
    url: str,
    *,
    transport: Transport | Literal["auto"] = "auto",
    producers: Iterable[str] | str | None = None,
    latest: bool = False,
    rewind: str | None = None,
    after: str | None = None,
    token: str | Renewable | None = None,
    ticket: Renewable | None = None,
    headers: Mapping[str, str] | None = None,
    with_reports: bool = False,
    wait_for_server: bool = False,
    report: Callable[[str], object] = log.warning,
    waits: Waits = WAITS,
) -> Stream:
    """Return a stream of a server's messages, which `async with` opens.

    What heals by itself raises nothing: a connection that breaks, is silent or is refused for some time
    is opened again, after the last message. Where the server has lost messages before they arrived, a
    stream with `latest` or `rewind` asks for the past again, and gives the program what it has not had.

    Arguments:
        url: of the server, such as `http://localhost:3000`; or one WebSocket (`ws://host/path`) or one
            event stream (`http://host/path`) of any server.
        transport: `websocket`, `sse`, or `auto`: WebSocket, and SSE where that does not open or is mute.
        producers: names of the producers to receive, or one text with commas; None for all, an empty
            list for none.
        latest: whether to begin with the newest message of each shared producer.
        rewind: how far back to begin, such as `10m`: a whole number with s, m or h; None for now.
        after: position after which to continue, such as `stream.position` of an earlier run.
        token: login token; a function that returns a valid one is called for each connection.
        ticket: function that returns a new login ticket; it is called for each connection.
        headers: to send with each request to this server, and to no other.
        with_reports: whether to receive what the server reports about the connection too: each welcome,
            and `resume` where messages are lost.
        wait_for_server: whether to wait for a server that cannot be reached yet, instead of raising.
        report: takes one sentence about each lost connection, each loss of messages and each change of
            the transport.
        waits: times in seconds.

    Raises:
        AddressError: if the URL is not one, or has no such transport.
    """
    own_headers = dict(headers or {})
    address = replace(addresses.parse(url), headers=own_headers)
    transports = address.transports if transport == "auto" else (transport,)
    names = producers if isinstance(producers, str) or producers is None else ",".join(producers)
    query = {"producers": names, "latest": "1" if latest else None, "rewind": rewind}
    for each in transports:
        address.stream(each)
    options = Options(
        address=address,
        headers=own_headers,
        transports=transports,
        query=query,
        heartbeat={"heartbeat": str(waits.heartbeat)} if address.is_whole else {},
        credentials=Credentials(token, ticket),
        with_reports=with_reports,
        waits_for_server=wait_for_server,
        report=report,
        waits=waits,
    )
    return Stream(options, after or "")


class Stream:
    """Messages of one server, across lost connections.

    `async with` opens the first connection, and closes the last one. One task of the stream receives, so
    that the connection stays alive while the program does something else. While 1 MiB of messages waits
    for the program, it reads nothing; the server then drops messages, or ends the connection, which
    resumes.

    Arguments:
        options: what to ask for.
        position: after which to continue; empty for a new client.
    """

    def __init__(self, options: Options, position: str) -> None:
        self._options = options
        self._position = position
        self._http: aiohttp.ClientSession | None = None
        self._reader: Reconnecting | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Stream:
        """Open the first connection.

        Raises:
            UnreachableError: if there is no connection to the server.
            RefusedError: if the server refuses it; LoginError if it needs another login.
            NoStreamError: if something else answers.
        """
        if self._reader is not None:
            raise RuntimeError("a stream can be opened once; call connect again")
        self._http = new_session(self._options.address)
        self._reader = Reconnecting(self._http, self._options, self._position)
        self._task = asyncio.create_task(self._reader.run())
        try:
            await self._reader.opened
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; iteration ends."""
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait({self._task})
        finally:
            # Also where this is cancelled meanwhile.
            if self._http is not None:
                await self._http.close()
            if self._reader is not None:
                self._reader.inbox.end(StopAsyncIteration())

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Message:
        """Return the next message; a call that is cancelled loses none.

        Raises:
            RefusedError: if the server refuses a further connection; LoginError if it needs another
                login.
            StopAsyncIteration: if the stream is closed.
        """
        message, self._position = await self._open_reader.inbox.get()
        return message

    async def send(self, text: str) -> None:
        """Send a text; where there is no connection, wait for one for up to 10 s.

        Arguments:
            text: up to 64 KiB. Replies arrive among the messages.

        Raises:
            NotSentError: if it was not sent, or the server did not take it.
        """
        reader, address = self._open_reader, self._options.address
        if address.is_whole and len(text.encode()) > MAX_MESSAGE_BYTES:
            raise NotSentError(address.origin, "takes texts of up to 64 KiB", "send less")
        try:
            async with asyncio.timeout(self._options.waits.attempt):
                await reader.ready.wait()
        except TimeoutError as error:
            raise NotSentError(address.origin, "is not connected", "send it again later") from error
        if reader.connection is None:
            fix = "call connect again" if reader.has_ended else "send it again later"
            raise NotSentError(address.origin, "is not connected", fix)
        await reader.connection.send(text, reader.client)

    @property
    def transport(self) -> Transport:
        """The transport of this connection, or of the next one."""
        return self._open_reader.choice.current

    @property
    def reason(self) -> str:
        """Why `auto` does not use WebSocket; empty if it does."""
        return self._open_reader.choice.reason

    @property
    def is_connected(self) -> bool:
        """Whether a connection is open now."""
        return self._open_reader.connection is not None

    @property
    def client(self) -> str:
        """The id of this connection's client, which is a secret; empty before the welcome."""
        return self._open_reader.client

    @property
    def ledger(self) -> Ledger:
        """What was received, repeated, missing, and lost."""
        return self._open_reader.ledger

    @property
    def position(self) -> str | None:
        """Position after the last message that was iterated over; None before the first."""
        reader = self._open_reader
        return (reader.position if reader.inbox.is_empty else self._position) or None

    @property
    def _open_reader(self) -> Reconnecting:
        if self._reader is None:
            raise RuntimeError("the stream is not open; use it in `async with`")
        return self._reader
