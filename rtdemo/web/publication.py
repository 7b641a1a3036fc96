"""Publications: messages to publish, as a request's body holds them."""

from __future__ import annotations

from typing import Any

import msgspec

from rtdemo.engine.interface import Draft
from rtdemo.errors import Refused
from rtdemo.hub.hub import Hub
from rtdemo.protocol import values
from rtdemo.protocol.message import Message

FORM = '{"message": "...", "value": 1.5, "producer": "..."}'
"""A publication with all its fields, for errors."""
DECODE_ERRORS = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What decoding the JSON of a publication may raise."""
_RESERVED = ("resume", "rtdemo")
"""Producer names of the server's own messages."""


class Publication(msgspec.Struct, forbid_unknown_fields=True):
    """Hold one message of a request's body: a text, a value, or both."""

    message: str | msgspec.UnsetType = msgspec.UNSET
    value: Any = msgspec.UNSET
    producer: str = "publish"


def draft(hub: Hub, publication: Publication) -> Draft:
    """Return a publication as a message for the log.

    Raises:
        Refused: 400 without message and value; 409 for the name of private messages.
    """
    name, value = publication.producer, publication.value
    if name in _RESERVED or hub.plugins.registry.is_private(name):
        raise Refused(409, f"producer: {name!r} is the name of private messages; choose another")
    if publication.message is not msgspec.UNSET:
        return Draft(Message(publication.message, value=value), name)
    if value is msgspec.UNSET:
        raise Refused(400, f"give a message or a value, such as {FORM}")
    return Draft(values.message_of(value), name)
