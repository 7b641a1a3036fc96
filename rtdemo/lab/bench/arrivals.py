"""Record when messages were sent and when they arrived.

This runs while a round is measured, so it does as little as possible: `analysis.py` does the rest later.
"""

from __future__ import annotations

import re
from array import array

import msgspec

from rtdemo.protocol.message import DECODE_ERRORS

MAX_MESSAGES = 3_000_000
"""Messages that one worker records, at up to 24 bytes each; further ones are counted and left out."""
MAX_STREAMS = 200_000
"""Streams that one worker records; messages of further ones are counted and left out."""
MAX_NAME_LENGTH = 100
NO_SEQ = -1.0
"""Recorded for a message without a usable `seq`."""
MAX_EXACT_SEQ = 2**53
"""From this number on a float cannot hold every integer."""
MAX_SENT_AT_MS = 1e15
"""Milliseconds since the epoch; a larger `sentAt` is not a time."""
_DIGIT = re.compile(r"\d")


class Message(msgspec.Struct):
    """The fields of a message that are measured; any server that sends `sentAt` can be measured."""

    sent_at: float | None = msgspec.field(default=None, name="sentAt")
    # Other servers may put values of any type here.
    message: object = None
    producer: object = None
    seq: object = None
    id: object = None
    client: object = None


_decode = msgspec.json.Decoder(Message).decode
_NO_MESSAGE = Message()
"""Stands for a payload that is not a JSON object."""


class Stream:
    """The messages of one producer on one connection, in order of arrival.

    Attributes:
        sent: `sentAt` of each message, milliseconds on the server's clock.
        arrived: arrival of each message, milliseconds of `server_clock.now`.
        seq: `seq` of each message, or NO_SEQ.
        is_shared: True if the latest message has a position in the log.
    """

    __slots__ = ("arrived", "is_shared", "sent", "seq")

    def __init__(self) -> None:
        self.sent = array("d")
        self.arrived = array("d")
        self.seq = array("d")
        self.is_shared = False


class Response:
    """The messages that arrived in response to one request.

    Attributes:
        streams: by the producer's name; without one, by the message's text up to its first digit.
        untimed: arrival of each message without `sentAt`, milliseconds of `server_clock.now`.
    """

    __slots__ = ("streams", "untimed")

    def __init__(self) -> None:
        self.streams: dict[str, Stream] = {}
        self.untimed = array("d")

    def arrivals(self) -> list[float]:
        """Return the arrival of each message, in order."""
        return sorted([*self.untimed, *(at for one in self.streams.values() for at in one.arrived)])


class ConnectionArrivals:
    """The messages that arrived on one connection, or on one after the other if it is opened again.

    Attributes:
        responses: in order; one, unless the request is repeated.
        client: client id from the welcome message; empty if the server sends none.
        messages: number of messages.
        payload_bytes: their size without framing.
        bytes: received after the head of each response, without TLS.
        stamped: number of messages of which the kernel took the arrival.
    """

    __slots__ = ("_arrivals", "bytes", "client", "messages", "payload_bytes", "responses", "stamped")

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self.responses = [Response()]
        self.client = ""
        self.messages = self.payload_bytes = self.bytes = self.stamped = 0

    @property
    def streams(self) -> dict[str, Stream]:
        """The streams of the latest response."""
        return self.responses[-1].streams

    def begin_response(self) -> None:
        """Begin the response to a repeated request."""
        self.responses.append(Response())

    def record(self, payload: bytes, at: float) -> None:
        """Record a message.

        Arguments:
            payload: its text, such as JSON.
            at: arrival, milliseconds of `server_clock.now`.
        """
        arrivals = self._arrivals
        response = self.responses[-1]
        self.messages += 1
        self.payload_bytes += len(payload)
        try:
            message = _decode(payload)
        except DECODE_ERRORS:
            message = _NO_MESSAGE
        if isinstance(message.client, str):
            self.client = message.client
        if message.sent_at is None or abs(message.sent_at) > MAX_SENT_AT_MS:
            arrivals.unread += 1
            if arrivals.reserve(is_new=False):
                response.untimed.append(at)
            return
        name = message.producer if isinstance(message.producer, str) else stream_name(message.message)
        stream = response.streams.get(name)
        if not arrivals.reserve(is_new=stream is None):
            return
        if stream is None:
            stream = response.streams[name] = Stream()
        stream.is_shared = message.id is not None
        stream.sent.append(message.sent_at)
        stream.arrived.append(at)
        stream.seq.append(_number(message.seq))


class Arrivals:
    """The messages that arrived at one worker.

    Attributes:
        connections: one element for each connection.
        unread: number of messages without a usable `sentAt`.
        left_out: number of messages over MAX_MESSAGES or MAX_STREAMS.
    """

    def __init__(self) -> None:
        self.connections: list[ConnectionArrivals] = []
        self.unread = 0
        self.left_out = 0
        self._messages = 0
        self._streams = 0

    def open(self) -> ConnectionArrivals:
        """Return the record of a new connection."""
        connection = ConnectionArrivals(self)
        self.connections.append(connection)
        return connection

    def reserve(self, is_new: bool) -> bool:
        """Reserve space for one message; return False, and count the message, if there is none.

        Arguments:
            is_new: whether the message begins a stream.
        """
        if self._messages >= MAX_MESSAGES or (is_new and self._streams >= MAX_STREAMS):
            self.left_out += 1
            return False
        self._messages += 1
        self._streams += is_new
        return True


def _number(seq: object) -> float:
    """Return a `seq` as a float, or NO_SEQ for a value that rtdemo would not send."""
    if type(seq) is int and 0 <= seq < MAX_EXACT_SEQ:
        return seq
    return seq if type(seq) is float and 0 <= seq < MAX_EXACT_SEQ and seq.is_integer() else NO_SEQ


def stream_name(text: object) -> str:
    """Return a name for the stream of a message that names no producer: its text up to a digit."""
    return _DIGIT.split(text, maxsplit=1)[0][:MAX_NAME_LENGTH].strip() if isinstance(text, str) else ""
