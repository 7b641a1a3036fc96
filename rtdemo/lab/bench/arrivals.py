"""Keep when messages were sent and when they came: nothing else is done while they come."""

from __future__ import annotations

import re
from array import array

import msgspec

MAX_MESSAGES = 3_000_000
"""That one process keeps, at 24 bytes each; what comes after them is counted and left out."""
MAX_STREAMS = 200_000
MAX_NAME_LENGTH = 100
NO_SEQ = -1.0
MAX_EXACT_SEQ = 2**53
"""Numbers from which on not each can be told from the next."""
MAX_SENT_AT_MS = 1e15
"""Milliseconds since the epoch beyond which a `sentAt` is no instant."""
_DIGIT = re.compile(r"\d")


class Message(msgspec.Struct):
    """Read of a message what is measured; any server's that has `sentAt` will do."""

    sent_at: float | None = msgspec.field(default=None, name="sentAt")
    # Of other servers these may be anything.
    message: object = None
    producer: object = None
    seq: object = None
    id: object = None
    client: object = None


_decode = msgspec.json.Decoder(Message).decode


class Stream:
    """Hold the messages of one producer on one connection.

    Attributes:
        sent: milliseconds of the server's clock.
        arrived: milliseconds of `server_clock.now`.
        seq: that producer's numbers; below zero where it gives none.
        is_shared: whether they have a place in the log.
    """

    __slots__ = ("arrived", "is_shared", "sent", "seq")

    def __init__(self) -> None:
        self.sent = array("d")
        self.arrived = array("d")
        self.seq = array("d")
        self.is_shared = False


class ConnectionArrivals:
    """Hold the streams of one connection.

    Attributes:
        streams: by the producer's name, or by the text up to its first digit where none is named.
        client: the id that the welcome told.
        messages, payload_bytes: how many with `sentAt` came, and their JSON.
    """

    __slots__ = ("_arrivals", "client", "messages", "payload_bytes", "streams")

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self.streams: dict[str, Stream] = {}
        self.client = ""
        self.messages = self.payload_bytes = 0

    def take(self, payload: bytes, at: float) -> None:
        """Keep a message that came at an instant of `server_clock.now`."""
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
        name = message.producer if isinstance(message.producer, str) else group(message.message)
        stream = self.streams.get(name)
        if not arrivals.room_for(is_new=stream is None):
            return
        if stream is None:
            stream = self.streams[name] = Stream()
        stream.is_shared = message.id is not None
        stream.sent.append(message.sent_at)
        stream.arrived.append(at)
        stream.seq.append(_number(message.seq))


class Arrivals:
    """Hold what one process received.

    Attributes:
        inboxes: of all connections.
        unread: payloads that are no object with `sentAt`.
        left_out: messages over the bound.
    """

    def __init__(self) -> None:
        self.connections: list[ConnectionArrivals] = []
        self.unread = 0
        self.left_out = 0
        self._kept = 0
        self._streams = 0

    def open(self) -> ConnectionArrivals:
        """Return the inbox of a new connection."""
        inbox = ConnectionArrivals(self)
        self.connections.append(inbox)
        return inbox

    def room_for(self, is_new: bool) -> bool:
        """Take the room for one message, where there is some.

        Arguments:
            is_new: whether it begins a stream.
        """
        if self._kept >= MAX_MESSAGES or (is_new and self._streams >= MAX_STREAMS):
            self.left_out += 1
            return False
        self._kept += 1
        self._streams += is_new
        return True


def _number(seq: object) -> float:
    """Return a producer's number, which other servers may write as anything."""
    if type(seq) is int and 0 <= seq < MAX_EXACT_SEQ:
        return seq
    return seq if type(seq) is float and 0 <= seq < MAX_EXACT_SEQ and seq.is_integer() else NO_SEQ


def group(text: object) -> str:
    """Return what stands for the producer of a message that names none."""
    return _DIGIT.split(text, maxsplit=1)[0][:MAX_NAME_LENGTH].strip() if isinstance(text, str) else ""
