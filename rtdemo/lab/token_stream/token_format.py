"""Find tokens, the end and errors in the events of a token stream, whichever API it has.

Known are the APIs of OpenAI (chat, completions, responses), Anthropic, Gemini, Ollama, llama.cpp and
TGI, as event streams (WHATWG HTML section 9.2) or as one JSON value a line. In another format, each
event counts as a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from rtdemo.errors import printable
from rtdemo.protocol.event_stream import MAX_EVENT_BYTES, Event, EventParser
from rtdemo.protocol.message import DECODE_ERRORS

TEXT_PATHS: Sequence[tuple[str | int, ...]] = (
    ("choices", 0, "delta", "content"),  # OpenAI chat
    ("choices", 0, "delta", "reasoning_content"),
    ("choices", 0, "delta", "reasoning"),
    ("choices", 0, "delta", "tool_calls"),
    ("choices", 0, "text"),  # OpenAI completions
    ("delta",),  # OpenAI responses; Anthropic has an object there
    ("message", "content"),  # Ollama chat
    ("response",),  # Ollama generate
    ("candidates", 0, "content", "parts"),  # Gemini
    ("token", "text"),  # TGI
    ("content",),  # llama.cpp
)
"""Where the text of a token is in an event's JSON, by API."""
END_TYPES = frozenset(("message_stop", "response.completed", "response.incomplete", "response.failed"))
"""Types of the event that ends a stream: of Anthropic, and of OpenAI's responses."""
END_DATA = b"[DONE]"
"""Data of the event that ends a stream of OpenAI's chat and completions."""
FINISH_PATHS: Sequence[tuple[str | int, ...]] = (
    ("choices", 0, "finish_reason"),
    ("candidates", 0, "finishReason"),
)
"""Where an event says that the text is complete; an event that ends the stream may follow."""
MAX_ERROR_CHARS = 200
_FIRST_BYTES_OF_EVENTS = (b"data:", b"event:", b"id:", b"retry:", b":", b"\xef\xbb\xbf")


@dataclass(frozen=True, slots=True)
class Item:
    """What one event is.

    Arguments:
        is_text: whether it has the text of a token.
        end: what ends the stream, such as `[DONE]`; empty if it goes on.
        error: text of an error that the server reports in the stream; empty for none.
    """

    is_text: bool = False
    end: str = ""
    error: str = ""


def read(event: Event) -> Item:
    """Return what an event is."""
    if event.data.strip() == END_DATA:
        return Item(end=END_DATA.decode())
    try:
        value = msgspec.json.decode(event.data)
    except DECODE_ERRORS:
        value = None
    if not isinstance(value, dict):
        return Item(error=_quote(event.data.decode(errors="replace")) if event.type == "error" else "")
    kind = value.get("type")
    for given in (event.type, kind):
        if isinstance(given, str) and given in END_TYPES:
            return Item(end=given)
    if event.type == "error" or kind == "error" or value.get("error"):
        return Item(error=_error_text(value))
    is_text = any(map(_has_text, (_at(value, path) for path in TEXT_PATHS)))
    if value.get("done") is True:
        return Item(is_text, '"done": true')
    finish = next((path[-1] for path in FINISH_PATHS if isinstance(_at(value, path), str)), "")
    return Item(is_text, str(finish))


def _has_text(value: Any) -> bool:
    if isinstance(value, dict):
        return any(value.get(name) for name in ("text", "thinking", "partial_json"))  # Anthropic
    return bool(value) and isinstance(value, str | list)


def _at(value: Any, path: Sequence[str | int]) -> Any:
    """Return the value at a path; None if there is none."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and len(value) > step else None
    return value


def _error_text(value: dict[str, Any]) -> str:
    error = value.get("error", value)
    message = error.get("message", error) if isinstance(error, dict) else error
    return _quote(str(message))


def _quote(text: str) -> str:
    return printable(" ".join(text.split()))[:MAX_ERROR_CHARS] or "an error without a text"


class BodyReader(Protocol):
    """Splits the bytes of a body into events.

    Attributes:
        name: of the format.
    """

    name: str

    @property
    def is_between_events(self) -> bool:
        """Whether the next byte begins an event."""
        ...

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that end in these bytes.

        Raises:
            ValueError: if an event is too long.
        """
        ...


class _EventReader(EventParser):
    """Reads an event stream."""

    name = "event stream"


class _LineReader:
    """Reads one JSON value a line (NDJSON)."""

    name = "JSON lines"

    def __init__(self) -> None:
        self._rest = b""

    @property
    def is_between_events(self) -> bool:
        return not self._rest

    def feed(self, data: bytes) -> list[Event]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            raise ValueError(f"a line of over {MAX_EVENT_BYTES} bytes")
        # A line of a JSON value that is spread over several lines is none itself.
        whole = (line for line in map(bytes.strip, lines) if line[:1] == b"{" and line[-1:] == b"}")
        return [Event(line) for line in whole]


class _TextReader:
    """Reads text without a format, such as one long JSON array: each read is an event."""

    name = "text"
    is_between_events = True

    def feed(self, data: bytes) -> list[Event]:
        return [Event(data)] if data else []


def new_reader(content_type: str, first: bytes) -> BodyReader:
    """Return the reader for a body.

    Arguments:
        content_type: of the answer.
        first: first bytes of the body; they decide where the type is wrong.
    """
    start = first.lstrip(b"\r\n")
    if "event-stream" in content_type.lower() or start.startswith(_FIRST_BYTES_OF_EVENTS):
        return _EventReader()
    return _LineReader() if start.startswith(b"{") else _TextReader()
