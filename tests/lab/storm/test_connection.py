"""One attempt of a client, byte by byte."""

from __future__ import annotations

import asyncio

import pytest

from rtdemo.lab.bench.connection import Endpoint
from rtdemo.lab.storm.connection import Stream, resuming
from rtdemo.protocol import wire
from rtdemo.protocol.client import Transport

HEAD = "GET /stream?a=1 HTTP/1.1\r\nHost: h\r\n"
OPENED = {
    "sse": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    "websocket": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
}


class Written(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.data += data

    def abort(self) -> None:
        self.is_aborted = True


def endpoint(transport: Transport) -> Endpoint:
    return Endpoint(transport, "h", (0, None), HEAD, None)


def attempt(transport: Transport, resume: str = "") -> tuple[Stream, Written, list[bytes]]:
    received: list[bytes] = []
    stream = Stream(endpoint(transport), resume, lambda: None, received.append)
    written = Written()
    stream.connection_made(written)
    return stream, written, received


async def test_end_of_an_event_stream_loses_none_of_its_events() -> None:
    """A server that stops sends the last event, `retry:` and the end in one segment."""
    stream, written, received = attempt("sse")
    last = wire.sse_chunk(b"{}", "a-7") + b"d\r\nretry: 7000\n\n\r\n" + wire.SSE_LAST_CHUNK
    stream.data_received(OPENED["sse"] + last)
    assert (received, stream.retry_s, stream.last_event_id) == ([b"{}"], 7.0, "a-7")
    assert stream.opened.result() is None
    assert stream.ended.done()
    assert written.is_aborted


async def test_close_frame_loses_none_of_the_messages_before_it() -> None:
    stream, written, received = attempt("websocket")
    stream.data_received(OPENED["websocket"] + wire.websocket_frame(b"{}") + b"\x88\x02\x03\xe9")
    assert (received, stream.retry_s, stream.last_event_id) == ([b"{}"], None, "")
    assert stream.ended.done()
    assert written.data.endswith(b"\x88\x82\0\0\0\0\x03\xe9")


@pytest.mark.parametrize("transport", ["sse", "websocket"])
async def test_head_may_come_in_any_pieces(transport: Transport) -> None:
    stream, _, received = attempt(transport)
    form = wire.sse_chunk if transport == "sse" else wire.websocket_frame
    for byte in OPENED[transport] + form(b"{}"):
        stream.data_received(bytes([byte]))
    assert (received, stream.opened.result(), stream.ended.done()) == ([b"{}"], None, False)


async def test_requests_resume() -> None:
    """An event stream by its header, a WebSocket by its query; only a WebSocket has a key."""
    assert resuming(endpoint("sse"), "a-7") == HEAD + "Last-Event-ID: a-7\r\n"
    expected = "GET /stream?a=1&last_event_id=a-7 HTTP/1.1\r\nHost: h\r\n"
    assert resuming(endpoint("websocket"), "a-7") == expected
    assert resuming(endpoint("websocket"), "") == HEAD
    assert b"Sec-WebSocket-Key" not in attempt("sse")[1].data
    assert attempt("websocket", "a-7")[1].data.startswith(expected.encode() + b"Sec-WebSocket-Key: ")


@pytest.mark.parametrize("kind", [b"Text/Event-Stream", b"text/event-stream ;charset=utf-8"])
async def test_media_type_in_any_case_after_an_interim_response(kind: bytes) -> None:
    """Browsers accept both, so such a server does not lose its clients."""
    stream, _, received = attempt("sse")
    head = OPENED["sse"].replace(b"text/event-stream", kind)
    stream.data_received(b"HTTP/1.1 103 Early Hints\r\n\r\n" + head + wire.sse_chunk(b"{}"))
    assert (received, stream.opened.result()) == ([b"{}"], None)


async def test_type_that_only_begins_like_an_event_stream_opens_none() -> None:
    stream, _, _ = attempt("sse")
    stream.data_received(OPENED["sse"].replace(b"event-stream", b"event-stream2"))
    found = stream.opened.result()
    assert found is not None
    assert found.reason == "200, but no event stream"


@pytest.mark.parametrize("events", [0, 2])
async def test_body_ends_at_its_length(events: int) -> None:
    """A browser's EventSource reconnects then, whether the connection closes or not."""
    stream, written, received = attempt("sse")
    body = b"data: {}\n\n" * events
    head = OPENED["sse"].replace(b"Transfer-Encoding: chunked", b"Content-Length: %d" % len(body))
    stream.data_received(head + body)
    assert (received, stream.opened.result(), stream.ended.done()) == ([b"{}"] * events, None, True)
    assert written.is_aborted


async def test_server_that_speaks_no_http_fails_at_its_first_bytes() -> None:
    """It may send no end of a head, and an attempt has better things to wait for."""
    stream, _, _ = attempt("sse")
    stream.data_received(b"220 mail")
    found = stream.opened.result()
    assert found is not None
    assert found.reason == "does not speak HTTP/1.1"


async def test_redirect_names_the_address() -> None:
    """A browser follows it with each attempt, and a WebSocket never; a query may have a secret."""
    stream, _, _ = attempt("sse")
    stream.data_received(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /live/?key=secret\r\n\r\n")
    found = stream.opened.result()
    assert found is not None
    assert (found.reason, found.status) == ("it redirects to /live/", 307)
