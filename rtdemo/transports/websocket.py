"""Serve WebSocket connections (RFC 6455)."""

from __future__ import annotations

import asyncio
from struct import pack

from aiohttp import WSCloseCode, WSMessage, WSMsgType, hdrs, web

from rtdemo import wire
from rtdemo.admission import admit, check_origin
from rtdemo.connection import OUTBOX_LIMIT, Connection
from rtdemo.errors import Refused
from rtdemo.hub import Hub
from rtdemo.keys import HUB, SETTINGS, SITES
from rtdemo.reasons import Reason

MAX_MESSAGE = 64 * 1024
CLOSE_TIMEOUT = 2.0
"""Seconds for the peer's own close frame, after which its connection is cut."""
DRAIN_TIMEOUT = 1.0
"""Seconds for which a peer that broke the protocol may read why."""

_NEVER_SENT = {1004, 1005, 1006, 1015}
"""Close codes that no endpoint may put in a frame (RFC 6455 section 7.4.1)."""
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
    """

    broken: Reason | None = None

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True
    ) -> bool:
        """Send a close frame and wait for the peer's, or after an error for its end."""
        if code in _BROKEN and self.broken is None and not self.closed:
            self.broken = _BROKEN[code]
            await self._part(code, message or self.broken.text.encode())
        return await super().close(code=code, message=message, drain=drain)

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
        heartbeat=request.app[SETTINGS].heartbeat,
        # Compression would cost 120 KiB a connection instead of 14.
        compress=False,
        # aiohttp refuses a message that reaches its limit; ours may reach it.
        max_msg_size=MAX_MESSAGE + 1,
    )
    await ws.prepare(request)
    transport = request.transport
    if transport is None:
        return ws
    transport.set_write_buffer_limits(high=OUTBOX_LIMIT)
    loop, hub = asyncio.get_running_loop(), request.app[HUB]
    scope = asyncio.timeout(None)
    connection = hub.connection(
        client, transport, wire.websocket_frame, lambda _reason: scope.reschedule(loop.time())
    )
    try:
        async with scope:
            hub.join(connection, selection)
            await _serve(ws, hub, connection, request)
    except TimeoutError:
        # The server ends it: the close frame goes behind whatever waits in the outbox.
        reason = connection.reason or Reason.SERVER_ERROR
        await ws.close(code=reason.code, message=reason.text.encode(), drain=False)
    except asyncio.CancelledError:
        connection.closed(ws.broken or Reason.CONNECTION_LOST)
        await _hear_out(ws, hub, connection)
        raise
    finally:
        hub.leave(connection, Reason.SERVER_ERROR)
        if request.transport is not None:
            loop.call_later(CLOSE_TIMEOUT, transport.abort)
    return ws


def check_handshake(request: web.Request) -> None:
    """Let only a WebSocket handshake of version 13 pass (RFC 6455 section 4.2.1).

    Raises:
        Refused: 426 with the headers that say what to ask for, and where the page is.
    """
    headers = request.headers
    is_upgrade = (
        request.method == hdrs.METH_GET
        and headers.get(hdrs.UPGRADE, "").strip().lower() == "websocket"
        and "upgrade" in headers.get(hdrs.CONNECTION, "").lower()
    )
    if is_upgrade and headers.get(hdrs.SEC_WEBSOCKET_VERSION) == "13":
        return
    page = f"http://{_hostname(request)}:{request.app[SITES].web}/"
    raise Refused(
        426,
        f"only WebSocket (version 13) is spoken here; the page is at {page}",
        {hdrs.UPGRADE: "websocket", hdrs.CONNECTION: "Upgrade", hdrs.SEC_WEBSOCKET_VERSION: "13"},
    )


def _hostname(request: web.Request) -> str:
    host = request.url.host or "localhost"
    return f"[{host}]" if ":" in host else host


async def _serve(ws: Socket, hub: Hub, connection: Connection, request: web.Request) -> None:
    while connection.reason is None:
        message = await ws.receive()
        text = await _read(ws, message)
        if text is None:
            connection.closed(_reason(ws, message))
            return
        await hub.receive(connection, text)
        if connection.is_full:
            # Read nothing more from a client that does not read its replies.
            await request.writer.drain()
        # A client that floods waits for everyone else's turn after each message.
        await asyncio.sleep(0)


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
            code = Reason.PROTOCOL_ERROR.code
        await ws.close(code=code or WSCloseCode.OK, drain=False)
    return None


def _reason(ws: Socket, message: WSMessage) -> Reason:
    if ws.broken is not None:
        return ws.broken
    return Reason.CLIENT_LEFT if message.type is WSMsgType.CLOSE else Reason.CONNECTION_LOST


async def _hear_out(ws: Socket, hub: Hub, connection: Connection) -> None:
    """Take the texts that a client sent before it went; they are parsed and waiting."""
    task = asyncio.current_task()
    if ws.broken is not None or task is None:
        return
    task.uncancel()
    async with asyncio.timeout(CLOSE_TIMEOUT):
        message = await ws.receive()
        while message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            text = await _read(ws, message)
            if text is not None:
                await hub.receive(connection, text)
            message = await ws.receive()
