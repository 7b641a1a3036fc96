"""Heartbeats that a client asks for by `?heartbeat=SECONDS`: a browser's script sees them.

It sees neither WebSocket pings nor comments of an event stream, so without heartbeats a script cannot
distinguish a connection that no longer works from one on which nothing is sent. The first heartbeat
follows the welcome at once: it announces the others, and a server without this parameter sends none.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from rtdemo.errors import Refused
from rtdemo.hub import control
from rtdemo.hub.connection import Connection
from rtdemo.protocol import message
from rtdemo.protocol.message import Message

PARAMETER = "heartbeat"
"""Parameter of the query, and the key in a heartbeat's text."""
MIN_S, MAX_S = 1, 60
"""Bounds of the silence before a heartbeat. Whole seconds: each period has a queue in the schedule."""
BEATS = 3
"""Beats per heartbeat. One is due once two full periods had no message."""
MAX_SILENCE_S = 15.0
"""Longest time without a byte on an event stream, whatever the setting: WHATWG HTML section 9.2.7
suggests a comment every 15 s."""
_SECONDS = {str(seconds): seconds for seconds in range(MIN_S, MAX_S + 1)}


def requested(request: web.Request) -> int | None:
    """Return the longest silence that a client asks for, in seconds; None if it asks for no heartbeat.

    Raises:
        Refused: 400 for anything but a whole number from 1 to 60.
    """
    given = request.query.get(PARAMETER)
    if given is None:
        return None
    if given not in _SECONDS:
        bounds = f"from {MIN_S} to {MAX_S}"
        raise Refused(400, f"{PARAMETER}: {given[:100]!r} is not a whole number of seconds {bounds}")
    return _SECONDS[given]


class Heartbeat:
    """Send a heartbeat whenever the client has received nothing for some time.

    As for the comments of an event stream, messages cost nothing more: whether one was sent is seen at
    each beat. So a heartbeat comes after two to three periods of silence.

    Arguments:
        connection: of the client.
        encode: makes bytes from a heartbeat's JSON.
        seconds: longest silence.

    Attributes:
        period: seconds between two calls of `beat`.
    """

    __slots__ = ("_connection", "_encode", "_seconds", "_sent", "_silent_beats")

    def __init__(self, connection: Connection, encode: Callable[[bytes], bytes], seconds: int) -> None:
        self._connection, self._encode = connection, encode
        self._seconds = seconds
        # Number of messages at the last beat, and beats since then without one.
        self._sent, self._silent_beats = connection.sent, 0

    @property
    def period(self) -> float:
        """Seconds between two calls of `beat`."""
        return self._seconds / BEATS

    def beat(self) -> None:
        """Send a heartbeat if the connection has been silent; called periodically."""
        sent = self._connection.sent
        if sent != self._sent:
            self._sent, self._silent_beats = sent, 1
            return
        self._silent_beats += 1
        if self._silent_beats >= BEATS:
            self._silent_beats = 0
            self._connection.write_heartbeat(self.encoded())

    def encoded(self) -> bytes:
        """Return a heartbeat of now as finished bytes."""
        text = message.encode({PARAMETER: self._seconds}).decode()
        return self._encode(message.encode(Message(text, message.now(), control.KEY)))
