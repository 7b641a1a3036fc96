"""Publishing lines of JSON in the body of one request, as they arrive."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator

import httpx
import pytest

from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from rtdemo.web import publish_lines
from tests.conftest import Connect, Start
from tests.raw_client import RawClient
from tests.system_packages import CURL, require

TYPE = {"Content-Type": "application/x-ndjson"}


async def post(server: Server, body: bytes | AsyncIterator[bytes], **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.web_url, timeout=20) as http:
        return await http.post("/api/publish", content=body, headers=headers or TYPE)


async def test_each_line_is_published(server: Server, connect: Connect) -> None:
    """In order, with text, value or both; empty lines are nothing, and the last needs no line end."""
    peer = await connect(server, "sse")
    lines = (
        b'{"value": 1.5, "producer": "loss"}\r\n\n{"message": "a"}\n'
        b'{"message": "b", "value": {"c": null}}'
    )
    answer = await post(server, lines)
    got = [await peer.receive() for _ in range(3)]
    assert answer.json() == {"published": 3, "last": got[-1]["id"]}
    assert [(m["producer"], m["message"], m.get("value", "none")) for m in got] == [
        ("loss", "1.5", 1.5),
        ("publish", "a", "none"),
        ("publish", "b", {"c": None}),
    ]


async def test_lines_are_published_before_the_body_ends(server: Server, connect: Connect) -> None:
    """A body may last for days: each line is live at once, wherever the network splits it."""
    peer = await connect(server, "sse")
    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    async def body() -> AsyncIterator[bytes]:
        while piece := await pieces.get():
            yield piece

    request = asyncio.ensure_future(post(server, body()))
    for piece in (b'{"mess', b'age": "one"}\n{"message"', b': "two"}\n'):
        pieces.put_nowait(piece)
    assert [(await peer.receive())["message"] for _ in range(2)] == ["one", "two"]
    assert not request.done()
    pieces.put_nowait(b"")
    assert (await request).json()["published"] == 2


async def test_thousands_of_lines_in_a_chunk_each_arrive_with_the_head(server: Server) -> None:
    """A publisher sends each line at once, and a busy server reads them all in one go."""
    line = b'{"value":1}\n'
    body = (b"%x\r\n%b\r\n" % (len(line), line)) * 10_000 + b"0\r\n\r\n"
    head = (
        b"POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    client = await RawClient(server, "sse").connect()
    await client.send(head + body)
    await client.read_until(b'{"published":10000,')
    client.leave()


async def test_body_may_be_long_and_slow(start: Start, clock: VirtualClock) -> None:
    """Over the limits of other bodies in size, framing and time."""
    server = await start(publications_per_address=0.0)
    line = b'{"message": "' + b"x" * 2000 + b'"}\n'

    async def body() -> AsyncIterator[bytes]:
        for number in range(1000):
            yield line
            if number == 500:
                clock.advance(60)

    assert (await post(server, body())).json()["published"] == 1000


async def test_line_that_is_refused_changes_nothing_for_the_others(server: Server) -> None:
    """The answer counts them, and names the first with its reason."""
    big = json.dumps({"message": "x" * 70_000}).encode()
    lines = [b'{"message": "a"}', b"nonsense", big, b'{"producer": "x"}', b'{"message": "b"}']
    answer = await post(server, b"\n".join(lines))
    assert answer.status_code == 400
    assert answer.text.startswith("2 lines were published, 3 refused; line 2: JSON is malformed")
    assert answer.text.count("\n") == 1
    assert server.hub.engine.log.last.offset == 2


@pytest.mark.parametrize(
    ("junk", "status", "words"),
    [
        (
            b"x" * (publish_lines.MAX_LINE_BYTES + 1),
            413,
            "line 2 has over 131072 bytes; 1 lines were published",
        ),
        (b"x\n" * 5000, 400, "1 lines were published, 1000 refused; line 2"),
    ],
)
async def test_body_that_is_no_lines_is_not_read_for_ever(
    server: Server, junk: bytes, status: int, words: str
) -> None:
    """What was published before stays; the answer says so."""
    answer = await post(server, b'{"message": "a"}\n' + junk)
    assert (answer.status_code, server.hub.engine.log.last.offset) == (status, 1)
    assert words in answer.text


async def test_rate_limit_slows_the_client_down(start: Start, clock: VirtualClock) -> None:
    """Nothing is refused: the server reads on when the rate allows it."""
    server = await start(publications_per_address=1.0, trusted_proxies="1", publish_token="s3cret")
    headers = {**TYPE, "X-Forwarded-For": "10.0.0.1", "Authorization": "Bearer s3cret"}
    request = asyncio.ensure_future(post(server, b'{"message": "a"}\n' * 2000, **headers))
    while not request.done():
        clock.advance(1)
        await asyncio.sleep(0.01)
    assert request.result().json()["published"] == 2000


async def test_shutdown_ends_a_body_that_lasts(server: Server) -> None:
    """The answer says how many lines were published."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.web_url.rpartition(":")[2]))
    writer.write(
        b"POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
        b'Transfer-Encoding: chunked\r\n\r\n11\r\n{"message": "a"}\n\r\n'
    )
    while not server.hub.engine.log.last.offset:
        await asyncio.sleep(0.01)
    server.hub.refusing = True
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"1 lines were published, send the rest again" in answer


async def test_curl_uploads_its_standard_input(server: Server) -> None:
    """`curl -T -` sends PUT in chunks, without a content type."""
    command = [require(CURL), "-sS", "-T", "-", f"{server.web_url}/api/publish"]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    output, _ = await process.communicate(b'{"value": 1}\n{"value": 2}\n')
    assert json.loads(output)["published"] == 2


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"X-Forwarded-For": "10.0.0.1"}, 403), ({"Origin": "https://evil.example"}, 403)],
)
async def test_lines_need_the_same_rights(server: Server, headers: dict[str, str], status: int) -> None:
    """As any publication; nothing of the body is published."""
    assert (await post(server, b'{"message": "a"}\n', **TYPE, **headers)).status_code == status
    assert server.hub.engine.log.last.offset == 0
