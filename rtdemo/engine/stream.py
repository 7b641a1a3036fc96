"""Read entries off the stream in Redis, where others may write, too."""

from __future__ import annotations

from typing import Any

import msgspec

from rtdemo.engine.log import Entry, entry
from rtdemo.guard import one_line
from rtdemo.message import Message
from rtdemo.position import Position


class ForeignEntryError(Exception):
    """Say that an entry of the stream was not written by a server of the deployment."""


def read(raw: tuple[str, dict[str, Any]]) -> Entry:
    """Return an entry of the stream, whose id is its offset.

    Raises:
        ForeignEntryError: when it is not ours.
    """
    identifier, fields = raw
    offset, _, rest = identifier.partition("-")
    try:
        if rest != "0":
            raise ValueError("ours end in -0")
        position = Position(fields["epoch"], int(offset))
        message = msgspec.json.decode(fields["message"], type=Message)
        transports = tuple(fields["transports"].split(","))
        sent_at = float(fields["sent_at"])
        return entry(message, fields["producer"], int(fields["seq"]), position, sent_at, transports)
    except (ValueError, LookupError, msgspec.MsgspecError) as error:
        raise ForeignEntryError(f"entry {identifier} is not ours: {one_line(error)}") from error
