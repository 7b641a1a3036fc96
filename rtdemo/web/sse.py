"""Serve the event stream (WHATWG HTML section 9.2) and the texts that its clients post."""

from __future__ import annotations

import asyncio
import logging
import random
from functools import partial

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11
from aiohttp_sse import EventSourceResponse

from rtdemo.errors import Refused
from rtdemo.hub.connection import OUTBOX_LIMIT, Connection
from rtdemo.hub.outbox import SocketOutbox
from rtdemo.protocol import wire
from rtdemo.protocol.close_reasons import Reason
from rtdemo.web import request_info
from rtdemo.web.admission import RETRY_AFTER, admit, check_origin, last_event_id
from rtdemo.web.app_keys import HUB, OTHER_WORKERS, SETTINGS
from rtdemo.web.other_workers import is_from_other_worker
from rtdemo.web.streaming import interrupting

log = logging.getLogger(__name__)

BODY_TIMEOUT = 30.0
"""Seconds for a POST's body to arrive."""
CLOSE_TIMEOUT = 2.0
"""Seconds for a client to read the end of its stream, after which it is cut."""
_NO_STREAM = "client: no event stream with this id is open; connect again"
RETRY_MS = (1000, 5000)
"""Bounds of the pause after which clients of a server that went away come back, spread out."""


async def stream(request: web.Request) -> web.StreamResponse:
    """Answer `GET /api/sse` with events until the client leaves or the server ends it."""
    hub = request.app[HUB]
    client, selection = admit(request, "sse")
    response = event_stream(request, request.app[SETTINGS].heartbeat)
    writer = await response.prepare(request)
    transport = request.transport
    if writer is None or transport is None:
        response.stop_streaming()
        return response
    transport.set_write_buffer_limits(high=OUTBOX_LIMIT, low=OUTBOX_LIMIT)
    wire_format = wire.sse_chunk if request.version >= HttpVersion11 else wire.sse_event
    scope = asyncio.timeout(None)
    connection = hub.connection(client, SocketOutbox(transport), wire_format, interrupting(scope))
    compression = response.headers.get(hdrs.CONTENT_ENCODING)
    connection.route = partial(request_info.of, request, "sse", compression)
    try:
        async with scope:
            hub.join(connection, selection, last_event_id(request))
            await response.wait()
    except TimeoutError:
        await _finish(response, transport, connection)
    except Exception:
        log.exception("%s: the server failed", client)
        connection.closed(Reason.SERVER_ERROR)
        transport.abort()
    except asyncio.CancelledError:
        # The client closed the TCP connection: that is how one leaves a stream.
        connection.closed(Reason.CLIENT_LEFT)
        raise
    finally:
        hub.leave(connection, Reason.CONNECTION_LOST)
        response.stop_streaming()
    return response


def event_stream(request: web.Request, heartbeat: float) -> EventSourceResponse:
    """Return the response that a stream of events begins with.

    Arguments:
        heartbeat: seconds between the comments that keep it open.
    """
    response = EventSourceResponse(ping_interval=heartbeat, sep="\n")
    # no-transform: boxes in between that compress would hold events back (RFC 9111 section 5.2.2.6).
    response.headers[hdrs.CACHE_CONTROL] = "no-cache, no-transform"
    if request.version < HttpVersion11:
        # Without chunks only the connection's end tells where the stream ends.
        response.headers[hdrs.CONNECTION] = "close"
    _allow_reading(request, response)
    return response


async def _finish(
    response: EventSourceResponse, transport: asyncio.Transport, connection: Connection
) -> None:
    response.force_close()
    if connection.reason is Reason.GOING_AWAY and not connection.is_full:
        await response.write(wire.sse_retry(random.randint(*RETRY_MS)))
        # Who does not read would keep the end of the stream waiting.
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, transport.abort)
    else:
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

    Its stream may be another worker's, who is then asked to hear it.

    Raises:
        Refused: 400, 403, 404, 503 while the client's stream is full, or 504 where another worker
            does not answer.
    """
    check_origin(request)
    connection = _speaker(request)
    if connection is None:
        response = await _by_a_sibling(request)
    else:
        await _hear(request, connection)
        response = web.Response(status=202)
    _allow_reading(request, response)
    return response


async def _hear(request: web.Request, connection: Connection) -> None:
    text = await _body(request)
    # One text at a time, as over a socket: replies come in order, and what they add is bounded.
    async with connection.speaking:
        if connection.reason is not None:
            raise Refused(404, _NO_STREAM)
        if connection.is_full:
            wait = {"Retry-After": str(RETRY_AFTER)}
            raise Refused(503, "the client reads its stream too slowly", wait)
        await request.app[HUB].receive(connection, text)


async def _by_a_sibling(request: web.Request) -> web.Response:
    other_workers = request.app[OTHER_WORKERS]
    if other_workers.own is None or is_from_other_worker(request):
        raise Refused(404, _NO_STREAM)
    text = await _body(request)
    answer = await other_workers.hand_over(request.path_qs, text.encode())
    wait = {"Retry-After": str(RETRY_AFTER)} if answer.status in (503, 504) else {}
    if answer.status == 404:
        raise Refused(404, _NO_STREAM)
    if answer.status == 504:
        raise Refused(504, "a worker does not answer; it may or may not have heard the text", wait)
    return web.Response(status=answer.status, body=answer.body, headers=wait)


async def _body(request: web.Request) -> str:
    if hdrs.CONTENT_ENCODING in request.headers:
        raise Refused(415, "send the body as it is, without Content-Encoding")
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            body = await request.read()
        return body.decode()
    except TimeoutError as error:
        raise Refused(408, f"the body did not arrive in {BODY_TIMEOUT:g} s") from error
    except UnicodeDecodeError as error:
        raise Refused(400, f"the body is not UTF-8: byte {error.start} cannot be read") from error
    except web.RequestPayloadError as error:
        raise Refused(400, f"the body cannot be read: {error}") from error


def _speaker(request: web.Request) -> Connection | None:
    client_id = request.query.get("client")
    if not client_id:
        raise Refused(400, "client: give the id that the welcome message told, as ?client=ID")
    connection = request.app[HUB].find(client_id)
    if connection is not None and connection.client.transport != "sse":
        raise Refused(404, _NO_STREAM)
    return connection
