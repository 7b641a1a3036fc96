"""WebSocket connections (RFC 6455)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from struct import pack

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from rtdemo.hub.connection import Connection
from rtdemo.hub.hub import Hub
from rtdemo.protocol import wire
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.message import MAX_MESSAGE_BYTES
from rtdemo.web.admission import admit, check_origin, last_event_id
from rtdemo.web.app_keys import HUB, SETTINGS
from rtdemo.web.handshake import check_handshake
from rtdemo.web.streaming import open_connection

log = logging.getLogger(__name__)

FINISH_TIMEOUT_S = 2.0
"""Seconds for plugins to handle what a client sent before its connection was lost."""
CLOSE_TIMEOUT_S = 2.0
"""Seconds to wait for the peer's close frame; then its connection is aborted."""
LINGER_S = 1.0
"""Seconds for which a peer that broke the protocol can read the close frame."""

_NEVER_SENT = {1006}
"""Of the close codes that no endpoint may send (RFC 6455 section 7.4.1), what aiohttp accepts."""
_NO_CODE = 0
"""aiohttp's code for a close frame without one."""
_PROTOCOL_REASONS = {
    reason.code: reason
    for reason in (Reason.PROTOCOL_ERROR, Reason.UNSUPPORTED, Reason.BAD_UTF8, Reason.TOO_BIG)
}


async def socket(request: web.Request) -> web.StreamResponse:
    """Answer a WebSocket handshake, and serve the connection until it ends.

    Raises:
        Refused: 400, 403, 426 or 503 instead of the upgrade.
    """
    check_handshake(request)
    check_origin(request)
    client, selection = admit(request, "websocket")
    ws = Socket(
        timeout=CLOSE_TIMEOUT_S,
        autoclose=False,
        autoping=False,
        heartbeat=request.app[SETTINGS].heartbeat,
        # With compression a connection would cost 120 KiB instead of 14.
        compress=False,
        # aiohttp refuses a message as large as its limit; ours may be as large.
        max_msg_size=MAX_MESSAGE_BYTES + 1,
    )
    await ws.prepare(request)
    transport = request.transport
    if transport is None:
        return ws
    loop, hub = asyncio.get_running_loop(), request.app[HUB]
    compression = "permessage-deflate" if ws.compress else None
    connection, scope = open_connection(request, transport, client, wire.websocket_frame, compression)
    ws.on_broken = connection.mark_ended
    receiver = _Receiver(ws, hub, connection)
    try:
        async with scope:
            hub.join(connection, selection, last_event_id(request))
            connection.mark_ended(await receiver.run(request.writer.drain))
    except TimeoutError:
        connection.mark_ended(Reason.SERVER_ERROR)
    except Exception:
        log.exception("%s: internal server error", client)
        connection.mark_ended(Reason.SERVER_ERROR)
    except asyncio.CancelledError:
        # The TCP connection is gone. Texts that arrived before its end are still handled.
        connection.mark_ended(await receiver.finish())
        raise
    finally:
        hub.leave(connection, Reason.SERVER_ERROR)
        if request.transport is not None:
            loop.call_later(CLOSE_TIMEOUT_S, transport.abort)
    if not ws.closed:
        # The server ends the connection: the close frame follows what waits in the outbox.
        reason = connection.reason or Reason.SERVER_ERROR
        if reason.code in _NEVER_SENT:
            # Cut on purpose: the peer must see its connection end without a close frame.
            transport.abort()
        await ws.close(code=reason.code, message=reason.text.encode(), drain=False)
    return ws


class Socket(web.WebSocketResponse):
    """Close so that a peer that broke the protocol can read the close frame.

    After a frame that it cannot accept, aiohttp closes the TCP connection at once. The rest of that
    frame is unread then, so the kernel sends RST, which destroys the close frame on its way. Instead,
    half-close, then read and drop until the peer has closed too, for one second at most.

    Attributes:
        broken: how the peer broke the protocol; None while it has not.
        on_broken: called with this reason before the close frame; nothing may be written after that.
    """

    broken: Reason | None = None
    on_broken: Callable[[Reason], object] | None = None

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True
    ) -> bool:
        """Send a close frame and wait for the peer's; after an error, wait for the peer's end."""
        if code in _PROTOCOL_REASONS and self.broken is None and not self.closed:
            self.broken = _PROTOCOL_REASONS[code]
            if self.on_broken is not None:
                self.on_broken(self.broken)
            await self._close_after_error(code, message or self.broken.text.encode())
        return await super().close(code=code, message=message, drain=drain)

    async def answer_close(self, code: int) -> None:
        """Answer the peer's close frame with its own code.

        `close` would take an error code of the peer for an error that this side found.
        """
        await super().close(code=code or WSCloseCode.OK, drain=False)

    async def _close_after_error(self, code: int, message: bytes) -> None:
        transport = self._req.transport if self._req is not None else None
        if transport is None:
            return
        await self.send_frame(pack("!H", code) + message, WSMsgType.CLOSE)
        if transport.can_write_eof():
            transport.write_eof()
        transport.resume_reading()
        try:
            # aiohttp cancels the handler, and so this, as soon as the peer has closed.
            await asyncio.sleep(LINGER_S)
        finally:
            transport.abort()


class _Receiver:
    """Handle a client's texts in order, each of them wholly, even if the client leaves meanwhile."""

    def __init__(self, ws: Socket, hub: Hub, connection: Connection) -> None:
        self._ws = ws
        self._hub = hub
        self._connection = connection
        self._text: asyncio.Task[None] | None = None

    async def run(self, drain: Callable[[], Awaitable[None]]) -> Reason:
        """Handle texts until the connection ends; return why it ended.

        Arguments:
            drain: waits until the transport's buffer is within its limit.
        """
        while self._connection.reason is None:
            message = await self._ws.receive()
            reason = await self._handle(message)
            if reason is not None:
                return reason
            if self._connection.is_full:
                # Read nothing more from a client that does not read its replies.
                await drain()
            # Let other tasks run after each message, so that a client that floods delays none of them.
            await asyncio.sleep(0)
        return self._connection.reason

    async def finish(self) -> Reason:
        """Finish the present text, and handle those that are parsed already; return the reason."""
        task = asyncio.current_task()
        if self._ws.broken is not None or task is None:
            return self._ws.broken or Reason.CONNECTION_LOST
        task.uncancel()
        try:
            async with asyncio.timeout(FINISH_TIMEOUT_S):
                if self._text is not None:
                    await self._text
                while True:
                    reason = await self._handle(await self._ws.receive())
                    if reason is not None:
                        return reason
        except TimeoutError:
            return Reason.CONNECTION_LOST

    async def _handle(self, message: WSMessage) -> Reason | None:
        """Handle one message; return the reason if it ends the connection."""
        if message.type is WSMsgType.PING:
            with suppress(ConnectionError):
                await self._ws.pong(message.data)
            return None
        if message.type is WSMsgType.PONG:
            return None
        text = await _read(self._ws, message)
        if text is None:
            return _reason(self._ws, message)
        # A task of its own: if the client leaves, the plugin is not cancelled half-way.
        self._text = asyncio.ensure_future(self._hub.receive(self._connection, text))
        try:
            await asyncio.shield(self._text)
        finally:
            if self._text.done():
                self._text = None
        return None


async def _read(ws: Socket, message: WSMessage) -> str | None:
    """Return a message's text; None if the message ends the connection, after an answer to it."""
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
            await ws.answer_close(code)
    return None


def _reason(ws: Socket, message: WSMessage) -> Reason:
    if ws.broken is not None:
        return ws.broken
    return Reason.CLIENT_LEFT if message.type is WSMsgType.CLOSE else Reason.CONNECTION_LOST
