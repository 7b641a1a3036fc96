"""One request and its answer: how the end of a body is noticed, and what is decoded."""

from __future__ import annotations

import asyncio
import gzip

import aiohttp
import pytest

from rtdemo.lab.doctor.context import Context
from rtdemo.lab.doctor.errors import StreamError
from rtdemo.lab.doctor.exchange import Decoder, request
from rtdemo.protocol import address

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
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        context = Context(address.parse(url), idle=1)
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


def test_codings() -> None:
    """Gzip and deflate are decoded piece by piece; others are reported as unknown."""
    packed = gzip.compress(b"data: a\n\n" * 100)
    decoder = Decoder("GZIP")
    assert b"".join(decoder.decode(packed[at : at + 7]) for at in range(0, len(packed), 7)) == (
        b"data: a\n\n" * 100
    )
    assert [Decoder(coding).is_known for coding in ("", "identity", "deflate", "br", "zstd")] == [
        *(True, True, True, False, False)
    ]
    with pytest.raises(StreamError, match="not gzip"):
        Decoder("gzip").decode(b"no gzip")
