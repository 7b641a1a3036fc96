"""Publications: messages to publish, as a request's body holds them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any
from uuid import uuid4

import msgspec

from rtdemo.engine.interface import Draft
from rtdemo.errors import Refused, Unavailable
from rtdemo.hub.hub import PUBLISH_TIMEOUT_S, Hub
from rtdemo.protocol import values
from rtdemo.protocol.message import Message, Position

FORM = '{"message": "...", "value": 1.5, "producer": "..."}'
"""A publication with all its fields, for errors."""
DECODE_ERRORS = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What decoding the JSON of a publication may raise."""
ENGINE_RETRY_S = 1.0
"""Pause after which messages are tried again while the log is unavailable."""
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


async def publish_until_taken(
    hub: Hub, drafts: Sequence[Draft], failed: Callable[[int], object]
) -> list[Position]:
    """Publish messages, again and again until the log takes them; none enters it twice.

    Arguments:
        hub: the hub.
        drafts: messages that `check_draft` takes.
        failed: called with the number of failed tries before each pause; what it raises ends the tries.
    """
    # The log of this process never fails: it need not remember a key.
    key = uuid4().hex if hub.engine.may_lag else ""
    for tries in count(1):
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                return await hub.publish(drafts, key)
        except (Unavailable, TimeoutError):
            failed(tries)
        await asyncio.sleep(ENGINE_RETRY_S)
    raise AssertionError  # pragma: no cover - count() never ends
