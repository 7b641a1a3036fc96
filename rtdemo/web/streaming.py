"""What both transports share: a connection leaves aiohttp after its handshake, and lives on by itself.

aiohttp keeps a request, a parser, a response, a task and more for each of its connections: 14 KiB. So
only the handshake is its work. Then the transport gets another protocol, and aiohttp forgets it.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Callable

from aiohttp import web

from rtdemo.hub.connection import Connection
from rtdemo.hub.hub import Hub
from rtdemo.hub.outbox import SocketOutbox
from rtdemo.hub.past import NO_PAST
from rtdemo.protocol.client import Client
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.connection_info import ConnectionInfo
from rtdemo.protocol.wire import WireFormat
from rtdemo.timing.schedule import Tick
from rtdemo.web import request_info
from rtdemo.web.admission import Admitted, last_event_id
from rtdemo.web.app_keys import HEARTBEATS, HUB, SETTINGS
from rtdemo.web.heartbeat import Heartbeat
from rtdemo.web.http_connection import LEFT
from rtdemo.web.probe_streams import NOTHING, Probe

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 2.0
"""Seconds for a client to end a connection that the server ends; then it is aborted."""


class StreamProtocol(SocketOutbox):
    """Protocol of an open connection, from the answer to its handshake until its end.

    Arguments:
        request: the request that opened it. aiohttp has sent the answer, and forgets the connection.
        transport: the transport of this request.
        client: the peer.
        wire_format: makes bytes from a message's JSON.

    Attributes:
        connection: sends the messages.
        hub: the hub that the connection is in.
    """

    __slots__ = ("_arrival", "_beat", "_close_timer", "_heartbeat", "connection", "hub")

    def __init__(
        self,
        request: web.Request,
        transport: asyncio.Transport,
        client: Client,
        wire_format: WireFormat,
    ) -> None:
        super().__init__(transport)
        self.hub: Hub = request.app[HUB]
        self._arrival = request_info.arrival(request)
        self._beat: Tick | Probe | None = None
        # Of a client that asks for heartbeats which its script sees.
        self._heartbeat: Tick | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self.connection: Connection = self.hub.new_connection(
            client, self, wire_format, self.hang_up, self.connection_info
        )

    def run(
        self,
        request: web.Request,
        head: bytes,
        admitted: Admitted,
        expires: float | None,
        heartbeat_s: int | None = None,
        probe: Probe | None = None,
    ) -> web.StreamResponse:
        """Take the connection over from aiohttp, and serve it until its end.

        Arguments:
            request: as given.
            head: the head of the answer, not sent yet.
            admitted: what the client asked for.
            expires: when its login expires, in seconds since the Unix epoch; None for never.
            heartbeat_s: seconds of silence before a heartbeat that a script sees; None for none.
            probe: sends its own messages in the place of all others and of heartbeats; None for an
                ordinary stream.

        Returns:
            What the handler returns to aiohttp.
        """
        self._beat = probe
        self.start(head)
        rest = _forget(request)
        app = request.app
        schedule = app[HEARTBEATS]
        try:
            wanted = admitted if probe is None else admitted._replace(selection=NOTHING, past=NO_PAST)
            self.hub.join(
                self.connection, wanted.selection, last_event_id(request), expires, wanted.past
            )
            if probe is not None:
                probe.begin(self.connection)
            elif heartbeat_s is not None:
                heartbeat = Heartbeat(self.connection, self.encode_heartbeat, heartbeat_s)
                self.write(heartbeat.encoded())
                self._heartbeat = schedule.every(heartbeat.period, heartbeat.beat)
        except Exception:
            log.exception("%s: internal server error", self.connection.client)
            self.connection.end(Reason.SERVER_ERROR)
        finally:
            self.release()
        if probe is not None:
            probe.start(schedule)
        else:
            self._beat = schedule.every(self.beat_period(app[SETTINGS].heartbeat), self.beat)
        if not self.transport.is_reading():
            self.transport.resume_reading()
        if rest:
            self.data_received(rest)
        return LEFT

    def connection_info(self) -> ConnectionInfo:
        """Return what the connection came through."""
        server, client = self.hub.engine.server, self.connection.client
        return request_info.of_connection(self._arrival, client, self.transport, server)

    def beat_period(self, heartbeat: float) -> float:
        """Return the seconds between two calls of `beat`.

        Arguments:
            heartbeat: the setting, in seconds.
        """
        return heartbeat

    @abstractmethod
    def data_received(self, data: bytes) -> None:
        """Handle what the client sends.

        Arguments:
            data: bytes in order, of any size.
        """

    @property
    @abstractmethod
    def encode_heartbeat(self) -> Callable[[bytes], bytes]:
        """Make bytes from the JSON of a heartbeat that a script sees."""

    @abstractmethod
    def beat(self) -> None:
        """Keep the connection alive; called periodically."""

    @abstractmethod
    def hang_up(self, reason: Reason) -> None:
        """End the connection from the server's side."""

    def abort_later(self, seconds: float) -> None:
        """Abort the connection, unless it ends before.

        Arguments:
            seconds: time for the client to end it.
        """
        if self._close_timer is None:
            loop = asyncio.get_running_loop()
            self._close_timer = loop.call_later(seconds, self.transport.abort)

    def eof_received(self) -> None:
        """Let the transport send what waits and close, but not without bound.

        A client that has half-closed may not read. Then the transport would wait for it for ever.
        """
        if self._queue is not None:
            self.hand_over()
        self.abort_if_unread()

    def close_after_writing(self) -> None:
        """Close the transport once it has sent what waits, but not without bound."""
        self.hand_over()
        self.transport.close()
        self.abort_if_unread()

    def abort_if_unread(self) -> None:
        """Bound how long a closing transport waits for its client to read.

        If nothing waits, a plain transport closes in the next turn of the loop and needs no timer. With
        TLS it also waits for the client's own end.
        """
        if self._file < 0 or self.transport.get_write_buffer_size() > 0:
            self.abort_later(CLOSE_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop everything that belongs to the connection; it leaves the hub by `leave`."""
        super().connection_lost(exc)
        for handle in (self._beat, self._heartbeat, self._close_timer):
            if handle is not None:
                handle.cancel()
        self._beat = self._heartbeat = self._close_timer = None

    def leave(self, reason: Reason) -> None:
        """Remove the connection from the hub.

        Arguments:
            reason: why it ended, unless it has a reason already.
        """
        self.hub.leave(self.connection, reason)


def _forget(request: web.Request) -> bytes:
    """Let aiohttp forget a request's connection; return what has arrived after the request.

    Everything here is aiohttp's public interface, but for the order of the steps.
    """
    http, tail = request.protocol, _Tail()
    http.set_parser(tail)  # type: ignore[arg-type]  # it needs only these two methods of a reader
    http.transport = None
    http.connection_lost(None)
    return tail.data


class _Tail:
    """Collect what arrived in the same segments as a handshake."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """Do nothing: the transport reports the end to its new protocol."""
