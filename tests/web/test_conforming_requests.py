"""Answers to requests for a stream that the client could not read, or that is no handshake."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from rtdemo.server.server import Server
from rtdemo.web.accept import accepts, content_coding
from tests.conftest import Start
from tests.faults.test_attacks import raw_request
from tests.faults.test_faults import UPGRADE
from tests.raw_client import RawClient


def port_of(url: str) -> int:
    return int(url.rstrip("/").rpartition(":")[2])


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ([], True),
        ([""], True),
        (["*/*"], True),
        (["text/*"], True),
        (["Text/Event-Stream"], True),
        (["text/event-stream; charset=utf-8; q=0.5"], True),
        (["application/json, text/event-stream;q=0.001"], True),
        (["application/json", "text/event-stream"], True),
        (["*/*;q=0, text/event-stream"], True),
        (["application/json"], False),
        (["text/html,application/xhtml+xml"], False),
        (["text/event-stream;q=0"], False),
        (["*/*, text/event-stream;q=0.000"], False),
        (["*/*, text/*;Q=0.0"], False),
        (["*/*;q=0"], False),
    ],
)
def test_most_specific_range_decides(accept: list[str], expected: bool) -> None:
    """RFC 9110 section 12.5.1; no Accept header, or an empty one, excludes nothing."""
    headers = CIMultiDict([("Accept", value) for value in accept])
    request = make_mocked_request("GET", "/", headers)
    assert accepts(request, "text/event-stream") is expected


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        ([], "identity"),
        ([""], "identity"),
        (["br"], "identity"),
        (["identity"], "identity"),
        (["gzip"], "gzip"),
        (["X-GZIP"], "gzip"),
        (["gzip, deflate, br, zstd"], "gzip"),
        (["br", "gzip"], "gzip"),
        (["*"], "gzip"),
        (["br;q=1.0, gzip;q=0.8, *;q=0.1"], "gzip"),
        (["gzip;q=0.001, identity;q=0"], "gzip"),
        (["gzip;q=0.5, identity"], "identity"),
        (["gzip;q=0"], "identity"),
        (["gzip;q=0, *"], "identity"),
        (["*;q=0, identity"], "identity"),
        (["gzip ; Q=0.000"], "identity"),
        (["gzip;q=much"], "gzip"),
        (["identity;q=0"], None),
        (["*;q=0"], None),
        (["br, *;q=0"], None),
        (["gzip;q=0, identity;q=0"], None),
    ],
)
def test_client_chooses_the_content_coding(accept_encoding: list[str], expected: str | None) -> None:
    """RFC 9110 section 12.5.3; None where the client excludes whatever there is."""
    headers = CIMultiDict([("Accept-Encoding", value) for value in accept_encoding])
    assert content_coding(make_mocked_request("GET", "/", headers)) == expected


async def test_stream_that_the_client_excludes_is_406(server: Server) -> None:
    """One line names the media type; a browser's EventSource, and curl, get the stream."""
    head = "GET /api/sse HTTP/1.1\r\nHost: localhost\r\n"
    answer = await raw_request(port_of(server.web_url), head + "Accept: application/json\r\n\r\n")
    assert answer.startswith("HTTP/1.1 406 ")
    assert answer.rpartition("\r\n")[2].count("\n") == 1
    assert "text/event-stream" in answer
    for accept in ("text/event-stream", "*/*"):
        answer = await raw_request(port_of(server.web_url), head + f"Accept: {accept}\r\n\r\n")
        assert answer.startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize("asked", ["close", "keep-alive"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_stream_announces_the_end_of_its_connection(
    server: Server, version: str, asked: str
) -> None:
    """No client sends its next request on a connection that ends (RFC 9112 section 9.6)."""
    client = await RawClient(server, "sse").connect()
    head = f"GET /api/sse HTTP/{version}\r\nHost: localhost\r\nConnection: {asked}\r\n\r\n"
    await client.send(head.encode())
    await client.read_until(b"SSE connection established")
    lines = client.received.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
    assert [line for line in lines if line.startswith(b"connection:")] == [b"connection: close"]
    client.leave()


async def test_head_of_a_stream_ends_at_once(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """With the fields of GET and no content (RFC 9110 section 9.3.2). Bad parameters are refused."""
    port = port_of(server.web_url)
    answer = await raw_request(port, "HEAD /api/sse HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head, _, content = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 ")
    assert {"Content-Type: text/event-stream", "Connection: close"} <= set(head.split("\r\n"))
    assert content == ""
    assert len(server.hub) == 0
    assert caplog.records == []
    answer = await raw_request(port, "HEAD /api/sse?speed=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.startswith("HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("CONFORM /api/sse HTTP/1.1", 405),
        ("get /api/sse HTTP/1.1", 405),
        ("CONFORM", 400),
        ("GET /a b HTTP/1.1", 400),
        ("\x16\x03\x01", 400),
    ],
)
async def test_unknown_method_is_405(server: Server, line: str, status: int) -> None:
    """With those that are allowed (RFC 9110 section 15.5.6); what is no request line at all is 400."""
    answer = await raw_request(port_of(server.web_url), f"{line}\r\nHost: localhost\r\n\r\n")
    assert int(answer.split(" ", 2)[1]) == status, answer
    assert ("\r\nAllow: GET, HEAD, POST\r\n" in answer) is (status == 405)


HANDSHAKES = {
    "HTTP/1.0": ("1.0", UPGRADE, 400, "needs HTTP/1.1"),
    "HTTP/1.0 without an upgrade": ("1.0", "", 426, "only WebSocket"),
    "two keys": ("1.1", UPGRADE + "Sec-WebSocket-Key: BBBBBBBBBBBBBBBBBBBBBA==\r\n", 400, "-Key"),
    "two equal keys": ("1.1", UPGRADE + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", 400, "-Key"),
    "no key": ("1.1", UPGRADE.replace("Key", "Kex"), 400, "Sec-WebSocket-Key"),
    "a key with other characters": ("1.1", UPGRADE.replace("AAAA", "A*A!AA", 1), 400, "Base64"),
    "a key of 15 bytes": ("1.1", UPGRADE.replace("AAAAAAAA==", "AAAAAAAA", 1), 400, "16 bytes"),
    "two versions": ("1.1", UPGRADE + "Sec-WebSocket-Version: 8\r\n", 426, "version 13"),
}


@pytest.mark.parametrize("name", HANDSHAKES)
@pytest.mark.parametrize("site", ["web", "websocket"])
async def test_handshake_that_is_none_is_refused(server: Server, site: str, name: str) -> None:
    """RFC 6455 section 4.2.1: one line instead of the upgrade, on both addresses."""
    version, headers, status, words = HANDSHAKES[name]
    path, url = ("/ws", server.web_url) if site == "web" else ("/", server.websocket_url)
    sent = f"GET {path} HTTP/{version}\r\nHost: localhost\r\n{headers}\r\n"
    answer = await raw_request(port_of(url), sent)
    assert int(answer.split(" ", 2)[1]) == status, answer
    assert words in answer.rpartition("\r\n")[2]
    assert len(server.hub) == 0


@pytest.mark.parametrize(
    ("settings", "path", "where"),
    [
        ({"single_site": True}, "/", "/ws"),
        ({}, "/", "/ws"),
        ({}, "/view", "/ws"),
        ({}, "/chat", "/ws"),
        ({"base_path": "/rt"}, "/rt/", "/rt/ws"),
        ({"base_path": "/rt"}, "/rt", "/rt/ws"),
    ],
)
async def test_handshake_at_a_path_of_the_web_site_names_that_of_the_websocket(
    start: Start, settings: dict[str, Any], path: str, where: str
) -> None:
    """Instead of sending the page. A proxy may add `Upgrade` to a request for the page."""
    server = await start(**settings)
    port = urlsplit(server.web_url).port or 0
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
    answer = await raw_request(port, f"{head}{UPGRADE}\r\n")
    assert answer.startswith("HTTP/1.1 404 ")
    assert answer.endswith(f"\r\n\r\nthere is no WebSocket at this path; the WebSocket is at {where}\n")
    by_proxy = await raw_request(port, f"{head}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    without = await raw_request(port, f"{head}\r\n")
    assert by_proxy.split("\r\n")[0] == without.split("\r\n")[0]
    assert "no WebSocket" not in by_proxy


async def test_handshake_by_post_is_405(server: Server) -> None:
    """The answer names the method that is allowed, on both addresses."""
    for path, url in (("/ws", server.web_url), ("/", server.websocket_url)):
        sent = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{UPGRADE}\r\n"
        answer = await raw_request(port_of(url), sent)
        assert answer.startswith("HTTP/1.1 405 ")
        assert "Allow: GET" in answer


@pytest.mark.parametrize("path", ["/ws", "/ws?probe="])
@pytest.mark.parametrize(
    "body",
    [
        "Content-Length: 7\r\n\r\n\x01\x02\x03abcd",
        "Content-Length: 7\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "Transfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_handshake_with_a_body_is_400(server: Server, path: str, body: str) -> None:
    """Its bytes were read as frames, or a proxy and this server could disagree about where it ends."""
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}"
    client = await RawClient(server, "sse").connect()
    await client.send(f"{head}{body}".encode())
    await client.read_until(b"has no body; send it without one\n")
    assert client.received.startswith(b"HTTP/1.1 400 ")
    client.leave()
    empty = await raw_request(port_of(server.web_url), f"{head}Content-Length: 0\r\n\r\n")
    assert empty.startswith("HTTP/1.1 101 ")


@pytest.mark.parametrize("line", ["GET /api/time HTTP/2.0", "GET /api/time HTTP/0.9", "GET /api/time"])
async def test_other_version_of_http_is_400(server: Server, line: str) -> None:
    """The parser takes them; the answer began with HTTP/2.0, which has no such form."""
    answer = await raw_request(port_of(server.web_url), f"{line}\r\nHost: localhost\r\n\r\n")
    assert answer.startswith("HTTP/1.1 400 ")
    assert "send HTTP/1.1\n" in answer
