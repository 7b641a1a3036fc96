"""What every answer has: headers that protect its reader, no banner, and for an error one short line."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
import pytest

from rtdemo.server.server import Server
from rtdemo.web.answers import MAX_LINE_BYTES, one_line
from tests.conftest import Start
from tests.raw_client import RawClient, request

POLICY = "Content-Security-Policy"
SHORT = "default-src 'none'; frame-ancestors 'none'"


PATHS = [
    *("/api/time", "/api/stats", "/healthz", "/metrics", "/static/app.js"),
    *("/nowhere", "/ws", "/api/sse?speed=0"),
]


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_has_a_policy_and_no_banner(server: Server, path: str) -> None:
    """Data and errors run nothing, and do not name the server's software."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.get(path)
    assert answer.headers[POLICY] == SHORT
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in answer.headers


async def test_answer_that_opens_a_stream_has_a_policy_and_no_banner(
    server: Server, transport: str
) -> None:
    """Its head is sent past aiohttp, too."""
    client = await RawClient(server, transport).connect()
    await client.send(request(server, transport))
    await client.read_until(b"\r\n\r\n")
    head = client.received.partition(b"\r\n\r\n")[0].decode() + "\r\n"
    assert f"\r\n{POLICY}: {SHORT}\r\n" in head
    assert "\r\nServer:" not in head
    client.leave(by_reset=True)


@pytest.mark.parametrize(
    ("host", "sources"),
    [
        (
            "127.0.0.1:{web}",
            "ws://127.0.0.1:{web} wss://127.0.0.1:{web} ws://127.0.0.1:{ws} wss://127.0.0.1:{ws}",
        ),
        ("example.org", "ws://example.org wss://example.org"),
        ("example.org:8443", "ws://example.org:8443 wss://example.org:8443"),
        ("[::1]:{web}", "ws: wss:"),
        ("example.org'unsafe-inline'", ""),
    ],
)
async def test_policy_of_the_page_names_its_sockets(start: Start, host: str, sources: str) -> None:
    """The page may connect to its own host only; what is no host adds nothing to the policy."""
    server = await start(host="")  # on loopback, foreign hosts would be refused
    ports = {"web": urlsplit(server.web_url).port, "ws": urlsplit(server.websocket_url).port}
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        page = await http.get("/", headers={"Host": host.format(**ports)})
    assert page.status_code == 200
    directives = [directive.strip() for directive in page.headers[POLICY].split(";")]
    assert " ".join(f"connect-src 'self' {sources}".format(**ports).split()) in directives
    assert "default-src 'self'" in directives
    assert "Server" not in page.headers


async def test_policy_of_the_page_with_a_single_site_names_one_port(start: Start) -> None:
    """The socket is at /ws of the page's own address."""
    server = await start(single_site=True)
    host = urlsplit(server.web_url).netloc.replace("localhost", "127.0.0.1")
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        page = await http.get("/", headers={"Host": host})
    assert f"connect-src 'self' ws://{host} wss://{host};" in page.headers[POLICY]


ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


@pytest.mark.parametrize(
    ("headers", "isolated"),
    [
        *(
            ({"Host": host}, True)
            for host in ("localhost:3000", "127.0.0.1", "[::1]:3000", "a.localhost")
        ),
        *(({"Host": host}, False) for host in ("example.org", "192.0.2.1:3000", "localhost.example")),
        ({"Host": "example.org", "X-Forwarded-Proto": "https"}, False),
        ({"Host": "example.org", "Sec-Fetch-Dest": "document"}, True),
    ],
    ids=str,
)
async def test_page_is_isolated_where_browsers_trust_its_origin(
    start: Start, headers: dict[str, str], isolated: bool
) -> None:
    """Elsewhere they ignore it, with an error. Behind a proxy, the browser's own header reports TLS."""
    server = await start(host="")  # on loopback, foreign hosts would be refused
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        page = await http.get("/", headers=headers)
        same = await http.get("/", headers={"If-None-Match": page.headers["ETag"], **headers})
    assert (page.status_code, same.status_code) == (200, 304)
    for answer in (page, same):
        found = {name: answer.headers[name] for name in ISOLATION if name in answer.headers}
        assert found == (ISOLATION if isolated else {})


@pytest.mark.parametrize(
    "text", ["x" * 5000, "\N{SNOWMAN}" * 5000, "\udcff" * 5000, "a\nb\x1b[2J\x00" * 900]
)
def test_line_of_an_error_is_short_and_printable(text: str) -> None:
    """Whatever a client sends, the answer stays under 1 KB and on one line."""
    line = one_line(text)
    assert len(line.encode()) <= MAX_LINE_BYTES + 1
    assert line[-1] == "\n"
    assert line[:-1].isprintable()
