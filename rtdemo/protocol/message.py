"""Messages, one JSON object on both transports, and their positions in the log."""

from __future__ import annotations

import re
import time
from secrets import token_hex
from typing import Any, NamedTuple

import msgspec

MAX_MESSAGE_BYTES = 64 * 1024
"""Largest message in bytes: a text from a client, or the JSON of a shared message.

The outbox of a connection holds only four messages of this size.
"""
POSITION = re.compile(r"([0-9a-f]{1,32})-(0|[1-9][0-9]{0,14})", re.ASCII)
"""Form of a position: its log's epoch, and its offset."""
OPENING_POSITION = re.compile(rf"({POSITION.pattern})\.(0|[1-9][0-9]{{0,14}})", re.ASCII)
"""Form of a client's position while it receives the newest message of each producer: the offset up to
which it has these follows."""
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Of decoding JSON: it has no valid form, is not UTF-8, or is nested too deeply."""


class Message(msgspec.Struct, omit_defaults=True, frozen=True):
    """One message to a client. The connection adds the time, the producer and the number.

    Arguments:
        message: the text.
        sent_at: milliseconds since the Unix epoch, taken as the message is handed to the transport.
            For a shared message: taken as it enters the log.
        producer: the producer's name.
        seq: number of the message among those of its producer, from 1. It counts per connection,
            for a shared message per deployment.
        client: the client's id; only in the welcome.
        id: the message's position in the log, if it is shared. In the welcome and in messages of
            `resume`: the position after which the client continues.
        lost: whether the client has missed messages for good; only in messages of `resume`.
        truncated: whether the log no longer has all of the past that the client asked for; only in the
            first message of a past, or in a position if the log has none of it.
        value: what the message says, for programs: any JSON; left out for a text.
    """

    message: str
    sent_at: float = msgspec.field(default=0.0, name="sentAt")
    producer: str = ""
    seq: int = 0
    client: str | None = None
    id: str | None = None
    lost: bool = False
    truncated: bool = False
    # Last: whoever edits the encoded message finds the other fields before any content of a value.
    value: Any = msgspec.UNSET

    def sent(self, at: float, producer: str, seq: int) -> Message:
        """Return a copy with its time, producer and number.

        Arguments:
            at: milliseconds since the Unix epoch.
            producer: the producer's name.
            seq: number of the message among those of its producer.
        """
        return msgspec.structs.replace(self, sent_at=at, producer=producer, seq=seq)

    def logged(self, at: float, producer: str, seq: int, position: str) -> Message:
        """Return a copy with its time, producer, number and position in the log.

        Arguments:
            at: milliseconds since the Unix epoch.
            producer: the producer's name.
            seq: number of the message among those of its producer.
            position: `<epoch>-<offset>`.
        """
        return msgspec.structs.replace(self, sent_at=at, producer=producer, seq=seq, id=position)


class Broadcast(msgspec.Struct, frozen=True):
    """A plugin's reply to a client's text that goes to every client, through the log.

    Arguments:
        message: the text.
        producer: the name to publish under; by default the plugin's.
    """

    message: str
    producer: str = ""


def now() -> float:
    """Return milliseconds since the Unix epoch, with microseconds as a fraction."""
    return time.time_ns() // 1000 / 1000


encode = msgspec.json.Encoder().encode
"""Encode a message as UTF-8 JSON; line breaks and NUL in its text are escaped."""


class Position(NamedTuple):
    """Position of a message in a log. Offset 0 is before the first message.

    Arguments:
        epoch: the log's random name, in hexadecimal. A new log begins when the old one is lost.
        offset: number of the message in this log, from 1, without gaps.
    """

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.offset}"


def parse_position(text: str) -> Position | None:
    """Return the position that a text `<epoch>-<offset>` names, or None for any other text."""
    found = POSITION.fullmatch(text)
    return Position(found[1], int(found[2])) if found else None


def parse_opening_position(text: str) -> tuple[Position | None, int | None]:
    """Return a client's position, and the offset up to which it has the newest message of each producer.

    The position is None if the text is none. The offset is None where the client awaits no such message.
    """
    found = OPENING_POSITION.fullmatch(text)
    if found is None:
        return parse_position(text), None
    return parse_position(found[1]), int(found[4])


def new_epoch() -> str:
    """Return the name of a new log: 64 random bits in hexadecimal."""
    return token_hex(8)
