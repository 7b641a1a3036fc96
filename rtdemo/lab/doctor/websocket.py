"""Check WebSockets: the upgrade, subprotocol and compression, size."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from rtdemo.lab.doctor.context import RESPONSE_TIMEOUT_S, Context
from rtdemo.lab.doctor.errors import TOO_MANY_REQUESTS, NotTestedError, decode_json, first_line
from rtdemo.plugin_system.checks import Finding
from rtdemo.protocol.message import MAX_MESSAGE_BYTES

Socket = aiohttp.ClientWebSocketResponse
SUBPROTOCOL = "rtdemo.probe"
"""Subprotocol that the probe's WebSocket accepts."""
DEFLATE_WINDOW_BITS = 15
"""LZ77 window that is offered for permessage-deflate (RFC 7692 section 7.1.2)."""


async def upgrade(context: Context) -> Finding:
    """Ask for a WebSocket and report what the server answers instead (RFC 6455 section 4.1)."""
    url = context.address.stream("websocket").replace("ws", "http", 1)
    handshake = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
    }
    context.websocket_error = "no answer"
    async with (
        asyncio.timeout(RESPONSE_TIMEOUT_S),
        context.http.get(url, headers=handshake, allow_redirects=False) as response,
    ):
        if response.status == 101:
            context.websocket_error = ""
            return Finding("ok", "101 Switching Protocols")
        line = first_line(await response.text(errors="replace"))
    context.websocket_error = f"{response.status} {response.reason} instead of 101"
    return Finding("fail", f"{context.websocket_error}: {line}", context.fix("upgrade"))


def require_websocket(context: Context) -> None:
    """Raise an error unless the upgrade succeeded.

    Raises:
        NotTestedError: if no WebSocket can be opened.
    """
    if context.websocket_error:
        raise NotTestedError("no WebSocket can be opened")


@asynccontextmanager
async def open_echo(context: Context, **options: Any) -> AsyncIterator[tuple[Socket, dict[str, Any]]]:
    """Open the WebSocket that echoes; yield it, and its handshake as the server received it.

    Arguments:
        options: further arguments of aiohttp's `ws_connect`.

    Raises:
        NotTestedError: if no WebSocket can be opened, or the server limits probes.
    """
    require_websocket(context)
    timeout = aiohttp.ClientWSTimeout(ws_close=1.0)
    try:
        async with (
            asyncio.timeout(RESPONSE_TIMEOUT_S) as opening,
            context.http.ws_connect(context.echo_url, timeout=timeout, **options) as socket,
        ):
            received = dict(decode_json(await socket.receive_bytes()))
            opening.reschedule(None)
            yield socket, received
    except aiohttp.WSServerHandshakeError as error:
        if error.status == TOO_MANY_REQUESTS:
            raise NotTestedError("rate-limited") from error
        raise


async def offers(context: Context) -> Finding:
    """Check that the offered subprotocol is accepted, and that no proxy adds compression."""
    options: dict[str, Any] = {"protocols": (SUBPROTOCOL,), "compress": DEFLATE_WINDOW_BITS}
    async with open_echo(context, **options) as (socket, received):
        headers = {name.lower(): value for name, value in received["headers"].items()}
        protocol, compress = socket.protocol, socket.compress
    is_forwarded = "deflate" in headers.get("sec-websocket-extensions", "")
    offer = "offer arrives" if is_forwarded else "offer is removed on the way"
    answer = "accepted by a proxy" if compress else "declined: rtdemo does not compress"
    deflate = f"permessage-deflate {offer}, {answer}"
    if protocol != SUBPROTOCOL:
        return Finding("fail", f"subprotocol lost; {deflate}", context.fix("negotiation"))
    return Finding("warn" if compress else "ok", f"subprotocol accepted; {deflate}")


async def large(context: Context) -> Finding:
    """Send a text of the largest size that rtdemo accepts, and receive its echo."""
    text = "x" * MAX_MESSAGE_BYTES
    async with open_echo(context) as (socket, _):
        await socket.send_str(text)
        echo = await socket.receive(15)
    if echo.type is not aiohttp.WSMsgType.TEXT or echo.data != text:
        seen = f"a text of {MAX_MESSAGE_BYTES} bytes was not echoed ({echo.type.name.lower()})"
        return Finding("fail", seen, context.fix("large"))
    return Finding("ok", f"sent a text of {MAX_MESSAGE_BYTES} bytes and received its echo")
