"""Probes on the real paths: `/api/sse?probe=100,6144&silence=2`, and the same on `/ws`.

Such a stream is opened, answered and ended as every other one, so proxies treat it alike. It has the
welcome and, a moment later, its request as it arrived: the first message of the producer `probe`. Then
come messages of the sizes that it asks for. `silence` seconds without a byte precede each one and follow
the last one. Then the stream ends. There are no heartbeats and no other messages.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from aiohttp import hdrs, web

from rtdemo.errors import Refused
from rtdemo.hub.connection import Connection
from rtdemo.hub.selection import Selection
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.message import MAX_MESSAGE_BYTES, Message, encode, now
from rtdemo.timing.schedule import Schedule, Tick
from rtdemo.web import request_info
from rtdemo.web.admission import check_origin
from rtdemo.web.probe_usage import USAGE, ProbeUsage, check_probe

PARAMETER = "probe"
"""Parameter of the query that makes a stream a probe; its value is the sizes, separated by commas."""
PRODUCER = "probe"
"""Producer of a probe's messages."""
SUBPROTOCOL = "rtdemo.probe"
"""WebSocket subprotocol that a probe agrees to if its client offers it."""
MAX_SILENCE_S = 600
"""Longest silence, in seconds."""
MAX_STREAM_S = 2 * MAX_SILENCE_S
"""Seconds for which a probe may last: one silence before a message, and one after it."""
MAX_SIZES = 16
"""Messages of one probe."""
MIN_SIZE_BYTES = 100
"""Smallest message, in bytes of its JSON: what is around its text has about 75."""
DEFAULT_SILENCE_S = 2
FIRST_AFTER_S = 0.1
"""Seconds from the welcome to the first message of a probe."""
NOTHING = Selection(frozenset())
"""What a probe receives beside its own messages."""
_INTEGER = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)


class Plan(NamedTuple):
    """What a probe asks for.

    Arguments:
        sizes: of each message, in bytes of its JSON.
        silence_s: seconds without a byte before each message and after the last.
    """

    sizes: tuple[int, ...]
    silence_s: int


class Probe:
    """Send one connection what its probe asks for. It takes the place of the connection's heartbeats.

    Arguments:
        plan: what to send.
        usage: counts the stream from `begin` to `cancel`.
        address: of the client.
        arrived: the request as it arrived.
    """

    def __init__(
        self, plan: Plan, usage: ProbeUsage, address: str, arrived: Mapping[str, object]
    ) -> None:
        self._plan = plan
        self._usage = usage
        self._is_counted = False
        self._address = address
        self._arrived = arrived
        self._sent = 0
        self._tick: Tick | None = None
        self._connection: Connection | None = None

    def begin(self, connection: Connection) -> None:
        """Count the stream."""
        self._usage.streams[self._address] += 1
        self._is_counted = True
        self._connection = connection
        # No position is sent in the silence, however many messages others receive meanwhile.
        connection.replaying = True

    def start(self, schedule: Schedule) -> None:
        """Send the messages from now on.

        The first one comes a moment after the welcome: a proxy that decides by the first bytes of an
        answer sees those of an ordinary stream.
        """
        self._tick = schedule.every(float(self._plan.silence_s), self._go_on, first=FIRST_AFTER_S)

    def cancel(self) -> None:
        """Stop: the connection has ended. A second call does nothing."""
        if self._tick is not None:
            self._tick.cancel()
        if self._is_counted:
            self._is_counted = False
            self._usage.closed(self._address)

    def _go_on(self) -> None:
        """Send the next message; after the last silence, end the stream."""
        connection = self._connection
        if connection is None or connection.reason is not None:
            return
        if self._sent > len(self._plan.sizes):
            connection.end(Reason.GOING_AWAY)
            return
        self._sent += 1
        if self._sent == 1:
            connection.send(PRODUCER, encode(self._arrived).decode(), periodic=False)
            return
        size = self._plan.sizes[self._sent - 2]
        around = len(encode(Message("", now(), PRODUCER, self._sent)))
        # Hexadecimal digits at random: a proxy that compresses can halve them, but not make them vanish.
        filling = max(1, size - around)
        connection.send(PRODUCER, secrets.token_hex((filling + 1) // 2)[:filling], periodic=False)


def open_probe(request: web.Request) -> Probe | None:
    """Return the probe that a request asks for; None for an ordinary stream.

    Raises:
        Refused: 400, 403, 404 or 429 instead of the stream.
    """
    if not request.query_string or PARAMETER not in request.query:
        return None
    check_origin(request)
    address = check_probe(request)
    request.app[USAGE].check_room(address)
    return Probe(_plan(request), request.app[USAGE], address, request_info.describe(request))


def accept_offers(request: web.Request) -> dict[str, str]:
    """Return the headers that accept what a probe's handshake offers: its subprotocol."""
    offered = ",".join(request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, []))
    is_offered = SUBPROTOCOL in (name.strip() for name in offered.split(","))
    return {hdrs.SEC_WEBSOCKET_PROTOCOL: SUBPROTOCOL} if is_offered else {}


def _plan(request: web.Request) -> Plan:
    """Return what the query asks for.

    Raises:
        Refused: 400 with what is allowed.
    """
    given = request.query[PARAMETER]
    names = given.split(",", MAX_SIZES) if given else []
    if len(names) > MAX_SIZES:
        raise Refused(400, f"{PARAMETER}: give at most {MAX_SIZES} sizes")
    sizes = tuple(_integer(PARAMETER, name, MIN_SIZE_BYTES, MAX_MESSAGE_BYTES) for name in names)
    text = request.query.get("silence", str(DEFAULT_SILENCE_S))
    silence = _integer("silence", text, 1, MAX_SILENCE_S)
    if silence * (len(sizes) + 1) > MAX_STREAM_S:
        raise Refused(400, f"silence: the stream would be longer than {MAX_STREAM_S} s")
    return Plan(sizes, silence)


def _integer(name: str, text: str, low: int, high: int) -> int:
    if not (_INTEGER.fullmatch(text) and low <= int(text) <= high):
        raise Refused(400, f"{name}: {text[:100]!r} is not a whole number from {low} to {high}")
    return int(text)
