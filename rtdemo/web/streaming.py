"""What both transports share: a connection on a request's transport, and a way to interrupt it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from aiohttp import web

from rtdemo.hub.connection import OUTBOX_LIMIT_BYTES, Connection
from rtdemo.hub.outbox import SocketOutbox
from rtdemo.protocol.client import Client
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.wire import WireFormat
from rtdemo.web import request_info
from rtdemo.web.app_keys import HUB


def open_connection(
    request: web.Request,
    transport: asyncio.Transport,
    client: Client,
    wire_format: WireFormat,
    compression: str | None,
) -> tuple[Connection, asyncio.Timeout]:
    """Return a connection that writes to a request's transport, and the scope of its handler.

    When the server ends the connection, the scope raises `TimeoutError` in the handler. The handler
    then closes in its transport's own way.

    Arguments:
        request: the request that opened the stream or the socket.
        transport: the transport of this request.
        client: the peer.
        wire_format: makes bytes from a message's JSON.
        compression: name of the compression of what the server sends; None for none.
    """
    # Writing resumes as soon as the outbox is within its limit; above it, the outbox's timer runs.
    transport.set_write_buffer_limits(high=OUTBOX_LIMIT_BYTES, low=OUTBOX_LIMIT_BYTES)
    scope = asyncio.timeout(None)
    connection = request.app[HUB].new_connection(
        client,
        SocketOutbox(transport),
        wire_format,
        _interrupting(scope),
        partial(request_info.of_connection, request, client.transport, compression),
    )
    return connection, scope


def _interrupting(scope: asyncio.Timeout) -> Callable[[Reason], None]:
    """Return a function that ends a scope's block at once; it does nothing after the block's end."""
    loop = asyncio.get_running_loop()

    def interrupt(_reason: Reason) -> None:
        with suppress(RuntimeError):
            scope.reschedule(loop.time())

    return interrupt
