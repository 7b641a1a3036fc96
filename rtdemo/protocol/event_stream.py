"""Parse an event stream incrementally (WHATWG HTML section 9.2.6)."""

from __future__ import annotations

from dataclasses import dataclass

MAX_EVENT_BYTES = 4 * 1024 * 1024
"""Longest event, in bytes."""
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Arguments:
        data: its data lines, joined by line feeds.
        id: last event id of the stream.
        type: `message` if the stream gives none.
    """

    data: bytes
    id: str = ""
    type: str = "message"


class EventParser:
    """Parse bytes, split anywhere, into events.

    Attributes:
        last_id: last event id; events without an id keep it.
        retry: milliseconds for a client to wait before it reconnects; None until the server sends it.
    """

    def __init__(self) -> None:
        self.last_id = ""
        self.retry: int | None = None
        self._rest = b""
        self._data: list[bytes] = []
        self._type = ""
        self._has_begun = False

    @property
    def is_between_events(self) -> bool:
        """Whether the next byte begins an event."""
        return self._has_begun and not (self._rest or self._data or self._type)

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that end in these bytes.

        Raises:
            ValueError: if an event is over 4 MiB.
        """
        rest = self._rest + data
        if not self._has_begun and len(rest) >= len(_BOM):
            self._has_begun = True
            rest = rest.removeprefix(_BOM)
        if b"\r" in rest:
            # A CR at the end may be the first half of a CRLF.
            last = b"\r" if rest.endswith(b"\r") else b""
            rest = rest[: len(rest) - len(last)].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + last
        *lines, self._rest = rest.split(b"\n")
        if len(self._rest) + sum(map(len, self._data)) > MAX_EVENT_BYTES:
            raise ValueError(f"an event of over {MAX_EVENT_BYTES} bytes")
        events = []
        for line in lines:
            event = self._parse_line(line)
            if event is not None:
                events.append(event)
        return events

    def _parse_line(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"id" and b"\0" not in value:
            self.last_id = value.decode(errors="replace")
        elif name == b"event":
            self._type = value.decode(errors="replace")
        elif name == b"retry" and value.isdigit():
            self.retry = int(value)
        return None

    def _dispatch(self) -> Event | None:
        data, kind = self._data, self._type
        self._data, self._type = [], ""
        return Event(b"\n".join(data), self.last_id, kind or "message") if data else None
