"""One request and its answer: how the end of a body is noticed."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from rtdemo.lab.doctor.context import Context
from rtdemo.lab.doctor.exchange import request
from rtdemo.protocol import address
from tests.raw_server import raw_server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"9\r\ndata: a\n\n\r\n"


@pytest.mark.parametrize("last", [b"\r\n1\r\n", b"", b"5\r\nab"])
async def test_stream_that_is_cut_is_no_silence(last: bytes) -> None:
    """h2o ends a stream with a malformed chunk, of which aiohttp reports nothing."""
    has_begun = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + CHUNK)
        await has_begun.wait()
        writer.write(last)

    async with raw_server(serve) as port:
        context = Context(address.parse(f"http://127.0.0.1:{port}"), idle=1)
        received = b""
        async with (
            context.open_session() as context.http,
            asyncio.timeout(30),
            request(context, "/api/sse") as answer,
        ):
            assert answer.status == 200
            with pytest.raises((aiohttp.ClientError, ConnectionError)):
                async for chunk in answer.chunks():
                    received += chunk.data
                    has_begun.set()
    assert received.startswith(b"data: a\n\n")
