"""Define the message: one JSON object, the same on both transports."""

from __future__ import annotations

import re
import time
from secrets import token_hex
from typing import NamedTuple

import msgspec

MAX_MESSAGE_BYTES = 64 * 1024
"""Largest message in bytes: a text from a client, or the JSON of a shared message.

The outbox of a connection holds only four messages of this size.
"""


class Message(msgspec.Struct, omit_defaults=True, frozen=True):
    """Carry one text to a client. The connection fills in when, by whom and which.

    Arguments:
        message: the text.
        sent_at: milliseconds since the epoch as it is handed to the transport.
        producer: the producer's name.
        seq: counts that producer's messages, per connection, from 1.
        client: the client's id, in the welcome only.
        id: the position in the log, of a shared message; in the welcome and in `resume` the one
            behind which the client goes on.
        lost: whether messages before it are lost to the client, in `resume` only.
    """

    message: str
    sent_at: float = msgspec.field(default=0.0, name="sentAt")
    producer: str = ""
    seq: int = 0
    client: str | None = None
    id: str | None = None
    lost: bool = False

    def sent(self, at: float, producer: str, seq: int) -> Message:
        """Return this message stamped and numbered."""
        return msgspec.structs.replace(self, sent_at=at, producer=producer, seq=seq)

    def placed(self, position: str) -> Message:
        """Return this message with a place in the log."""
        return msgspec.structs.replace(self, id=position)

    def logged(self, at: float, producer: str, seq: int, position: str) -> Message:
        """Return this message as it stands in the log."""
        return msgspec.structs.replace(self, sent_at=at, producer=producer, seq=seq, id=position)


class Broadcast(msgspec.Struct, frozen=True):
    """Answer a client's text with a message to everyone, through the log.

    Arguments:
        message: the text.
        producer: under whose name; the plugin's by default.
    """

    message: str
    producer: str = ""


def now() -> float:
    """Return milliseconds since the epoch with whole microseconds as a fraction."""
    return time.time_ns() // 1000 / 1000


encode = msgspec.json.Encoder().encode
"""Encode a message as UTF-8 JSON; every line break and NUL in it comes out escaped."""
_FORM = re.compile(r"([0-9a-f]{1,32})-(0|[1-9][0-9]{0,14})", re.ASCII)


class Position(NamedTuple):
    """Stand behind one message of a log; offset 0 is before the first.

    Arguments:
        epoch: which log; a new one begins when an old one's content is lost.
        offset: counts its messages from 1, without a gap.
    """

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.offset}"


def parse(text: str) -> Position | None:
    """Read `<epoch>-<offset>`; None where it is something else."""
    found = _FORM.fullmatch(text)
    return Position(found[1], int(found[2])) if found else None


def new_epoch() -> str:
    """Return a name that no other log has: 64 random bits in hexadecimal."""
    return token_hex(8)
