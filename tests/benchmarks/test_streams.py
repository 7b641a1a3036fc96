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
    SocketIoEchoStream,
    SocketIoStream,
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
    texts = (MESSAGE, LONG, MESSAGE, MESSAGE)
    if framing == "sse":
        return b"".join(b"data: " + text + b"\n\n" for text in texts)
    if framing == "socket.io":
        return b"".join(io_event(text) for text in texts)
    return b"".join(frame(0x81, text) for text in texts)


def io_event(text: bytes) -> bytes:
    """Return a message as an event of Socket.IO."""
    return frame(0x81, b'42["message",' + text + b"]")


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


@pytest.mark.parametrize("framing", ["websocket", "socket.io"])
async def test_part_of_a_long_frame_is_no_short_frame(framing: Framing) -> None:
    """A read may be as long as its second byte plus 2, which is 126 for every longer payload."""
    wire = Wire()
    stream = STREAMS[framing](Tally(), wire)
    long = frame(0x81, b'42["' + 122 * b"\x8a" + b'"]')  # 128 bytes, and 4 of head
    stream.data_received(long[:128])
    stream.data_received(long[128:] + frame(PING, b""))
    assert wire.written == b"\x8a\x80\0\0\0\0"


async def test_socket_io_joins_the_namespace_before_it_is_open() -> None:
    """The handshake of Engine.IO is answered, and then that of Socket.IO comes, in one read or two."""
    data = frame(0x81, b'0{"sid":"a","pingInterval":25000}') + frame(0x81, b'40{"sid":"b"}')
    for cut in range(1, len(data) + 1):
        wire, opened = Wire(), asyncio.get_running_loop().create_future()
        stream = SocketIoStream(Tally(), wire)
        stream.report_open(opened)
        stream.data_received(data[:cut])
        assert opened.done() is (cut == len(data))
        if cut < len(data):
            stream.data_received(data[cut:])
        assert wire.written == b"\x81\x82\0\0\0\x0040"
        assert opened.result() is stream


async def test_socket_io_server_that_closes_fails_the_opening() -> None:
    """It does not wait until the time for opening is over."""
    opened: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()
    stream = SocketIoStream(Tally(), Wire())
    stream.report_open(opened)
    stream.connection_lost(None)
    with pytest.raises(ConnectionError, match="namespace"):
        opened.result()


async def test_socket_io_ping_is_answered_and_an_event_is_not() -> None:
    """A ping may come alone, or in one read with an event."""
    wire, tally = Wire(), Tally()
    stream = SocketIoStream(tally, wire)
    stream.data_received(io_event(MESSAGE))
    assert wire.written == b""
    stream.data_received(frame(0x81, b"2"))
    stream.data_received(io_event(MESSAGE) + frame(0x81, b"2"))
    assert wire.written == 2 * b"\x81\x81\0\0\0\x003"
    assert tally.delivered == 2


async def test_socket_io_echo_is_an_event() -> None:
    """What is sent and what is counted has its framing."""
    tally, wire = Tally(), Wire()
    stream = SocketIoEchoStream(tally, wire)
    stream.ask()
    stream.data_received(io_event(MESSAGE))
    assert wire.written == 2 * (b"\x81\x9c" + bytes(4) + b'42["message","a short text"]')
    assert len(tally.latencies) == 1


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
