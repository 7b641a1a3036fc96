"""Examine WebSockets: the upgrade, what is negotiated in it, size."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from rtdemo.lab.doctor.context import TIMEOUT, Path
from rtdemo.lab.doctor.errors import TOO_MANY, NotTestedError, decode, first_line
from rtdemo.plugin_system.checks import Finding
from rtdemo.protocol.message import MAX_MESSAGE_BYTES

Socket = aiohttp.ClientWebSocketResponse
SUBPROTOCOL = "rtdemo.probe"


async def upgrade(path: Path) -> Finding:
    """Ask for a WebSocket and see what is answered instead (RFC 6455 section 4.1)."""
    url = path.address.stream("websocket").replace("ws", "http", 1)
    asked = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
    }
    path.no_websocket = "no answer"
    async with (
        asyncio.timeout(TIMEOUT),
        path.http.get(url, headers=asked, allow_redirects=False) as answer,
    ):
        if answer.status == 101:
            path.no_websocket = ""
            return Finding("ok", "101 Switching Protocols")
        line = first_line(await answer.text(errors="replace"))
    path.no_websocket = f"{answer.status} {answer.reason} instead of 101"
    return Finding("fail", f"{path.no_websocket}: {line}", path.fix("upgrade"))


@asynccontextmanager
async def open_probe(path: Path, **how: Any) -> AsyncIterator[tuple[Socket, dict[str, Any]]]:
    """Open the WebSocket that echoes; give it, and its handshake as it arrived.

    Raises:
        NotTestedError: where no WebSocket can be opened.
    """
    if path.no_websocket:
        raise NotTestedError("no WebSocket can be opened")
    timeout = aiohttp.ClientWSTimeout(ws_close=1.0)
    try:
        async with (
            asyncio.timeout(TIMEOUT) as opening,
            path.http.ws_connect(path.probe_socket, timeout=timeout, **how) as socket,
        ):
            seen = dict(decode(await socket.receive_bytes()))
            opening.reschedule(None)
            yield socket, seen
    except aiohttp.WSServerHandshakeError as error:
        if error.status == TOO_MANY:
            raise NotTestedError("rate-limited") from error
        raise


async def negotiated(path: Path) -> Finding:
    """See whether what a client offers arrives, and what is agreed."""
    async with open_probe(path, protocols=(SUBPROTOCOL,), compress=15) as (socket, seen):
        arrived = {name.lower(): value for name, value in seen["headers"].items()}
        protocol, compress = socket.protocol, socket.compress
    offer = "arrives" if "deflate" in arrived.get("sec-websocket-extensions", "") else "is taken out"
    answer = "agreed by something in between" if compress else "not agreed: rtdemo does not compress"
    told = f"permessage-deflate {offer}, {answer}"
    if protocol != SUBPROTOCOL:
        return Finding("fail", f"subprotocol lost; {told}", path.fix("negotiation"))
    return Finding("warn" if compress else "ok", f"subprotocol agreed; {told}")


async def large(path: Path) -> Finding:
    """Send a text of 64 KiB and take it back."""
    text = "x" * MAX_MESSAGE_BYTES
    async with open_probe(path) as (socket, _):
        await socket.send_str(text)
        back = await socket.receive(15)
    if back.type is not aiohttp.WSMsgType.TEXT or back.data != text:
        seen = f"a text of {MAX_MESSAGE_BYTES} bytes did not come back ({back.type.name.lower()})"
        return Finding("fail", seen, path.fix("large"))
    return Finding("ok", f"a text of {MAX_MESSAGE_BYTES} bytes went there and came back")
