"""Serve WebSocket connections (RFC 6455)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from struct import pack

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from rtdemo.hub.connection import OUTBOX_LIMIT, Connection
from rtdemo.hub.hub import Hub
from rtdemo.hub.outbox import SocketOutbox
from rtdemo.protocol import wire
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.message import MAX_MESSAGE_BYTES
from rtdemo.web import request_info
from rtdemo.web.admission import admit, check_handshake, check_origin, last_event_id
from rtdemo.web.app_keys import HUB, SETTINGS
from rtdemo.web.streaming import interrupting

log = logging.getLogger(__name__)

HEAR_OUT_TIMEOUT = 2.0
"""Seconds for plugins to take what a client sent before its connection was lost."""
CLOSE_TIMEOUT = 2.0
"""Seconds for the peer's own close frame, after which its connection is cut."""
DRAIN_TIMEOUT = 1.0
"""Seconds for which a peer that broke the protocol may read why."""

_NEVER_SENT = {1006}
"""Of the close codes that no endpoint may send (RFC 6455 section 7.4.1), what aiohttp lets pass."""
_NO_CODE = 0
_BROKEN = {
    reason.code: reason
    for reason in (Reason.PROTOCOL_ERROR, Reason.UNSUPPORTED, Reason.BAD_UTF8, Reason.TOO_BIG)
}


class Socket(web.WebSocketResponse):
    """Close so that a peer that broke the protocol can read why.

    After a frame that it cannot take, aiohttp closes the TCP connection at once. With the rest of
    that frame unread the kernel then sends RST, which destroys the close frame on its way. So half
    close, read on into nothing until the peer has closed too, for one second at the most.

    Attributes:
        broken: why this side gave up on the peer, once it did.
        on_broken: called with the reason before the close frame; nothing is to follow that.
    """

    broken: Reason | None = None
    on_broken: Callable[[Reason], object] | None = None

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True
    ) -> bool:
        """Send a close frame and wait for the peer's, or after an error for its end."""
        if code in _BROKEN and self.broken is None and not self.closed:
            self.broken = _BROKEN[code]
            if self.on_broken is not None:
                self.on_broken(self.broken)
            await self._part(code, message or self.broken.text.encode())
        return await super().close(code=code, message=message, drain=drain)

    async def answer(self, code: int) -> None:
        """Answer the peer's close frame with its own code; what it says of us is not our verdict."""
        await super().close(code=code or WSCloseCode.OK, drain=False)

    async def _part(self, code: int, message: bytes) -> None:
        transport = self._req.transport if self._req is not None else None
        if transport is None:
            return
        await self.send_frame(pack("!H", code) + message, WSMsgType.CLOSE)
        if transport.can_write_eof():
            transport.write_eof()
        transport.resume_reading()
        try:
            # The handler is cancelled, and this with it, as soon as the peer has closed.
            await asyncio.sleep(DRAIN_TIMEOUT)
        finally:
            transport.abort()


async def socket(request: web.Request) -> web.StreamResponse:
    """Answer a WebSocket handshake and serve the connection until it ends."""
    check_handshake(request)
    check_origin(request)
    client, selection = admit(request, "websocket")
    ws = Socket(
        timeout=CLOSE_TIMEOUT,
        autoclose=False,
        autoping=False,
        heartbeat=request.app[SETTINGS].heartbeat,
        # Compression would cost 120 KiB a connection instead of 14.
        compress=False,
        # aiohttp refuses a message that reaches its limit; ours may reach it.
        max_msg_size=MAX_MESSAGE_BYTES + 1,
    )
    await ws.prepare(request)
    transport = request.transport
    if transport is None:
        return ws
    # Writing resumes as soon as the outbox is within its limit again: above it, patience ends it.
    transport.set_write_buffer_limits(high=OUTBOX_LIMIT, low=OUTBOX_LIMIT)
    loop, hub = asyncio.get_running_loop(), request.app[HUB]
    scope = asyncio.timeout(None)
    outbox = SocketOutbox(transport)
    connection = hub.connection(client, outbox, wire.websocket_frame, interrupting(scope))
    compression = "permessage-deflate" if ws.compress else None
    connection.route = partial(request_info.of, request, "websocket", compression)
    ws.on_broken = connection.closed
    hearing = _Hearing(ws, hub, connection)
    try:
        async with scope:
            hub.join(connection, selection, last_event_id(request))
            connection.closed(await hearing.listen(request.writer.drain))
    except TimeoutError:
        connection.closed(Reason.SERVER_ERROR)
    except Exception:
        log.exception("%s: the server failed", client)
        connection.closed(Reason.SERVER_ERROR)
    except asyncio.CancelledError:
        # The TCP connection is gone, and what it brought before is still to be heard.
        connection.closed(await hearing.hear_out())
        raise
    finally:
        hub.leave(connection, Reason.SERVER_ERROR)
        if request.transport is not None:
            loop.call_later(CLOSE_TIMEOUT, transport.abort)
    if not ws.closed:
        # The server ends it: the close frame goes behind whatever waits in the outbox.
        reason = connection.reason or Reason.SERVER_ERROR
        if reason.code in _NEVER_SENT:
            # Cut on purpose: the peer is to see its connection gone without a word.
            transport.abort()
        await ws.close(code=reason.code, message=reason.text.encode(), drain=False)
    return ws


class _Hearing:
    """Take a client's texts in their order, each whole, also when it leaves in the middle."""

    def __init__(self, ws: Socket, hub: Hub, connection: Connection) -> None:
        self._ws = ws
        self._hub = hub
        self._connection = connection
        self._text: asyncio.Task[None] | None = None

    async def listen(self, drain: Callable[[], Awaitable[None]]) -> Reason:
        """Take texts until the connection ends; return why it did."""
        while self._connection.reason is None:
            message = await self._ws.receive()
            reason = await self._take(message)
            if reason is not None:
                return reason
            if self._connection.is_full:
                # Read nothing more from a client that does not read its replies.
                await drain()
            # A client that floods waits for everyone else's turn after each message.
            await asyncio.sleep(0)
        return self._connection.reason

    async def hear_out(self) -> Reason:
        """Finish the text under way and take those that are parsed and waiting; return the end."""
        task = asyncio.current_task()
        if self._ws.broken is not None or task is None:
            return self._ws.broken or Reason.CONNECTION_LOST
        task.uncancel()
        try:
            async with asyncio.timeout(HEAR_OUT_TIMEOUT):
                if self._text is not None:
                    await self._text
                while True:
                    reason = await self._take(await self._ws.receive())
                    if reason is not None:
                        return reason
        except TimeoutError:
            return Reason.CONNECTION_LOST

    async def _take(self, message: WSMessage) -> Reason | None:
        """Take one message; return the reason where the connection ends with it."""
        if message.type is WSMsgType.PING:
            with suppress(ConnectionError):
                await self._ws.pong(message.data)
            return None
        if message.type is WSMsgType.PONG:
            return None
        text = await _read(self._ws, message)
        if text is None:
            return _reason(self._ws, message)
        # A task of its own, so that the client's leaving does not cut a plugin off half-way.
        self._text = asyncio.ensure_future(self._hub.receive(self._connection, text))
        try:
            await asyncio.shield(self._text)
        finally:
            if self._text.done():
                self._text = None
        return None


async def _read(ws: Socket, message: WSMessage) -> str | None:
    """Return a message's text, or None where the connection ends with it; answer what ends it."""
    if message.type is WSMsgType.TEXT:
        return str(message.data)
    if message.type is WSMsgType.BINARY:
        try:
            return bytes(message.data).decode()
        except UnicodeDecodeError:
            await ws.close(code=Reason.BAD_UTF8.code)
    elif message.type is WSMsgType.CLOSE:
        code = message.data
        if code in _NEVER_SENT or (code != _NO_CODE and not 1000 <= code < 5000):
            await ws.close(code=Reason.PROTOCOL_ERROR.code)
        else:
            await ws.answer(code)
    return None


def _reason(ws: Socket, message: WSMessage) -> Reason:
    if ws.broken is not None:
        return ws.broken
    return Reason.CLIENT_LEFT if message.type is WSMsgType.CLOSE else Reason.CONNECTION_LOST
