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
        ("example.org; script-src *", ""),
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


STATIC = {
    "a name of 8,000 characters": ("/static/" + "x" * 8000, {}, 404),
    "a name of 200 characters in UTF-8": ("/static/" + "%C3%A9" * 200, {}, 404),
    "a folder": ("/static/connection", {}, 404),
    "a file outside": ("/static/%2e%2e/page.py", {}, 404),
    "a byte of zero": ("/static/app.js%00.css", {}, 400),
    "a range behind the end": ("/static/app.js", {"Range": "bytes=99999999-"}, 416),
    "a range that is none": ("/static/app.js", {"Range": "lines=1-2"}, 416),
    "a range backwards": ("/static/app.js", {"Range": "bytes=5-2"}, 416),
    "another version": ("/static/app.js", {"If-Match": '"x"'}, 412),
}


@pytest.mark.parametrize("name", STATIC)
async def test_static_file_that_cannot_be_sent_is_one_line(server: Server, name: str) -> None:
    """Each has its status, and a body that says what is wrong."""
    path, headers, status = STATIC[name]
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.get(path, headers=headers)
        head = await http.head(path, headers=headers)
    assert (answer.status_code, answer.text.count("\n")) == (status, 1)
    assert (head.status_code, head.text) == (status, "")
    assert len(answer.content) < 700


async def test_static_file_is_sent_whole_or_in_part(server: Server) -> None:
    """Ranges and revalidation work (RFC 9110 sections 13 and 14)."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        whole = await http.get("/static/app.js")
        part = await http.get("/static/app.js", headers={"Range": "bytes=2-5"})
        same = await http.get("/static/app.js", headers={"If-None-Match": whole.headers["ETag"]})
    assert (part.status_code, part.content) == (206, whole.content[2:6])
    assert (same.status_code, same.content) == (304, b"")
    assert "/javascript" in whole.headers["Content-Type"]


@pytest.mark.parametrize(
    "text", ["x" * 5000, "\N{SNOWMAN}" * 5000, "\udcff" * 5000, "a\nb\x1b[2J\x00" * 900]
)
def test_line_of_an_error_is_short_and_printable(text: str) -> None:
    """Whatever a client sends, the answer stays under 1 KB and on one line."""
    line = one_line(text)
    assert len(line.encode()) <= MAX_LINE_BYTES + 1
    assert line[-1] == "\n"
    assert line[:-1].isprintable()
