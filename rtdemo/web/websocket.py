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
"""Seconds for plugins to handle texts that arrived before the connection was lost."""
CLOSE_TIMEOUT_S = 2.0
"""Seconds to wait for the peer's close frame; then its connection is aborted."""
LINGER_S = 1.0
"""Seconds for which a peer that broke the protocol can read the close frame."""

_NEVER_SENT = {1006}
"""Close codes that aiohttp accepts but no endpoint may send (RFC 6455 section 7.4.1)."""
_NO_CODE = 0
"""aiohttp's value for a close frame without a code."""
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
        # With compression a connection would need 120 KiB of memory instead of 14.
        compress=False,
        # aiohttp refuses a message of exactly its limit; rtdemo accepts it.
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
        # The TCP connection has ended. Handle the texts that arrived before.
        connection.mark_ended(await receiver.finish())
        raise
    finally:
        hub.leave(connection, Reason.SERVER_ERROR)
        if request.transport is not None:
            loop.call_later(CLOSE_TIMEOUT_S, transport.abort)
    if not ws.closed:
        # The server ends the connection: send the close frame after the bytes in the outbox.
        reason = connection.reason or Reason.SERVER_ERROR
        if reason.code in _NEVER_SENT:
            # Cut on purpose: the peer must see its connection end without a close frame.
            transport.abort()
        await ws.close(code=reason.code, message=reason.text.encode(), drain=False)
    return ws


class Socket(web.WebSocketResponse):
    """WebSocket with a close frame that arrives even after a protocol error of the peer.

    After a frame that it cannot accept, aiohttp closes the TCP connection at once. The rest of that
    frame is still unread, so the kernel sends RST, and the peer loses the close frame. This class
    half-closes instead. Then it reads and drops data until the peer closes, for at most one second.

    Attributes:
        broken: the protocol error of the peer; None if there was none.
        on_broken: called with this error before the close frame; must stop all writing, because
            nothing may follow a close frame.
    """

    broken: Reason | None = None
    on_broken: Callable[[Reason], object] | None = None

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True
    ) -> bool:
        """Send a close frame and wait for the peer's; after its protocol error, wait until it closes."""
        if code in _PROTOCOL_REASONS and self.broken is None and not self.closed:
            self.broken = _PROTOCOL_REASONS[code]
            if self.on_broken is not None:
                self.on_broken(self.broken)
            await self._close_after_error(code, message or self.broken.text.encode())
        return await super().close(code=code, message=message, drain=drain)

    async def answer_close(self, code: int) -> None:
        """Answer the peer's close frame with the same code.

        `close` would treat an error code from the peer as an error that this side found.
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
            # As soon as the peer closes, aiohttp cancels the handler, and so ends this sleep.
            await asyncio.sleep(LINGER_S)
        finally:
            transport.abort()


class _Receiver:
    """Handle a client's texts in order, each to its end, even if the client disconnects meanwhile."""

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
            # Let other tasks run after each message, so that a flood from one client delays none.
            await asyncio.sleep(0)
        return self._connection.reason

    async def finish(self) -> Reason:
        """Handle the current text and those already received; return why the connection ended."""
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
        # In a separate task: if the client disconnects, the plugin still finishes this text.
        self._text = asyncio.ensure_future(self._hub.receive(self._connection, text))
        try:
            await asyncio.shield(self._text)
        finally:
            if self._text.done():
                self._text = None
        return None


async def _read(ws: Socket, message: WSMessage) -> str | None:
    """Return a message's text. If the message ends the connection, answer it and return None."""
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
