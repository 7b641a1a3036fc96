"""Check WebSockets: the upgrade, subprotocol and compression, and the largest text to the server."""

from __future__ import annotations

import asyncio

from rtdemo.lab.doctor.answers import explain, is_from_rtdemo
from rtdemo.lab.doctor.context import Context, ok
from rtdemo.lab.doctor.errors import NETWORK_ERRORS, Diagnosis, StreamError, describe, first_line
from rtdemo.lab.doctor.websocket_client import RefusedError, open_socket
from rtdemo.protocol.message import MAX_MESSAGE_BYTES

SUBPROTOCOL = "rtdemo.probe"
"""Subprotocol that a probe's WebSocket accepts."""
DEFLATE = "permessage-deflate; client_max_window_bits"
"""What browsers offer in Sec-WebSocket-Extensions (RFC 7692)."""


async def upgrade(context: Context, version: str) -> Diagnosis:
    """Open a WebSocket, as browsers do (RFC 6455 section 4.1; over HTTP/2, RFC 8441)."""
    headers = {"Origin": context.address.origin} if context.address.is_whole else {}
    headers["Sec-WebSocket-Extensions"] = DEFLATE
    context.causes["websocket", version] = "WebSocket upgrade"
    try:
        async with (
            asyncio.timeout(2 * context.patience),
            open_socket(context, context.address.stream("websocket"), headers, version) as socket,
        ):
            answered = socket.answer.status
    except RefusedError as error:
        return explain_refusal(context, error)
    except (TimeoutError, *NETWORK_ERRORS) as error:
        seen = f"the handshake {describe(error)}"
        return context.fault("ws-not-open", seen, "upgrade")
    del context.causes["websocket", version]
    return ok("101 Switching Protocols" if answered == 101 else f"{answered}, as RFC 8441 demands")


def explain_refusal(context: Context, error: RefusedError) -> Diagnosis:
    """Return why a handshake was answered in another way."""
    answer, line = error.answer, first_line(error.text)
    figures = {"status": answer.status}
    if is_from_rtdemo(answer) or "accepts only WebSocket" in error.text:
        if answer.status == 426:
            seen = "426 instead of 101: the headers Upgrade and Connection did not reach rtdemo"
            return context.fault("ws-upgrade-removed", seen, "upgrade", figures)
        if answer.status == 400 and "HTTP/1.1" in line:
            seen = "400 instead of 101: the handshake reached rtdemo as HTTP/1.0"
            return context.fault("ws-upgrade-removed", seen, "upgrade", figures)
        if answer.status == 403 and "origin" in line:
            # Other checks send no Origin, so they can run.
            context.causes.pop(("websocket", answer.version), None)
            fix = context.fix("host", origin=context.address.origin)
            seen = f"rtdemo refuses its own page: {line.partition(';')[0]}"
            return Diagnosis("fail", seen, fix, "origin-own-refused")
        if answer.status == 400:
            seen = f"400 instead of 101: {line}"
            return context.fault("ws-not-open", seen, "upgrade", figures)
    if answer.status == 101:
        return context.fault("ws-not-open", f"101, but {line}", "upgrade", figures)
    if answer.status == 200:
        seen = "200 instead of 101: the handshake was answered as an ordinary request"
        return context.fault("ws-upgrade-removed", seen, "upgrade", figures)
    if answer.status in (400, 404, 405, 426, 501):
        found = explain(context, answer, error.text)
        return context.fault(
            "ws-not-open", f"{found.seen.partition(':')[0]} instead of 101", "upgrade", figures
        )
    return explain(context, answer, error.text)


async def offers(context: Context, version: str) -> Diagnosis:
    """Check that the offered subprotocol is accepted, and that no proxy adds compression."""
    context.require("websocket", version)
    headers = {"Sec-WebSocket-Protocol": SUBPROTOCOL, "Sec-WebSocket-Extensions": DEFLATE}
    url = context.probe("websocket", "", 15)
    async with (
        asyncio.timeout(2 * context.patience),
        open_socket(context, url, headers, version) as socket,
    ):
        protocol = socket.answer.header("Sec-WebSocket-Protocol")
        extensions = socket.answer.header("Sec-WebSocket-Extensions")
    compressed = "permessage-deflate" in extensions
    deflate = "permessage-deflate accepted" if compressed else "permessage-deflate declined"
    if protocol != SUBPROTOCOL:
        seen = f"the subprotocol was lost on the way; {deflate}"
        return context.fault("ws-subprotocol-removed", seen, "negotiation")
    return ok(f"subprotocol accepted; {deflate}")


async def large(context: Context, version: str) -> Diagnosis:
    """Send a text of the largest size that rtdemo accepts, and receive its echo."""
    context.require("websocket", version)
    text = "x" * MAX_MESSAGE_BYTES
    url = context.probe("websocket", "", 60)
    try:
        async with (
            asyncio.timeout(4 * context.patience),
            open_socket(context, url, version=version) as socket,
        ):
            await socket.send(text)
            while text not in (await socket.receive()).text:
                pass
    except (TimeoutError, StreamError) as error:
        if isinstance(error, TimeoutError):
            context.check_patience()
        seen = f"a text of 64 KiB to the server was not echoed: the socket {describe(error)}"
        return context.fault("size-limit", seen, "large", {"sizeBytes": MAX_MESSAGE_BYTES})
    return ok("sent a text of 64 KiB and received its echo", sizeBytes=MAX_MESSAGE_BYTES)
