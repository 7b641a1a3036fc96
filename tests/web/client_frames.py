"""What a client may send after its handshake, right and wrong, and what the server must answer.

The answers come from the sans-I/O protocol of `websockets`, and not from rtdemo.
"""

from __future__ import annotations

import struct
from itertools import pairwise

from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import SERVER, Protocol, State

from rtdemo.protocol.message import MAX_MESSAGE_BYTES
from tests.raw_client import CLOSE, CONTINUATION, MASK, PING, PONG, TEXT, frame, unmasked

BINARY = 0x2
CONTROL_BYTES = 125
"""The most that a control frame may have (RFC 6455 section 5.5)."""
BOUNDARIES = (125, 126, 127, 65535, 65536)
"""Lengths at which the form of a frame's length changes, and the limit of a message."""


def with_first_byte(first: int, payload: bytes) -> bytes:
    """Return a masked frame with any reserved bits and opcode."""
    return bytes((first,)) + frame(TEXT, payload)[1:]


def longer_than_needed(opcode: int, payload: bytes, code: int) -> bytes:
    """Return a masked frame with its length in 16 or 64 bits, whatever it is."""
    form = {126: "!BBH", 127: "!BBQ"}[code]
    return struct.pack(form, 0x80 | opcode, 0x80 | code, len(payload)) + frame(opcode, payload)[2:]


def fragments(opcode: int, parts: list[bytes], between: list[bytes]) -> bytes:
    """Return a message in parts, with control frames between them, each of which is whole."""
    frames = []
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        frames.append(frame(CONTINUATION if number else opcode, part, final=is_last))
        if not is_last:
            frames += between
    return b"".join(frames)


small = st.binary(max_size=8)
controls = st.builds(frame, st.sampled_from([PING, PONG]), small.map(bytes.hex).map(str.encode))
texts = st.one_of(
    st.text(max_size=12).map(str.encode), st.sampled_from(BOUNDARIES).map(lambda size: b"x" * size)
)
"""Payloads of messages: UTF-8, up to the limit."""
broken_texts = st.sampled_from([b"\xff", b"ok \xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"])
"""Payloads that are not UTF-8: invalid, cut off, a surrogate, overlong, out of range."""


@st.composite
def messages(draw: st.DrawFn, payloads: st.SearchStrategy[bytes]) -> bytes:
    """Draw a text or binary message, often in fragments, which may also split a character."""
    opcode, payload = draw(st.sampled_from([TEXT, BINARY])), draw(payloads)
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    parts = [payload[start:end] for start, end in pairwise([0, *cuts, len(payload)])]
    # `websockets` counts a control frame between fragments as a part of the message, against its limit.
    is_near_limit = len(payload) > MAX_MESSAGE_BYTES - CONTROL_BYTES
    return fragments(opcode, parts, [] if is_near_limit else draw(st.lists(controls, max_size=2)))


right = st.one_of(
    messages(texts),
    controls,
    st.builds(frame, st.just(PING), st.just(b"p" * CONTROL_BYTES)),
    # Too long a form is not right, but every server takes it, and so does `websockets`.
    st.builds(longer_than_needed, st.just(TEXT), st.just(b"short"), st.sampled_from([126, 127])),
)
closes = st.one_of(
    st.sampled_from([1000, 1001, 1003, 1007, 1011, 3000, 4999])
    .map(lambda code: struct.pack("!H", code) + b"bye")
    .map(lambda payload: frame(CLOSE, payload)),
    st.just(frame(CLOSE, b"")),
)
wrong = st.one_of(
    messages(broken_texts),
    st.builds(unmasked, st.sampled_from([TEXT, BINARY, PING, CLOSE]), st.just(b"\x03\xe8")),
    # Reserved bits; reserved opcodes; control frames in fragments.
    st.builds(with_first_byte, st.sampled_from([0xC1, 0xA1, 0x91, 0xC9, 0x41]), small),
    st.builds(with_first_byte, st.sampled_from([0x83, 0x87, 0x8B, 0x8F, 0x03, 0x0B]), small),
    st.builds(with_first_byte, st.sampled_from([0x08, 0x09, 0x0A]), small),
    # Control frames that are too long, or whose length has a longer form.
    st.builds(frame, st.sampled_from([PING, PONG, CLOSE]), st.just(b"\x03\xe8" + bytes(CONTROL_BYTES))),
    # A continuation of nothing; a new message within another one.
    st.builds(frame, st.just(CONTINUATION), small, st.booleans()),
    st.just(frame(TEXT, b"a", final=False) + frame(TEXT, b"b")),
    # Over the limit: in one frame, in fragments, and by a length that no message has.
    st.just(frame(TEXT, b"x" * (MAX_MESSAGE_BYTES + 1))),
    st.just(fragments(TEXT, [b"x" * 40_000, b"x" * 40_000], [])),
    st.just(struct.pack("!BBQ", 0x81, 0xFF, 1 << 63) + MASK + b"x"),
    # Close frames that may not be sent.
    st.sampled_from([b"x", b"\x03\xed", b"\x03\xee", b"\x03\xe7", b"\x13\x88", b"\x03\xe8\xff"]).map(
        lambda payload: frame(CLOSE, payload)
    ),
)
"""Each ends the connection with 1002, 1007 or 1009."""

conversations = st.one_of(
    st.tuples(st.lists(right, max_size=5), closes, st.just([])),
    st.tuples(st.lists(right, max_size=5), wrong, st.lists(right, max_size=2)),
)
"""Right frames, then one that ends the connection, and after an error some that nobody handles."""


class Segments(list[bytes]):
    """Bytes that are sent one by one; the text form of an example leaves out the midst of long ones."""

    def __repr__(self) -> str:
        return f"[{', '.join(map(_abridged, self))}]"


def _abridged(data: bytes) -> str:
    if len(data) <= 160:
        return repr(data)
    return f"{data[:80]!r} + {len(data) - 120} bytes + {data[-40:]!r}"


@st.composite
def segments(draw: st.DrawFn) -> Segments:
    """Draw all that a client sends, cut at up to eight places, often near its begin or its end."""
    before, end, after = draw(conversations)
    sent = b"".join([*before, end, *after])
    near = st.integers(0, min(16, len(sent)))
    places = st.one_of(st.integers(0, len(sent)), near, near.map(lambda place: len(sent) - place))
    cuts = sorted(draw(st.lists(places, max_size=8)))
    return Segments(sent[start:stop] for start, stop in pairwise([0, *cuts, len(sent)]))


def expected_answers(sent: bytes) -> list[str]:
    """Return what the server must answer, as `str` of its frames, up to its close frame.

    `websockets` passes payloads as bytes, and its callers decode them; so does this function.
    """
    protocol = Protocol(SERVER, state=State.OPEN, max_size=MAX_MESSAGE_BYTES)
    protocol.receive_data(sent)
    answers, message = [], b""
    for received in protocol.events_received():
        assert isinstance(received, Frame)
        payload = bytes(received.data)
        opcode = received.opcode
        if opcode is Opcode.PING:
            answers.append(f"pong {payload.decode(errors='replace')}")
        elif opcode is Opcode.CLOSE:
            code = struct.unpack("!H", payload[:2])[0] if payload else 1000
            return [*answers, f"close {code}"]
        elif opcode is not Opcode.PONG:
            message += payload
            if received.fin:
                try:
                    answers.append(f"Echo: {message.decode()}")
                except UnicodeDecodeError:
                    return [*answers, "close 1007"]
                message = b""
    assert protocol.close_sent is not None, "each conversation ends"
    return [*answers, f"close {protocol.close_sent.code}"]
