"""Record when messages were sent and when they arrived.

This runs while a round is measured, so it does as little as possible: `analysis.py` does the rest later.
"""

from __future__ import annotations

import re
from array import array

import msgspec

MAX_MESSAGES = 3_000_000
"""Messages that one worker records, at 24 bytes each; further ones are counted and left out."""
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


class ConnectionArrivals:
    """The messages that arrived on one connection.

    Attributes:
        streams: by the producer's name; without one, by the message's text up to its first digit.
        client: client id from the welcome message; empty if the server sends none.
        messages: number of messages with `sentAt`.
        payload_bytes: size of their JSON.
    """

    __slots__ = ("_arrivals", "client", "messages", "payload_bytes", "streams")

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self.streams: dict[str, Stream] = {}
        self.client = ""
        self.messages = self.payload_bytes = 0

    def record(self, payload: bytes, at: float) -> None:
        """Record a message.

        Arguments:
            payload: its JSON.
            at: arrival, milliseconds of `server_clock.now`.
        """
        arrivals = self._arrivals
        try:
            message = _decode(payload)
        except msgspec.DecodeError:
            arrivals.unread += 1
            return
        if isinstance(message.client, str):
            self.client = message.client
        if message.sent_at is None or abs(message.sent_at) > MAX_SENT_AT_MS:
            arrivals.unread += 1
            return
        self.messages += 1
        self.payload_bytes += len(payload)
        name = message.producer if isinstance(message.producer, str) else stream_name(message.message)
        stream = self.streams.get(name)
        if not arrivals.reserve(is_new=stream is None):
            return
        if stream is None:
            stream = self.streams[name] = Stream()
        stream.is_shared = message.id is not None
        stream.sent.append(message.sent_at)
        stream.arrived.append(at)
        stream.seq.append(_number(message.seq))


class Arrivals:
    """The messages that arrived at one worker.

    Attributes:
        connections: one element for each connection.
        unread: number of payloads that are not an object with `sentAt`.
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
