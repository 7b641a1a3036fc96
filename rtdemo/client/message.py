"""A message as a client receives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from rtdemo.protocol import message as protocol
from rtdemo.protocol.message import DECODE_ERRORS

_HEARTBEAT = '{"heartbeat":'
"""Beginning of the text of a heartbeat."""
_SERVER = "rtdemo"
"""Producer of what the server itself reports to one client."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a server.

    A text that is not a message of rtdemo, such as from another server, has only `text` and `message`.

    Arguments:
        text: as it arrived.
        message: its text for people.
        producer: name of its producer; empty for a text of another server.
        value: what it says, for programs; None for a text.
        sent_at: milliseconds since the Unix epoch, by the server's clock.
        seq: number of the message among those of its producer, from 1; 0 for none.
        id: position in the log, `<epoch>-<offset>`, if it is shared.
        lost: whether messages before it are lost; only in `resume`, which a program gets with
            `with_reports`.
        truncated: whether older messages of a past are no longer in the log; only in its first message.
        client: the client's id; only in the welcome.
        is_readable: whether the text is a message of rtdemo.
    """

    text: str
    message: str
    producer: str = ""
    value: Any = None
    sent_at: float = 0.0
    seq: int = 0
    id: str | None = None
    lost: bool = False
    truncated: bool = False
    client: str | None = None
    is_readable: bool = True

    @property
    def is_heartbeat(self) -> bool:
        """Whether it only shows that the connection works."""
        return self.producer == _SERVER and not self.seq and self.message.startswith(_HEARTBEAT)

    @property
    def is_position(self) -> bool:
        """Whether it only reports the end of the log, of which this client picked few messages."""
        return self.producer == _SERVER and self.id is not None


_decode = msgspec.json.Decoder(protocol.Message).decode


def parse(text: str) -> Message:
    """Return the message that a text is.

    Arguments:
        text: of a WebSocket frame, or the data of an event.
    """
    try:
        found = _decode(text)
    except DECODE_ERRORS:
        return Message(text, text, is_readable=False)
    return Message(
        text=text,
        message=found.message,
        producer=found.producer,
        value=None if found.value is msgspec.UNSET else found.value,
        sent_at=found.sent_at,
        seq=found.seq,
        id=found.id,
        lost=found.lost,
        truncated=found.truncated,
        client=found.client,
    )
