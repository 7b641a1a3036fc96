"""Parameters of requests, with the bounds that the code checks."""

from __future__ import annotations

from typing import Any, NamedTuple

from rtdemo.hub.past import REWIND
from rtdemo.hub.selection import MAX_NAMES, MAX_SPEED, MIN_SPEED
from rtdemo.protocol.message import MAX_MESSAGE_BYTES
from rtdemo.web import heartbeat, probe_streams
from rtdemo.web.publish import MAX_KEY_LENGTH
from rtdemo.web.specification.schemas import TEXT, Schema
from rtdemo.web.tickets import MAX_TICKET_LENGTH


class Parameter(NamedTuple):
    """A parameter of a request.

    Arguments:
        name: in the request.
        place: `query`, `header` or `path`.
        what: what it does.
        schema: of its value.
        example: a value that every server accepts; None where there is none.
        is_required: whether a request without it is refused.
    """

    name: str
    place: str
    what: str
    schema: Schema
    example: Any = None
    is_required: bool = False


_CONTINUES = "continues after this position; for any other text, messages are reported as lost"
_POSITION = "b23a89a379ec3f53-12"
_PRODUCERS = Parameter(
    "producers",
    "query",
    "only these producers; unknown names are refused, except with `last_event_id`, `latest` or `rewind`",
    {"type": "array", "items": TEXT, "maxItems": MAX_NAMES},
    ["message", "status"],
)
TICKET = Parameter(
    "ticket",
    "query",
    "logs in, where that is required; it works once",
    {"type": "string", "maxLength": MAX_TICKET_LENGTH},
    "kXn2b3V0aGVyIHRpY2tldCE",
)
STREAM = (
    _PRODUCERS,
    Parameter(
        "speed",
        "query",
        "multiplies the rates of private producers",
        {"type": "number", "minimum": MIN_SPEED, "maximum": MAX_SPEED},
        2,
    ),
    Parameter("last_event_id", "query", _CONTINUES, TEXT, _POSITION),
    Parameter(
        "latest",
        "query",
        "1: first the newest message of each shared producer that is picked",
        {"enum": ["0", "1"]},
        "1",
    ),
    Parameter(
        "rewind",
        "query",
        "first the shared messages of this time: a whole number with s, m or h",
        {"type": "string", "pattern": f"^{REWIND.pattern}$"},
        "10m",
    ),
    Parameter(
        heartbeat.PARAMETER,
        "query",
        "a heartbeat that a script sees, after so many seconds without a message",
        {"type": "integer", "minimum": heartbeat.MIN_S, "maximum": heartbeat.MAX_S},
        2,
    ),
    TICKET,
    Parameter(
        probe_streams.PARAMETER,
        "query",
        "a stream that tests the path: sizes of its messages, in bytes; it may last 20 minutes",
        {
            "type": "array",
            "items": {
                "type": "integer",
                "minimum": probe_streams.MIN_SIZE_BYTES,
                "maximum": MAX_MESSAGE_BYTES,
            },
            "maxItems": probe_streams.MAX_SIZES,
        },
        [100, 6144],
    ),
    Parameter(
        "silence",
        "query",
        "with `probe`: seconds without a byte before each message and after the last",
        {"type": "integer", "minimum": 1, "maximum": probe_streams.MAX_SILENCE_S},
        1,
    ),
)
"""Of a request that opens a stream, over either transport."""
VIEW = (
    _PRODUCERS._replace(what="only these producers", schema={"type": "array", "items": TEXT}),
    Parameter("bare", "query", "1: only the cards", {"type": "string"}, "1"),
)
"""Of the page about the data."""
LAST_EVENT_ID = Parameter(
    "Last-Event-ID",
    "header",
    f"{_CONTINUES}. It has precedence over `last_event_id`",
    TEXT,
    _POSITION,
)
CLIENT = Parameter(
    "client",
    "query",
    "the id in the client's welcome",
    {"type": "string", "minLength": 1},
    is_required=True,
)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    "the same key with the same body within ten minutes publishes nothing, and returns the same answer",
    {"type": "string", "maxLength": MAX_KEY_LENGTH, "pattern": "^[ -~]*$"},
    "order-4711",
)
NAME = Parameter("name", "path", "the producer's name", TEXT, "message", is_required=True)
