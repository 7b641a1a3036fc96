"""A request of a few KiB costs no more than others: what would take long to read is refused or cut."""

from __future__ import annotations

import json

import pytest
from aiohttp import hdrs

from rtdemo.server.server import Server
from rtdemo.web import accept, compression
from rtdemo.web.representation import MAX_TAGS_CHARACTERS
from rtdemo.web.request_parser import MAX_FRAMING_BYTES, MAX_PARAMETERS, MAX_PATH_PARTS
from tests.conftest import Start
from tests.raw_client import RawClient, request


async def answer(server: Server, target: str, *headers: str, body: bytes = b"") -> bytes:
    """Return the answer to a request on a connection of its own, up to the end of its head."""
    client = await RawClient(server, "sse").connect()
    method = "POST" if body else "GET"
    head = "\r\n".join((f"{method} {target} HTTP/1.1", "Host: localhost", *headers))
    await client.send(head.encode() + b"\r\n\r\n" + body)
    await client.read_until(b"\r\n\r\n")
    client.leave()
    return client.received


@pytest.mark.parametrize("part", ["/", "/a"])
async def test_path_of_many_slashes_is_refused_before_the_router_looks_them_up(
    server: Server, part: str
) -> None:
    """32,000 slashes blocked the loop for 184 ms."""
    assert (await answer(server, part * MAX_PATH_PARTS)).startswith(b"HTTP/1.1 404 ")
    refused = await answer(server, part * (MAX_PATH_PARTS + 1))
    assert refused.startswith(b"HTTP/1.1 414 ")
    assert server.hub.refused == {"target_size": 1}


async def test_slashes_in_a_query_are_no_parts_of_the_path(server: Server) -> None:
    """A query may have URLs."""
    assert (await answer(server, "/api/time?x=" + "/" * 1000)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("path", ["/api/sse", "/api/time"])
async def test_query_of_many_parameters_is_refused(server: Server, path: str) -> None:
    """A stream keeps its query: 6,500 parameters took 215 KiB for each stream."""
    few = "&".join(f"{number}=" for number in range(MAX_PARAMETERS))
    assert (await answer(server, f"{path}?{few}")).startswith(b"HTTP/1.1 200 ")
    assert (await answer(server, f"{path}?{few}&x")).startswith(b"HTTP/1.1 414 ")


async def test_accept_of_many_ranges_is_read_in_part(server: Server) -> None:
    """What follows 1,000 characters does not count: 31,000 ranges took 50 ms."""
    ranges = "a/b," * (accept.MAX_CHARACTERS // 4)
    assert (await answer(server, "/api/sse", f"Accept: {ranges}*/*")).startswith(b"HTTP/1.1 406 ")
    assert (await answer(server, "/api/sse", f"Accept: */*,{ranges}")).startswith(b"HTTP/1.1 200 ")


async def test_long_list_of_entity_tags_is_refused(server: Server) -> None:
    """8,000 tags took 19 ms."""
    path, tags = "/static/app.js", '"a",' * (MAX_TAGS_CHARACTERS // 4)
    for header in (hdrs.IF_MATCH, hdrs.IF_NONE_MATCH):
        many = await answer(server, path, f'{header}: {tags}"a"')
        assert many.startswith(b"HTTP/1.1 400 "), header
    short = await answer(server, path, f"If-None-Match: {tags[:-1]}")
    assert short.startswith(b"HTTP/1.1 200 ")


async def test_long_list_of_extensions_is_refused(start: Start) -> None:
    """31,000 offers took 95 ms. Without --compress nobody reads them."""
    for compress, status in ((True, b"400"), (False, b"101")):
        server = await start(compress=compress)
        client = await RawClient(server, "websocket").connect()
        offers = "a, " * (compression.MAX_OFFER_CHARACTERS // 3) + "permessage-deflate"
        handshake = request(server, "websocket").removesuffix(b"\r\n")
        await client.send(handshake + f"Sec-WebSocket-Extensions: {offers}\r\n\r\n".encode())
        await client.read_until(b"\r\n\r\n")
        assert client.received.split(b" ")[1] == status
        client.leave()


@pytest.mark.parametrize(
    "framing",
    [
        b"1\r\nx\r\n" * (MAX_FRAMING_BYTES // 5 + 1000),
        b"1;" + b"e" * (MAX_FRAMING_BYTES + 5000) + b"\r\nx\r\n",
        b"0\r\n" + (b"Trailer: " + b"t" * 1000 + b"\r\n") * (MAX_FRAMING_BYTES // 1000 + 5),
    ],
    ids=["tiny chunks", "extension", "trailers"],
)
async def test_chunked_body_that_is_mostly_framing_is_refused(server: Server, framing: bytes) -> None:
    """1 MiB of chunks of a byte took 260 ms, and 1 MiB of trailers kept 1.9 MiB for 30 s."""
    client = await RawClient(server, "sse").connect()
    head = b"POST /api/publish HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    await client.send(head + framing)
    assert b"HTTP/1.1 413 " in await client.read_to_end()
    assert server.hub.refused["body_size"] == 1
    client.leave()


async def test_chunks_of_usual_size_are_read_to_the_limit_of_the_body(server: Server) -> None:
    """A message of 60 KiB in chunks of 100 bytes is published."""
    body = json.dumps({"message": "x" * 60_000}).encode()
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(body[at : at + 100]), body[at : at + 100])
        for at in range(0, len(body), 100)
    )
    header = "Transfer-Encoding: chunked"
    published = await answer(server, "/api/publish", header, body=chunks + b"0\r\nDigest: x\r\n\r\n")
    assert published.startswith(b"HTTP/1.1 200 ")
