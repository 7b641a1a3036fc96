"""Bound how long an HTTP connection may take, and how much it may send, until it becomes a stream.

aiohttp serves the requests, but limits only the time between them. The other limits are here. What is in
progress costs an entry in a dict: no connection has a timer or a task for it.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import math
import struct
import termios
from collections import Counter
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from rtdemo.errors import Refused, printable
from rtdemo.settings.trusted_proxies import parse
from rtdemo.timing.deadlines import Deadlines
from rtdemo.timing.schedule import Clock
from rtdemo.web import base_path
from rtdemo.web.answers import LastAnswer
from rtdemo.web.app_keys import HUB, SETTINGS
from rtdemo.web.connections_by_address import ConnectionsByAddress
from rtdemo.web.peer_user import is_of_other_user
from rtdemo.web.request_parser import MAX_BODY_BYTES, MAX_LINE_BYTES, RequestError, RequestParser

log = logging.getLogger(__name__)

KEEPALIVE_TIMEOUT_S = 75.0
"""Seconds for which a connection may be idle between two requests: longer than proxies keep theirs."""
HEAD_TIMEOUT_S = 10.0
"""Seconds for a request's head, from its first byte, and on a new connection from the connect."""
BODY_TIMEOUT_S = 30.0
"""Seconds for a request's body, from the end of its head: 64 KiB at 2 KiB a second."""
WRITE_TIMEOUT_S = 40.0
"""Seconds for which a client may take no byte of an answer that waits for it."""
WRITE_CHECK_S = 2.0
"""Seconds between two checks whether a client took something. It is cut at most twice this late."""
LINGER_S = 1.0
"""Seconds for which a client may read a refusal while what it still sends is dropped. A close at once
would send RST, and the client might lose the answer."""


LEFT = web.StreamResponse()
"""What a handler returns for a connection that has left aiohttp: nothing is to be sent."""


class HttpRunner(web.AppRunner):
    """Serve an application on connections within the limits.

    Arguments:
        app: the application.
        clock: times the limits.
        refused: counts what the limits refuse, by the name of the limit.
        options: as `web.AppRunner` takes them.
    """

    __slots__ = ("_clock", "_refused")

    def __init__(
        self, app: web.Application, clock: Clock, refused: Counter[str], **options: Any
    ) -> None:
        super().__init__(
            app,
            keepalive_timeout=KEEPALIVE_TIMEOUT_S,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            **options,
        )
        self._clock = clock
        self._refused = refused

    async def _make_server(self) -> web.Server:
        """Return the server that makes the connections, in the place of aiohttp's own."""
        made = await super()._make_server()
        handler, settings = made.request_handler, self.app[SETTINGS]
        factory = base_path.below(settings.base_path, made.request_factory)
        by_address = ConnectionsByAddress(self.app[HUB].limits, parse(settings.trusted_proxies))
        return HttpServer(handler, factory, self._clock, self._refused, by_address, self._kwargs)

    @property
    def unread_heads(self) -> int:
        """Number of connections with a head that is not complete, or that have sent nothing yet."""
        return len(self.server.heads) if isinstance(self.server, HttpServer) else 0


class HttpServer(web.Server):
    """Make connections, and hold what they share: the deadlines.

    Arguments:
        request_handler, request_factory: of the application.
        clock: times the limits.
        refused: counts what the limits refuse, by the name of the limit.
        by_address: the open connections.
        options: of each connection.

    Attributes:
        by_address: as given.
        heads: connections with a head that is not complete.
        bodies: connections with a body that is not complete.
        writes: connections that do not read their answers.
        lingering: refused connections that can read their last answer.
        deadlines: these four.
    """

    def __init__(
        self,
        request_handler: Any,
        request_factory: Any,
        clock: Clock,
        refused: Counter[str],
        by_address: ConnectionsByAddress,
        options: dict[str, Any],
    ) -> None:
        super().__init__(request_handler, request_factory=request_factory)
        self._options = options
        self.by_address = by_address
        self.clock = clock
        self.refused = refused
        self.heads = Deadlines[HttpConnection](clock, HEAD_TIMEOUT_S, HttpConnection.head_is_late)
        self.bodies = Deadlines[HttpConnection](clock, BODY_TIMEOUT_S, HttpConnection.body_is_late)
        self.writes = Deadlines[HttpConnection](clock, WRITE_CHECK_S, HttpConnection.check_writing)
        self.lingering = Deadlines[HttpConnection](clock, LINGER_S, HttpConnection.end_linger)
        self.deadlines = (self.heads, self.bodies, self.writes, self.lingering)

    def __call__(self) -> HttpConnection:
        """Return the protocol of a new connection."""
        return HttpConnection(self, asyncio.get_running_loop(), self._options)

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's own
        """End all connections.

        Arguments:
            timeout: seconds for their requests.
        """
        await super().shutdown(timeout)
        for deadlines in self.deadlines:
            deadlines.close()


class HttpConnection(web.RequestHandler):
    """Serve the requests of a connection: as aiohttp does, within the limits.

    Arguments:
        server: made it.
        loop: the running loop.
        options: as `web.RequestHandler` takes them.
    """

    __slots__ = (
        *("_address", "_is_of_other_user", "_linger", "_server", "_socket"),
        *("_stuck_since", "_unsent_bytes"),
    )

    def __init__(
        self, server: HttpServer, loop: asyncio.AbstractEventLoop, options: dict[str, Any]
    ) -> None:
        super().__init__(server, loop=loop, **options)
        self._parser: Any = RequestParser(self._parser)
        self._server = server
        self._address = ""
        self._is_of_other_user: bool | None = None
        # aiohttp forgets its transport when it closes it; a client may still not read.
        self._socket: asyncio.Transport | None = None
        self._linger: asyncio.Future[None] | None = None
        self._stuck_since = 0.0
        # At the last check; infinite while nothing waited.
        self._unsent_bytes = math.inf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request."""
        super().connection_made(transport)
        self._socket = self.transport
        self._server.heads.start(self)
        self._address = self._server.by_address.add(self, transport.get_extra_info("peername"))

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop all deadlines: the client has left, or the connection leaves aiohttp as a stream."""
        server = self._server
        for deadlines in server.deadlines:
            if self in deadlines.running:
                deadlines.stop(self)
        if self._address:
            server.by_address.remove(self, self._address)
        self.end_linger()
        self._socket = None
        super().connection_lost(exc)

    @property
    def is_of_other_user(self) -> bool:
        """Whether another user runs the program at the other end, as `peer_user` finds it.

        A socket keeps its user, so the system is asked once for a connection.
        """
        if self._is_of_other_user is None:
            self._is_of_other_user = is_of_other_user(self._socket)
        return self._is_of_other_user

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request: one may be on its way, or none."""
        waiter = self._waiter
        return self._request_count == 0 or (waiter is not None and not waiter.done())

    @property
    def is_open(self) -> bool:
        """Whether nobody has begun to close it."""
        return self._socket is not None and not self._socket.is_closing()

    def cut(self) -> None:
        """Close without an answer."""
        if self._socket is not None:
            self._socket.abort()

    def data_received(self, data: bytes) -> None:
        """Handle what the client sends, and start deadlines for what is not complete."""
        parser: RequestParser | None = self._parser
        heads = parser.heads if parser is not None else 0
        super().data_received(data)
        if parser is not None and parser is self._parser:
            self._time(parser, heads)

    def _time(self, parser: RequestParser, heads: int) -> None:
        """Start and stop the deadlines after something was parsed.

        Arguments:
            parser: has parsed it.
            heads: heads that were complete before.
        """
        server = self._server
        if parser.has_error:
            # aiohttp has queued the requests before the one that is wrong. Now it queues that one.
            super().data_received(b"")
        if parser.has_failed:
            server.heads.stop(self)
            server.bodies.stop(self)
            self._drop(parser)
            return
        if parser.head_bytes == 0 or parser.heads != heads:
            server.heads.stop(self)
        if parser.head_bytes:
            server.heads.start(self)
        if self in server.bodies.running and (parser.body is None or parser.heads != heads):
            server.bodies.stop(self)
        if parser.body is not None and not parser.is_unbounded:
            server.bodies.start(self)

    def _drop(self, parser: RequestParser) -> None:
        """Count what exceeds a limit, and stop reading from a client that goes on sending."""
        if parser.exceeded:
            self._server.refused[parser.exceeded] += 1
            parser.exceeded = ""
        if parser.is_answered:
            # aiohttp reads the rest of a body that no handler wants. It stops now.
            self.close()
        if parser.dropped_bytes > MAX_BODY_BYTES:
            self.end_linger()
            if self._socket is not None and not self._socket.is_closing():
                self._socket.pause_reading()

    def head_is_late(self) -> None:
        """Answer 408 to the head that is not complete, after the answers before it."""
        sentence = f"the request line and headers did not arrive within {HEAD_TIMEOUT_S:g} s"
        error = RequestError(408, f"{sentence}; send the request again")
        self._parser.refuse(error, "head_time")
        self.data_received(b"")

    def body_is_late(self) -> None:
        """Let the handler that reads the body answer 408."""
        sentence = f"the body did not arrive within {BODY_TIMEOUT_S:g} s; send the request again"
        self._parser.fail_body(Refused(408, sentence), "body_time")
        self._drop(self._parser)

    def allow_long_body(self) -> None:
        """Let the body of the present request be of any length, and take any time.

        For a handler that has checked who sends it, and reads it as a stream.
        """
        self._parser.is_unbounded = True
        self._server.bodies.stop(self)

    def pause_writing(self) -> None:
        """Watch a client that has not taken 64 KiB of an answer."""
        super().pause_writing()
        self._server.writes.start(self)

    def resume_writing(self) -> None:
        """Note that the client has taken most of what waited: more may wait at the next check."""
        super().resume_writing()
        self._unsent_bytes = math.inf

    def check_writing(self) -> None:
        """Cut a client that has taken nothing for too long; else check again later."""
        if self._socket is None:
            return
        if self._socket.get_write_buffer_size() == 0:
            self._unsent_bytes = math.inf
            return
        now, unsent = self._server.clock.time(), _unsent_bytes(self._socket)
        if unsent < self._unsent_bytes:
            self._stuck_since = now
        self._unsent_bytes = unsent
        if now - self._stuck_since < WRITE_TIMEOUT_S:
            self._server.writes.start(self)
            return
        self._server.refused["write_time"] += 1
        self._socket.abort()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; let the client read it if nothing can follow it.

        Arguments:
            request: what is answered.
            resp: the answer.
            start_time: for aiohttp's access log.

        Returns:
            The answer, and whether the client left before it was sent.
        """
        if resp is LEFT:
            return resp, False
        parser: RequestParser | None = self._parser
        is_last, heads = isinstance(resp, LastAnswer), 0
        if parser is not None:
            heads = parser.heads
            if parser.body is not None and parser.body is request.content:
                parser.is_answered, parser.is_unbounded = True, False
                # HAProxy never sends the rest of the body: another client's request comes in its place.
                resp.force_close()
            elif parser.has_failed and request.content.exception() is not None:
                is_last = True
                resp.force_close()
        result = await super().finish_response(request, resp, start_time)
        if parser is not None and parser is self._parser and parser.heads != heads:
            # What came behind a handshake that was refused is parsed now.
            self._time(parser, heads)
        if self._socket is not None and self._socket.get_write_buffer_size():
            # uvloop writes most answers only at the end of the turn. The next check drops these.
            self._server.writes.start(self)
        if is_last:
            await self._let_read()
        return result

    async def _let_read(self) -> None:
        """Drop what the client still sends, until it has read its last answer or the time is over."""
        socket = self._socket
        if socket is None or socket.is_closing():
            return
        if socket.can_write_eof():
            socket.write_eof()
        if not socket.is_reading():
            socket.resume_reading()
        self._linger = asyncio.get_running_loop().create_future()
        self._server.lingering.start(self)
        await self._linger

    def end_linger(self) -> None:
        """Close a connection although its client may not have read its last answer."""
        if self._linger is not None and not self._linger.done():
            self._linger.set_result(None)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to a request that could not be read, or whose handler failed.

        It is logged in one line, and only at the level debug: anyone can send such requests.

        Arguments:
            request: of aiohttp's making, if none could be read.
            status: HTTP status; for a `RequestError` it is that of the error.
            exc: what happened.
            message: not used.
        """
        if isinstance(exc, HttpProcessingError):
            # It holds aiohttp's frame with what was received, and that frame holds it: a cycle.
            exc.__traceback__ = None
            log.debug("%s sent a bad request: %s", request.remote, printable(exc.message[:200]))
            return LastAnswer(exc.code if isinstance(exc, RequestError) else 400, exc.message)
        return super().handle_error(request, status, exc, message)


def _unsent_bytes(transport: asyncio.Transport) -> int:
    """Return the bytes that the client has not taken: those in the transport and those in the kernel.

    The kernel asks for more only once a third of its buffer is free. That can be a megabyte, for which a
    slow client takes longer than the timeout.
    """
    waiting = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    try:
        # On Linux this is SIOCOUTQ (tcp(7)).
        (queued,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))
    except (AttributeError, OSError):  # the socket is closed, or another system does not report it
        return waiting
    return waiting + int(queued)
