"""The load client counts each message once, wherever the network cuts the stream."""

from __future__ import annotations

import asyncio
import time
from typing import cast

import pytest

from benchmarks.streams import (
    CLOSE,
    PING,
    SAMPLE_EVERY,
    STREAMS,
    EchoStream,
    Framing,
    Stream,
    Tally,
    WebSocketStream,
)

MESSAGE = b'{"message":"WebSocket Message 7","sentAt":1763841600123.457}'
LONG = b'{"message":"' + 200 * b"x" + b'","sentAt": 1763841600123}'


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a server's frame, RFC 6455 section 5.2."""
    length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2, "big")
    return bytes([opcode]) + length + payload


def wire_bytes(framing: Framing) -> bytes:
    """Return four messages as a server sends them."""
    if framing == "sse":
        return b"".join(b"data: " + text + b"\n\n" for text in (MESSAGE, LONG, MESSAGE, MESSAGE))
    return b"".join(frame(0x81, text) for text in (MESSAGE, LONG, MESSAGE, MESSAGE))


@pytest.mark.parametrize("framing", STREAMS)
async def test_messages_are_counted_once_wherever_they_are_cut(framing: Framing) -> None:
    """Two cuts, at every pair of neighbouring places and further apart."""
    data = wire_bytes(framing)
    for cut in range(1, len(data) - 1):
        for further in (1, 5, 40):
            tally = Tally()
            stream = STREAMS[framing](tally, Wire())
            for chunk in (data[:cut], data[cut : cut + further], data[cut + further :]):
                if chunk:
                    stream.data_received(chunk)
            assert (tally.delivered, tally.received_bytes) == (4, len(data)), (cut, further)


@pytest.mark.parametrize("framing", STREAMS)
async def test_messages_are_counted_byte_by_byte(framing: Framing) -> None:
    """The token is spread over as many reads as it has bytes."""
    tally = Tally()
    stream = STREAMS[framing](tally, Wire())
    for byte in wire_bytes(framing):
        stream.data_received(bytes([byte]))
    assert tally.delivered == 4


async def test_latency_is_taken_of_some_reads() -> None:
    """One read in SAMPLE_EVERY, from `sentAt` until now, in milliseconds."""
    tally = Tally()
    stream = Stream(tally, Wire())
    sent_at = time.time() * 1000 - 250
    for _ in range(3 * SAMPLE_EVERY):
        stream.data_received(b'data: {"message":"m","sentAt":%.3f}\n\n' % sent_at)
    assert len(tally.latencies) == 3
    assert all(latency >= 249.9 for latency in tally.latencies)


async def test_ping_is_answered_and_closing_too() -> None:
    """A server that checks its clients keeps this one; one that closes sees it close."""
    wire = Wire()
    stream = WebSocketStream(Tally(), wire)
    data = frame(0x81, MESSAGE) + frame(PING, b"beat")
    stream.data_received(data[:-3])
    assert wire.written == b""
    stream.data_received(data[-3:])
    assert wire.written == b"\x8a\x84\0\0\0\0beat"
    assert not wire.is_closed
    stream.data_received(frame(CLOSE, b"\x03\xe8"))
    assert wire.is_closed


async def test_echo_asks_again_once_it_is_answered() -> None:
    """There is one text on its way, from `ask()` on, and each echo has its time."""
    tally, wire = Tally(), Wire()
    stream = EchoStream(tally, cast("asyncio.Transport", wire))
    stream.data_received(frame(0x81, MESSAGE))
    assert wire.written == b""
    stream.ask()
    stream.data_received(frame(0x81, MESSAGE))
    stream.data_received(frame(0x81, MESSAGE))
    assert wire.written == 3 * EchoStream.FRAME
    assert len(tally.latencies) == 2


async def test_all_have_left_once_the_last_has() -> None:
    """Leaving is over when each connection has ended."""
    tally = Tally(leaving=2)
    streams = [Stream(tally, Wire()) for _ in range(2)]
    streams[0].connection_lost(None)
    assert not tally.all_left.is_set()
    streams[1].connection_lost(None)
    assert tally.all_left.is_set()
