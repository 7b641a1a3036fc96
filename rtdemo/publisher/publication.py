"""What one call publishes, as the JSON that a server takes."""

from __future__ import annotations

import logging
from threading import Event
from typing import Any

import msgspec

from rtdemo.protocol import values
from rtdemo.publisher.undrawn_texts import UndrawnTexts

log = logging.getLogger(__name__)


class Publication(msgspec.Struct, omit_defaults=True):
    """One message to publish.

    Arguments:
        producer: the name to publish under.
        message: the text; without one the server makes it from the value.
        value: any JSON; left out for a text.
    """

    producer: str
    message: str | msgspec.UnsetType = msgspec.UNSET
    value: Any = msgspec.UNSET


_has_warned = Event()
"""Whether a warning has named a NaN or an infinity."""
_undrawn = UndrawnTexts()
_encode = msgspec.json.Encoder().encode


def encode(producer: object, value: object, message: str | None = None) -> tuple[bytes, int]:
    """Return the JSON of a message to publish, and how many numbers of it became null.

    Arguments:
        producer: the name to publish under.
        value: a number, bool, dict or list, or a text. A NaN or an infinity becomes null.
        message: text for people; None for that of the value.

    Raises:
        TypeError: if the name is no text.
        ValueTypeError: if JSON cannot hold the value.
        RecursionError: if it is nested too deeply, or contains itself.
        UnicodeEncodeError: if a text has a lone surrogate.
    """
    if not isinstance(producer, str):
        given = type(producer).__name__
        raise TypeError(
            f"the producer's name comes first, a text such as 'loss', not {given}; then the value"
        )
    text: str | msgspec.UnsetType = msgspec.UNSET if message is None else message
    if isinstance(value, str) and message is None:
        _undrawn.look(producer, value)
        return _encode(Publication(producer, value)), 0
    converted, nulls = values.to_json(value)
    if nulls:
        _warn_of_null(producer)
    # Of other values only the first is looked at: a call of a function costs more than all of this.
    if producer not in _undrawn.names or isinstance(converted, str):
        _undrawn.look(producer, converted)
    return _encode(Publication(producer, text, converted)), nulls


def _warn_of_null(producer: object) -> None:
    """Say once that a number became null.

    Arguments:
        producer: the name that it is published under.
    """
    if not _has_warned.is_set():
        _has_warned.set()
        log.warning(
            "a NaN or an infinity under %r is sent as null; further ones are not reported",
            producer,
        )
