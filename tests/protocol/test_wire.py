"""Wire formats, read back by parsers of other projects."""

from __future__ import annotations

from collections.abc import Generator

import httpx_sse
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from rtdemo.protocol import wire
from rtdemo.protocol.message import Message, encode


def parse_frame(data: bytes) -> Frame:
    reader = StreamReader()
    reader.feed_data(data)
    parsing: Generator[None, None, Frame] = Frame.parse(reader.read_exact, mask=False)
    try:
        next(parsing)
    except StopIteration as done:
        frame: Frame = done.value
        return frame
    raise AssertionError("the frame is incomplete")


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_websocket_frame_at_each_length_form(length: int) -> None:
    """A frame's header has 2, 4 or 10 bytes, depending on the length (RFC 6455 section 5.2)."""
    payload = b"x" * length
    data = wire.websocket_frame(payload)
    frame = parse_frame(data)
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.TEXT, True, payload)
    assert len(data) - length == (2 if length < 126 else 4 if length < 65536 else 10)


@pytest.mark.uncovered
@given(st.text())
def test_any_text_survives_as_one_sse_event(text: str) -> None:
    """No text ends its data line early: line breaks, NUL and separators are escaped."""
    payload = encode(Message(text, 1.0, "p", 1))
    lines = wire.sse_event(payload).decode().split("\n")
    decoder = httpx_sse._decoders.SSEDecoder()
    events = [event for line in lines if (event := decoder.decode(line)) is not None]
    assert [event.data for event in events] == [payload.decode()]


@example(b"x" * 65_000)
@given(st.binary(min_size=1, max_size=300))
def test_chunk_is_the_event_with_its_length(payload: bytes) -> None:
    """A chunk begins with the length of its event in hexadecimal (RFC 9112 section 7.1)."""
    size, rest = wire.sse_chunk(payload).split(b"\r\n", 1)
    assert rest == wire.sse_event(payload) + b"\r\n"
    assert int(size, 16) == len(wire.sse_event(payload))


def test_retry_field() -> None:
    """The reconnection time is one line with a number of milliseconds."""
    assert wire.sse_retry(1500) == b"retry: 1500\n\n"
