"""Serve the event stream (WHATWG HTML section 9.2) and the texts that its clients post."""

from __future__ import annotations

import asyncio
import random

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11
from aiohttp_sse import EventSourceResponse

from rtdemo import wire
from rtdemo.admission import RETRY_AFTER, admit, check_origin
from rtdemo.connection import OUTBOX_LIMIT, Connection
from rtdemo.errors import Refused
from rtdemo.keys import HUB, SETTINGS
from rtdemo.reasons import Reason

RETRY_MS = (1000, 5000)
"""Bounds of the pause after which clients of a server that went away come back, spread out."""


async def stream(request: web.Request) -> web.StreamResponse:
    """Answer `GET /api/sse` with events until the client leaves or the server ends it."""
    hub = request.app[HUB]
    client, selection = admit(request, "sse")
    response = EventSourceResponse(ping_interval=request.app[SETTINGS].heartbeat, sep="\n")
    # no-transform: boxes in between that compress would hold events back (RFC 9111 section 5.2.2.6).
    response.headers[hdrs.CACHE_CONTROL] = "no-cache, no-transform"
    _allow_reading(request, response)
    writer = await response.prepare(request)
    transport = request.transport
    if writer is None or transport is None:
        return response
    transport.set_write_buffer_limits(high=OUTBOX_LIMIT)
    wire_format = wire.sse_chunk if request.version >= HttpVersion11 else wire.sse_event
    loop = asyncio.get_running_loop()
    scope = asyncio.timeout(None)
    connection = hub.connection(
        client, transport, wire_format, lambda _reason: scope.reschedule(loop.time())
    )
    try:
        async with scope:
            hub.join(connection, selection)
            await response.wait()
    except TimeoutError:
        await _finish(response, transport, connection.reason)
    except asyncio.CancelledError:
        # The client closed the TCP connection: that is how one leaves a stream.
        connection.closed(Reason.CLIENT_LEFT)
        raise
    finally:
        hub.leave(connection, Reason.CONNECTION_LOST)
        response.stop_streaming()
    return response


async def _finish(
    response: EventSourceResponse, transport: asyncio.Transport, reason: Reason | None
) -> None:
    response.force_close()
    if reason is Reason.GOING_AWAY and not transport.get_write_buffer_size():
        await response.write(wire.sse_retry(random.randint(*RETRY_MS)))
    else:
        # Who does not read would keep the end of the stream, and this handler, waiting.
        transport.abort()


def _allow_reading(request: web.Request, response: web.StreamResponse) -> None:
    origin = request.headers.get(hdrs.ORIGIN)
    try:
        check_origin(request)
    except Refused:
        # Reading changes nothing, so the stream is given; the browser keeps it from a foreign page.
        return
    if origin is not None:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.VARY] = hdrs.ORIGIN


async def receive(request: web.Request) -> web.Response:
    """Take `POST /api/messages?client=ID`: the body is that client speaking.

    Raises:
        Refused: 400, 403, 404, or 503 while the client's stream is full.
    """
    check_origin(request)
    connection = _speaker(request)
    body = await request.read()
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Refused(400, f"the body is not UTF-8: byte {error.start} cannot be read") from error
    if connection.is_full:
        raise Refused(503, "the client reads its stream too slowly", {"Retry-After": str(RETRY_AFTER)})
    await request.app[HUB].receive(connection, text)
    return web.Response(status=202)


def _speaker(request: web.Request) -> Connection:
    client_id = request.query.get("client")
    if not client_id:
        raise Refused(400, "client: give the id that the welcome message told, as ?client=ID")
    connection = request.app[HUB].find(client_id)
    if connection is None or connection.client.transport != "sse":
        raise Refused(404, "client: no event stream with this id is open; connect again")
    return connection
