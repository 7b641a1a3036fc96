"""Event streams (WHATWG HTML section 9.2), and the texts that their clients post."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11
from aiohttp_sse import EventSourceResponse

from rtdemo.errors import Refused
from rtdemo.hub.connection import Connection
from rtdemo.protocol import wire
from rtdemo.protocol.client import Client
from rtdemo.protocol.close_reasons import Reason
from rtdemo.web import answers, heartbeat, probe_streams
from rtdemo.web.accept import accepts
from rtdemo.web.admission import RETRY_SOON, admit, check_origin
from rtdemo.web.app_keys import HUB, OTHER_WORKERS, SETTINGS, STREAM_HEADS
from rtdemo.web.heartbeat import MAX_SILENCE_S
from rtdemo.web.http_connection import LEFT
from rtdemo.web.limits import check_connect, check_text
from rtdemo.web.login import authenticate, identify, user_header
from rtdemo.web.other_workers import is_from_other_worker
from rtdemo.web.streaming import StreamProtocol

MAX_UNEXPECTED_BYTES = 4096
"""Bytes that a client may send on its event stream. Nothing should come after its request."""
MEDIA_TYPE = "text/event-stream"
RECONNECT_MS = (1000, 5000)
"""Bounds of the random pause after which a client reconnects: not all clients at the same time."""
BEATS = 3
"""Beats per longest silence. A comment is due once two full periods had no message."""
_NO_HEAD = (0, b"")
_NO_STREAM = "client: no event stream with this id is open; connect again"


async def stream(request: web.Request) -> web.StreamResponse:
    """Answer `GET /api/sse` with events until the client leaves or the server ends the stream.

    HEAD is answered with the same head, and ends at once (RFC 9110 section 9.3.2).

    Raises:
        Refused: 400, 401, 406, 429 or 503 instead of the stream; for a probe also 403 and 404.
    """
    if not accepts(request, MEDIA_TYPE):
        raise Refused(406, f"this address sends only {MEDIA_TYPE}, and the request's Accept excludes it")
    app = request.app
    address = check_connect(request)
    identity = await identify(request)
    admitted = admit(request, "sse", address, identity.user)
    heartbeat_s = heartbeat.requested(request)
    probe = probe_streams.open_probe(request)
    if request.method == hdrs.METH_HEAD:
        # Not the response itself: aiohttp-sse refuses HEAD.
        fields = event_stream(app[SETTINGS].heartbeat).headers
        response = web.StreamResponse(headers=fields)
        response.force_close()
        return response
    head = _kept_head(request, app) or await _new_head(request)
    transport = request.transport
    if transport is None or transport.is_closing():
        return LEFT
    is_chunked = request.version >= HttpVersion11
    protocol = EventStream(request, transport, admitted.client, is_chunked)
    return protocol.run(request, head, admitted, identity.expires, heartbeat_s, probe)


class EventStream(StreamProtocol, asyncio.Protocol):
    """Protocol of an open event stream.

    What the client sends on it is read and dropped, since only reading shows that it leaves. A client
    that sends more than a few bytes is no client of an event stream, and its stream ends.

    Arguments:
        request, transport, client: as `StreamProtocol` takes them.
        is_chunked: whether the body is sent in chunks, as in HTTP/1.1.
    """

    __slots__ = ("_is_chunked", "_sent", "_silent_beats", "_unexpected_bytes")

    def __init__(
        self, request: web.Request, transport: asyncio.Transport, client: Client, is_chunked: bool
    ) -> None:
        self._is_chunked = is_chunked
        self._unexpected_bytes = 0
        # Number of messages at the last beat, and beats since then without one.
        self._sent = self._silent_beats = 0
        super().__init__(request, transport, client, wire.sse_chunk if is_chunked else wire.sse_event)

    def release(self) -> None:
        """Write what was held, with `retry:` as the last field of the first event.

        There it costs no client anything: some take only a block that begins with `data:` for an event,
        and some report a block with nothing but `retry:` as an empty event.
        """
        held = self._queue[0] if self._queue else None
        if type(held) is bytearray:
            self._queued += self._add_retry(held)
        super().release()

    def _add_retry(self, held: bytearray) -> int:
        """Add the field, or a block of its own if no event is held; return the number of bytes."""
        before = len(held)
        event_end = held.find(b"\n\n")  # the head of the answer has no such bytes
        if event_end < 0:
            held += self._framed(wire.sse_retry(_wait_ms()))
        else:
            field = b"\nretry: %d" % _wait_ms()
            held[event_end:event_end] = field
            if self._is_chunked:
                begin = held.find(b"\r\n\r\n") + 4
                end = held.find(b"\r\n", begin)
                held[begin:end] = b"%x" % (int(held[begin:end], 16) + len(field))
        return len(held) - before

    @property
    def encode_heartbeat(self) -> Callable[[bytes], bytes]:
        """Make an event from the JSON of a heartbeat."""
        return wire.sse_heartbeat_chunk if self._is_chunked else wire.sse_heartbeat

    def beat_period(self, heartbeat: float) -> float:
        """Return a third of the longest silence."""
        return min(heartbeat, MAX_SILENCE_S) / BEATS

    def beat(self) -> None:
        """Send a comment if the stream has been silent, so that no proxy takes it for idle.

        Whether something was sent is seen here and not noted with each message, which must cost
        nothing. Between two and three periods after a message the comment is due, and three periods
        after another comment.
        """
        connection = self.connection
        if connection.sent != self._sent:
            self._sent, self._silent_beats = connection.sent, 1
            return
        self._silent_beats += 1
        if self._silent_beats >= BEATS and connection.reason is None:
            self._silent_beats = 0
            self.write(self._framed(wire.SSE_COMMENT))

    def hang_up(self, reason: Reason) -> None:
        """End the stream with `retry:` or with the event `expired`; for other reasons, cut it."""
        if reason not in (Reason.GOING_AWAY, Reason.TOKEN_EXPIRED) or self.connection.is_full:
            self.transport.abort()
            return
        # Before this, the server would answer 503, after which an EventSource never tries again.
        wait_ms = round(self.hub.refuses_for_s * 1000) + _wait_ms()
        last = wire.sse_retry(wait_ms) if reason is Reason.GOING_AWAY else wire.SSE_EXPIRED
        self.write(self._framed(last))
        if self._is_chunked:
            self.write(wire.SSE_LAST_CHUNK)
        self.close_after_writing()

    def data_received(self, data: bytes) -> None:
        """Drop what the client sends; end the stream above `MAX_UNEXPECTED_BYTES`."""
        self._unexpected_bytes += len(data)
        if self._unexpected_bytes > MAX_UNEXPECTED_BYTES and self.connection.reason is None:
            self.hub.refused["unexpected_bytes"] += 1
            self.connection.end(Reason.PROTOCOL_ERROR)

    def eof_received(self) -> None:
        """End the connection: this is how a client leaves an event stream."""
        self.connection.mark_ended(Reason.CLIENT_LEFT)
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the hub."""
        super().connection_lost(exc)
        self.leave(Reason.CLIENT_LEFT)

    def _framed(self, data: bytes) -> bytes:
        return wire.chunk(data) if self._is_chunked else data


def _wait_ms() -> int:
    """Return a client's pause before it reconnects, at random, in milliseconds."""
    shortest, longest = RECONNECT_MS
    # Not randint(), which takes 2 us: a twentieth of what a stream costs as it opens.
    return shortest + int(random.random() * (longest - shortest + 1))


def _kept_head(request: web.Request, app: web.Application) -> bytes:
    """Return the head of a stream's answer; empty if it has to be made.

    aiohttp takes 60 us for it, a fifth of a connect. Within a second all of one kind are the same, so
    each is made once.
    """
    kind = (request.version, answers.header_lines(request))
    second, head = app[STREAM_HEADS].get(kind, _NO_HEAD)
    return head if second == int(time.time()) and hdrs.ORIGIN not in request.headers else b""


async def _new_head(request: web.Request) -> bytes:
    """Make the head of a stream's answer, and keep it for a second.

    One that may name the request's `Origin` is not kept, as there may be any number of these.
    """
    second = int(time.time())  # the head has the date
    head = await _made_head(request)
    if hdrs.ORIGIN not in request.headers:
        kind = (request.version, answers.header_lines(request))
        request.app[STREAM_HEADS][kind] = (second, head)
    return head


async def _made_head(request: web.Request) -> bytes:
    response = event_stream(request.app[SETTINGS].heartbeat)
    http, head = request.protocol, _Head()
    transport = http.transport
    http.transport = head  # type: ignore[assignment]  # it needs only what a writer uses
    try:
        # This does not begin aiohttp-sse's task that sends pings: they are ticks of the schedule.
        await web.StreamResponse.prepare(response, request)
    finally:
        http.transport = transport
    return head.data


class _Head:
    """Collect the head of an answer in a transport's place."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    def is_closing(self) -> bool:
        return False


def event_stream(heartbeat: float) -> EventSourceResponse:
    """Return the response that an event stream begins with, not yet sent.

    Arguments:
        heartbeat: seconds between the comments that keep the stream open.
    """
    response = EventSourceResponse(ping_interval=heartbeat, sep="\n")
    # no-transform: a proxy that compresses would hold events back (RFC 9111 section 5.2.2.6).
    response.headers[hdrs.CACHE_CONTROL] = "no-cache, no-transform"
    # The connection ends with its stream (RFC 9112 section 9.6). Without this, clients kept it for their
    # next request: one of ten reconnects to a server that drained failed.
    response.headers[hdrs.CONNECTION] = "close"
    return response


async def receive(request: web.Request) -> web.Response:
    """Answer `POST /api/messages?client=ID`: handle the body as a text from that client.

    The client's stream may be open on another worker; then that worker handles the text.

    Raises:
        Refused: 400, 401, 403, 404, 408, 415; 429 with Retry-After over the rate limit; 503 while the
            client's stream is full; 504 if another worker does not answer.
    """
    check_origin(request)
    user = (await authenticate(request)).user
    connection = _find(request)
    if connection is None:
        response = await _forward_to_other_worker(request, user)
    elif connection.client.user != user:
        # The same answer as for no stream: a foreign id is not confirmed.
        raise Refused(404, _NO_STREAM)
    else:
        await _handle(request, connection)
        response = web.Response(status=202)
    return response


async def has_stream(request: web.Request) -> web.Response:
    """Answer `GET /api/messages?client=ID` of another worker: 204 if the client's stream is open here.

    Raises:
        HTTPMethodNotAllowed: for everyone else.
        Refused: 404 for no such stream.
    """
    if not is_from_other_worker(request):
        raise web.HTTPMethodNotAllowed(request.method, [hdrs.METH_POST])
    if _find(request) is None:
        raise Refused(404, _NO_STREAM)
    return web.Response(status=204)


async def _handle(request: web.Request, connection: Connection) -> None:
    check_text(request, connection)
    text = await _body(request)
    # One text at a time, as over a socket: replies are in order, and their total size is bounded.
    async with connection.receiving:
        if connection.reason is not None:
            raise Refused(404, _NO_STREAM)
        if connection.is_full:
            raise Refused(503, "the client reads its stream too slowly; try again", RETRY_SOON)
        rest = request.app[HUB].receive(connection, text)
        if rest is not None:
            await rest


async def _forward_to_other_worker(request: web.Request, user: str | None) -> web.Response:
    other_workers = request.app[OTHER_WORKERS]
    if other_workers.own_socket is None or is_from_other_worker(request):
        raise Refused(404, _NO_STREAM)
    text = await _body(request)
    answer = await other_workers.post_to_owner(
        request.query["client"], request.path_qs, text.encode(), user_header(user)
    )
    retry = RETRY_SOON if answer.status in (429, 503, 504) else {}
    if answer.status == 404:
        raise Refused(404, _NO_STREAM)
    if answer.status == 504:
        raise Refused(504, "a worker did not answer; it may or may not have received the text", retry)
    return web.Response(status=answer.status, body=answer.body, headers=retry)


async def _body(request: web.Request) -> str:
    if hdrs.CONTENT_ENCODING in request.headers:
        raise Refused(415, "send the body without Content-Encoding")
    try:
        return (await request.read()).decode()
    except UnicodeDecodeError as error:
        raise Refused(400, f"the body is not UTF-8: byte {error.start} cannot be decoded") from error


def _find(request: web.Request) -> Connection | None:
    client_id = request.query.get("client")
    if not client_id:
        raise Refused(400, "client: give the id from the welcome message, as ?client=ID")
    connection = request.app[HUB].find(client_id)
    if connection is not None and connection.client.transport != "sse":
        raise Refused(404, _NO_STREAM)
    return connection
