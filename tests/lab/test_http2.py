"""The HTTP/2 client, on real servers: nginx, HAProxy, and one that breaks the protocol."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rtdemo.lab import http2
from rtdemo.lab.doctor.context import Context
from rtdemo.lab.doctor.websocket_client import open_socket
from rtdemo.lab.http2_exchange import Exchange, Http2Error, ResetError
from rtdemo.protocol import address
from tests.cluster.process import Process
from tests.free_port import free_port
from tests.lab.doctor.doctor_run import served
from tests.lab.doctor.test_network import behind_tls, certify, port_of
from tests.raw_server import raw_server
from tests.system_packages import HAPROXY, require

HAPROXY_CONFIGURATION = """
defaults
    mode http
    timeout connect 3s
    timeout client 60s
    timeout server 60s
frontend web
    bind 127.0.0.1:{port} ssl crt {certificate} alpn h2,http/1.1
    default_backend rtdemo
backend rtdemo
    server one 127.0.0.1:{server}
"""


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@asynccontextmanager
async def behind_haproxy(folder: Path, server: int) -> AsyncIterator[str]:
    """Run HAProxy with TLS and HTTP/2 in front of a server; yield its URL."""
    await certify(folder, datetime.now(UTC) + timedelta(days=30))
    pem = folder / "both.pem"
    pem.write_text((folder / "certificate.pem").read_text() + (folder / "key.pem").read_text())
    port, config = free_port(), folder / "haproxy.cfg"
    config.write_text(HAPROXY_CONFIGURATION.format(port=port, certificate=pem, server=server))
    process = Process([require(HAPROXY), "-db", "-f", str(config)], port, folder / "log", scheme="https")
    await process.start()
    try:
        yield f"https://127.0.0.1:{port}"
    finally:
        await process.stop()


async def body(exchange: Exchange) -> bytes:
    return b"".join([chunk.data async for chunk in exchange])


async def test_exchanges_of_one_connection(tmp_path: Path) -> None:
    """A stream arrives piece by piece while other requests, with a large body too, are answered."""
    async with (
        served() as server,
        behind_tls(tmp_path, port_of(server.web_url)) as url,
        http2.connect(address.parse(url), unverified()) as connection,
    ):
        assert connection.max_streams == 128
        path = "/api/sse?probe=100,65536&silence=1"
        async with connection.request("GET", path, {"Accept": "text/event-stream"}) as stream:
            head = await stream.head()
            assert (head.status, dict(head.headers)["content-type"]) == (200, "text/event-stream")
            async with connection.request("GET", "/api/time") as other:
                assert b'"now"' in await body(other)
            large = b"x" * 60_000
            path = "/api/messages?client=nobody"
            async with connection.request("POST", path, body=large) as post:
                assert (await post.head()).status == 404
            chunks = [chunk async for chunk in stream]
        # Not all at once at the end of three seconds: the first may be late on a busy machine.
        assert chunks[-1].at - chunks[0].at > 1000
        assert sum(len(chunk.data) for chunk in chunks) > 65_536
        async with connection.request("GET", "/nothing") as missing:
            assert (await missing.head()).status == 404


async def test_websocket_over_http2(tmp_path: Path) -> None:
    """HAProxy offers extended CONNECT (RFC 8441), and browsers use it then."""
    async with served() as server, behind_haproxy(tmp_path, port_of(server.web_url)) as url:
        context = Context(address.parse(url), idle=1, trusted=False)
        async with context.open_session() as context.http:
            async with http2.connect(context.address, context.tls_parameters()) as connection:
                assert connection.offers_websocket
            async with open_socket(context, context.probe("websocket", "", 60), version="2") as socket:
                assert socket.answer.status == 200
                await socket.send("x" * 65_536)
                while "x" * 65_536 not in (await socket.receive()).text:
                    pass


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "answers with HTTP/1.1"),
        (b"\x00" * 9, "breaks HTTP/2"),
        (b"\xff" * 100, "was cut"),
        (b"", "was cut"),
    ],
)
async def test_server_that_breaks_the_protocol(answer: bytes, words: str) -> None:
    """The error has a few words, and no exception of a library leaves the client."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with raw_server(serve) as port:
        given = address.parse(f"http://127.0.0.1:{port}")
        with pytest.raises(Http2Error, match=words):
            async with http2.connect(given, None):
                pass


async def test_goaway_and_reset_are_visible() -> None:
    """Each ends the exchanges that it concerns, with the name of its code."""
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    reset = b"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x07"
    goaway = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0b"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(settings)
        data = b""
        while data.count(b"\x01\x05\x00\x00\x00") < 2:  # HEADERS with END_STREAM and END_HEADERS
            data += await reader.read(4096)
        writer.write(reset + goaway)
        await reader.read()

    async with raw_server(serve) as port:
        given = address.parse(f"http://127.0.0.1:{port}")
        async with http2.connect(given, None) as connection:
            async with (
                connection.request("GET", "/a") as first,
                connection.request("GET", "/b") as second,
            ):
                with pytest.raises(ResetError, match="REFUSED_STREAM"):
                    await first.head()
                with pytest.raises(Http2Error, match="ENHANCE_YOUR_CALM"):
                    await second.head()
            with pytest.raises(Http2Error, match="no further request"):
                async with connection.request("GET", "/c"):
                    pass


@pytest.mark.parametrize("size", [1, 1000])
async def test_exchanges_go_on_after_goaway(size: int) -> None:
    """Nginx sends it after `keepalive_requests` and at a reload, and ends no stream by it."""
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    head = b"\x00\x00\x01\x01\x04\x00\x00\x00\x01\x88"  # :status 200
    goaway = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"
    data = b"\x00\x00\x04\x00%b\x00\x00\x00\x01data"
    sent = head + goaway + data % b"\x00" + goaway + data % b"\x01"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(settings)
        received = b""
        while b"\x01\x05\x00\x00\x00" not in received:
            received += await reader.read(4096)
        for at in range(0, len(sent), size):
            writer.write(sent[at : at + size])
            await writer.drain()
        await reader.read()

    async with raw_server(serve) as port:
        given = address.parse(f"http://127.0.0.1:{port}")
        async with http2.connect(given, None) as connection:
            async with connection.request("GET", "/a") as exchange:
                assert (await exchange.head()).status == 200
                assert await body(exchange) == b"datadata"
            assert not connection.takes_requests
