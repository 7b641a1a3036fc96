"""What one call publishes, as the JSON that a server takes."""

from __future__ import annotations

from typing import Any

import msgspec

from rtdemo.protocol import values


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


_encode = msgspec.json.Encoder().encode


def encode(producer: str, value: object, message: str | None = None) -> bytes:
    """Return the JSON of a message to publish.

    Arguments:
        producer: the name to publish under.
        value: a number, bool, dict or list, or a text. A NaN or an infinity becomes null.
        message: text for people; None for that of the value.

    Raises:
        ValueTypeError: if JSON cannot hold the value.
    """
    text: str | msgspec.UnsetType = msgspec.UNSET if message is None else message
    if isinstance(value, str) and message is None:
        return _encode(Publication(producer, value))
    return _encode(Publication(producer, text, values.to_json(value)[0]))
