"""Both transports over TLS, which the server speaks itself."""

from __future__ import annotations

import asyncio
import json
from ssl import SSLContext

import httpx
import pytest

from rtdemo.server.server import Server
from tests.clients import eventually
from tests.conftest import Start
from tests.raw_client import CLOSE, CONTINUATION, GOODBYE, PING, TEXT, frame, frames, unmasked
from tests.tls_client import TlsClient

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

WELCOME = "WebSocket connection established"


@pytest.fixture
async def tls_server(start: Start, server_context: SSLContext) -> Server:
    """A server with TLS on both sites."""
    return await start(ssl_context=server_context)


async def test_echo_over_websocket(tls_server: Server, client_context: SSLContext) -> None:
    """Texts of any size are echoed, the largest too."""
    client = await TlsClient.connect(tls_server, "websocket", client_context)
    for text in ("hello", "x" * 65536):
        client.writer.write(frame(TEXT, text.encode()))
        await client.read_until(f'"Echo: {text}"'.encode())
    client.writer.write(frame(CLOSE, GOODBYE))
    answers = list(map(str, frames(await client.read_to_end())))
    assert answers == [WELCOME, "Echo: hello", "Echo: " + "x" * 65536, "close 1000"]
    await client.leave()


async def test_echo_over_sse(tls_server: Server, client_context: SSLContext) -> None:
    """A posted text is echoed on the stream."""
    client = await TlsClient.connect(tls_server, "sse", client_context)
    await client.read_until(b"\n\n\r\n")
    welcome = json.loads(client.received.partition(b"data: ")[2].partition(b"\n")[0])
    async with httpx.AsyncClient(base_url=tls_server.web_url, verify=client_context) as http:
        path = f"/api/messages?client={welcome['client']}"
        assert (await http.post(path, content=b"x" * 65536)).status_code == 202
    await client.read_until(b'"Echo: ' + b"x" * 65536 + b'"')
    await client.leave()
    await eventually(lambda: len(tls_server.hub) == 0)


async def test_frames_in_the_handshake_s_record(tls_server: Server, client_context: SSLContext) -> None:
    """What comes in the same TLS record as the handshake is handled; a fragmented text goes on later."""
    first = frame(TEXT, b"one") + frame(PING, b"p") + frame(TEXT, b"t", final=False)
    client = await TlsClient.connect(tls_server, "websocket", client_context, first)
    await client.read_until(b'"Echo: one"')
    client.writer.write(frame(CONTINUATION, b"wo") + frame(CLOSE, GOODBYE))
    answers = list(map(str, frames(await client.read_to_end())))
    assert answers == [WELCOME, "Echo: one", "pong p", "Echo: two", "close 1000"]
    await client.leave()


async def test_unmasked_frame_in_the_handshake_s_record_is_1002(
    tls_server: Server, client_context: SSLContext
) -> None:
    """The protocol error reaches the client, and the server closes."""
    sent = unmasked(TEXT, b"bare") + frame(CLOSE, GOODBYE)
    client = await TlsClient.connect(tls_server, "websocket", client_context, sent)
    assert list(map(str, frames(await client.read_to_end()))) == [WELCOME, "close 1002"]
    await client.leave()


async def test_second_request_in_the_record_of_an_event_stream(
    tls_server: Server, client_context: SSLContext
) -> None:
    """It is not answered, and the stream goes on."""
    more = b"GET /api/time HTTP/1.1\r\nHost: localhost\r\n\r\n"
    client = await TlsClient.connect(tls_server, "sse", client_context, more)
    await client.read_until(b"established")
    (connection,) = tls_server.hub.connections
    connection.send("test", "still there")
    await client.read_until(b"still there")
    assert client.received.count(b"HTTP/1.1") == 1
    await client.leave(by_reset=True)


async def test_server_that_stops_closes_each_transport_in_its_way(
    tls_server: Server, transport: str, client_context: SSLContext
) -> None:
    """WebSocket gets 1001, and an event stream `retry:` and the end of its body; then TCP ends."""
    client = await TlsClient.connect(tls_server, transport, client_context)
    await client.read_until(b"established")
    stopping = asyncio.ensure_future(tls_server.stop())
    if transport == "websocket":
        await client.read_until(b"\x88")  # of the close frame; all else is ASCII
        client.writer.write(frame(CLOSE, b"\x03\xe9"))
        assert list(map(str, frames(await client.read_to_end()))) == [WELCOME, "close 1001"]
    else:
        data = await client.read_to_end()
        assert b"\nretry: " in data
        assert data.endswith(b"0\r\n\r\n")
    await client.leave()
    await stopping
