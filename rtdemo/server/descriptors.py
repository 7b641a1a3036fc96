"""Keep some file descriptors free: for requests, health checks, plugins and files.

A server without a free descriptor accepts nothing, not even a health check. So streams may take all
but a reserve. If other connections take half of this reserve too, idle ones are closed, the oldest
first: a client that has connected and sends nothing makes room for the next one.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial
from itertools import islice
from ssl import SSLContext
from typing import cast

from aiohttp import web

from rtdemo.hub.hub import Hub
from rtdemo.server.open_files import count_open
from rtdemo.server.tls import Handshake
from rtdemo.timing.schedule import Clock, Timer
from rtdemo.web.connections_by_address import Closable
from rtdemo.web.http_connection import HttpConnection, HttpServer

log = logging.getLogger(__name__)

LISTEN_BACKLOG = 4096
"""Connections that the kernel queues for each socket until they are accepted."""
RESERVE_SHARE = 8
"""One descriptor in so many is in the reserve, within the next two bounds."""
MIN_RESERVE, MAX_RESERVE = 32, 256
LOW_LIMIT = 1024
"""A limit below this is reported at start: it is the default of most systems, and small for a server."""
TURNS_TO_CLOSE = 16
"""At most the reserve divided by this is accepted in a turn. A close takes four turns."""
MAX_LISTENERS = 8
"""Handles of a listening socket in uvloop, which accepts one connection a turn on each. With one handle,
300 clients that made turns long and 100 that connected kept a health check out for over 5 s."""
HANDSHAKE_USUAL_S = 1.0
"""Seconds within which nearly all clients complete a TLS handshake."""
COUNT_INTERVAL_S = 1.0
"""Seconds between two exact counts, and without a closed connection until a shortage is over."""
COUNT_ACCEPTS = 256
"""Largest number of connections that are accepted until the descriptors are counted again."""


class Descriptors:
    """Close idle connections, and let the hub refuse streams, before no descriptor is free.

    Arguments:
        runner: is set up, and has the connections that are no streams.
        hub: has the streams. Its `capacity` is set.
        clock: times counts and shortages.
        limit: number of descriptors that the process may have open; 0 for no limit.
        count: returns how many are open; None if none is free.
    """

    def __init__(
        self,
        runner: web.BaseRunner,
        hub: Hub,
        clock: Clock,
        limit: int,
        count: Callable[[], int | None] = count_open,
    ) -> None:
        server = runner.server
        if not isinstance(server, HttpServer):
            raise TypeError("the runner has no server of ours, or is not set up")
        self._server = server
        self._hub = hub
        self._clock = clock
        self._limit = limit
        self._count = count
        self.reserve = min(max(limit // RESERVE_SHARE, MIN_RESERVE), MAX_RESERVE)
        # Connections in the TLS handshake, the oldest first.
        self._handshakes: dict[Handshake, None] = {}
        # Descriptors that are no connection's, and when they were counted.
        self._others = 0
        self._counted_at = -COUNT_INTERVAL_S
        # Connections that may be accepted until the next check.
        self._room = 0
        self._is_check_due = False
        # A shortage: when it began, how many connections were closed, also since the last look.
        self._short_since: float | None = None
        self._closed = self._closed_lately = 0
        self._timer: Timer | None = None

    @property
    def accepts_per_turn(self) -> int:
        """Connections that may be accepted in a turn: a loop closes nothing in the same turn.

        Without a free descriptor, asyncio's own loop logs a traceback for each connection that waits.
        """
        return self.reserve // TURNS_TO_CLOSE if self._limit else LISTEN_BACKLOG

    def listeners(self, sock: socket.socket) -> list[socket.socket]:
        """Return the sockets on which a loop accepts: in uvloop also duplicates of the given one.

        Arguments:
            sock: is bound.
        """
        if isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
            return [sock]  # asyncio's own loop accepts several connections a turn
        more = min(self.accepts_per_turn, MAX_LISTENERS) - 1
        return [sock, *(sock.dup() for _ in range(more))]

    def start(self) -> None:
        """Count, set the hub's capacity, and report a low limit."""
        if not self._limit:
            return
        self._check()
        if self._limit < LOW_LIMIT:
            log.warning(
                "this process may open only %d files: it serves at most %d streams; "
                "raise the limit with ulimit -n, or LimitNOFILE= of systemd",
                *(self._limit, self._hub.capacity),
            )

    def accepted(self, context: SSLContext | None) -> asyncio.Protocol:
        """Return the protocol of a connection that was just accepted.

        Arguments:
            context: for TLS; None without it.
        """
        self._room -= 1
        if self._room <= 0 and self._limit and not self._is_check_due:
            self._is_check_due = True
            asyncio.get_running_loop().call_soon(self._check)
        if context is None:
            return self._server()
        return Handshake(context, self._server, self._handshakes, self._clock.time())

    @property
    def handshakes(self) -> int:
        """Number of connections in the TLS handshake."""
        return len(self._handshakes)

    def close(self) -> None:
        """Stop the timer, and cut the handshakes."""
        for handshake in list(self._handshakes):
            handshake.cut()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        """Count the descriptors, and close idle connections if too many are open."""
        self._is_check_due = False
        connections = cast("list[HttpConnection]", self._server.connections)
        known = len(self._handshakes) + len(connections) + len(self._hub)
        if self._clock.time() - self._counted_at >= COUNT_INTERVAL_S:
            self._counted_at = self._clock.time()
            count = self._count()
            self._others = max(0, (self._limit if count is None else count) - known)
            self._hub.capacity = max(1, self._limit - self.reserve - self._others)
        used = self._others + known
        self._room = self._limit - self.reserve // 2 - used
        if self._room < 0:
            # Some more, so that the next ones need no check.
            self._room += self._make_room(connections, -self._room, self.reserve // RESERVE_SHARE, used)
        self._room = min(self._room, COUNT_ACCEPTS)

    def _make_room(self, connections: list[HttpConnection], wanted: int, more: int, used: int) -> int:
        """Close connections, the oldest first; return how many.

        A TLS handshake that takes long goes first, and one that has just begun goes last: else clients
        that are silent after theirs would keep all others out.

        Arguments:
            connections: in the order in which they were accepted.
            wanted: how many; where too few are idle, some with a request are closed too.
            more: further idle ones.
            used: number of open descriptors, for the log.
        """
        late = self._clock.time() - HANDSHAKE_USUAL_S
        opened = [each for each in connections if each.is_open]
        idle: list[Closable] = [each for each in self._handshakes if each.began_at <= late]
        idle += [each for each in opened if each.is_idle]
        idle += [each for each in self._handshakes if each.began_at > late]
        chosen = idle[: wanted + more]
        busy = (each for each in opened if not each.is_idle)
        chosen += islice(busy, max(0, wanted - len(chosen)))
        for each in chosen:
            each.cut()
        self._hub.refused["descriptors"] += len(chosen)
        self._closed += len(chosen)
        self._closed_lately += len(chosen)
        if self._short_since is None and chosen:
            self._short_since = self._clock.time()
            log.warning(
                "file descriptors are short: %d of %d are open; idle connections are closed, the oldest "
                "first; raise the limit with ulimit -n, or LimitNOFILE= of systemd",
                *(used, self._limit),
            )
            self._look_later()
        return len(chosen)

    def _look_later(self) -> None:
        self._timer = self._clock.call_at(self._clock.time() + COUNT_INTERVAL_S, self._look)

    def _look(self) -> None:
        """Report the end of a shortage once no connection was closed since the last look."""
        self._timer = None
        if self._closed_lately or self._short_since is None:
            self._closed_lately = 0
            self._look_later()
            return
        seconds = self._clock.time() - self._short_since
        log.warning(
            "file descriptors suffice again after %.1f s; %d connections were closed",
            *(seconds, self._closed),
        )
        self._short_since, self._closed = None, 0


class BoundedSite(web.SockSite):
    """A listening socket whose connections leave some file descriptors free.

    Arguments:
        runner, sock, ssl_context: as `web.SockSite` takes them.
        descriptors: is asked for each connection.
    """

    __slots__ = ("_descriptors", "_own_socket")

    def __init__(
        self,
        runner: web.BaseRunner,
        sock: socket.socket,
        ssl_context: SSLContext | None,
        descriptors: Descriptors,
    ) -> None:
        super().__init__(runner, sock, ssl_context=ssl_context)
        self._own_socket = sock
        self._descriptors = descriptors

    async def start(self) -> None:
        """Listen."""
        await web.BaseSite.start(self)
        descriptors = self._descriptors
        self._server = await asyncio.get_running_loop().create_server(
            partial(descriptors.accepted, self._ssl_context),
            sock=self._own_socket,
            backlog=descriptors.accepts_per_turn,
        )
        # asyncio takes the backlog for both numbers.
        self._own_socket.listen(LISTEN_BACKLOG)
