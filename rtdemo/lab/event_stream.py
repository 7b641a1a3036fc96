"""Read an event stream as it comes in (WHATWG HTML section 9.2.6)."""

from __future__ import annotations

from dataclasses import dataclass

MAX_EVENT = 4 * 1024 * 1024
"""Bytes that one event may have."""
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """Hold one event.

    Arguments:
        data: its lines, joined by line feeds.
        id: the last event id that the stream has told.
        type: `message` where it tells none.
    """

    data: bytes
    id: str = ""
    type: str = "message"


class EventParser:
    """Take bytes wherever they are cut, and give the events that are complete.

    Attributes:
        last_id: the last event id; it stays for the events that tell none.
        retry: milliseconds after which the server wants its client back; None while it has not said.
    """

    def __init__(self) -> None:
        self.last_id = ""
        self.retry: int | None = None
        self._rest = b""
        self._data: list[bytes] = []
        self._type = ""
        self._begun = False

    @property
    def is_between_events(self) -> bool:
        """Whether what comes next begins an event."""
        return self._begun and not (self._rest or self._data or self._type)

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that end in these bytes.

        Raises:
            ValueError: when an event is over 4 MiB.
        """
        rest = self._rest + data
        if not self._begun and len(rest) >= len(_BOM):
            self._begun = True
            rest = rest.removeprefix(_BOM)
        if b"\r" in rest:
            # A CR at the end may be half of a CRLF.
            held = b"\r" if rest.endswith(b"\r") else b""
            rest = rest[: len(rest) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        *lines, self._rest = rest.split(b"\n")
        if len(self._rest) + sum(map(len, self._data)) > MAX_EVENT:
            raise ValueError(f"an event of over {MAX_EVENT} bytes")
        events = []
        for line in lines:
            event = self._take(line)
            if event is not None:
                events.append(event)
        return events

    def _take(self, line: bytes) -> Event | None:
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
