"""Requests as nobody should send them: each gets a sane answer, and leaves no trace in the log."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from rtdemo.server.server import Server
from tests.clients import eventually
from tests.conftest import Start
from tests.raw_client import turns

METHODS = b"GET HEAD POST PUT DELETE OPTIONS PATCH TRACE CONNECT PROPFIND".split()
WRONG_METHODS = (b"get", b"\xff", b"G\x00T", b"X" * 5000, b"")
PATHS = (
    b"/", b"/view", b"/ws", b"/api/sse", b"/api/messages", b"/api/messages?client=x", b"/api/publish",
    b"/api/ticket", b"/api/producers", b"/api/producers/message/enable", b"/api/plugins", b"/api/stats",
    b"/api/time", b"/healthz", b"/readyz", b"/metrics", b"/api/probe/request",
    b"/api/probe/connection?client=x", b"/api/sse?probe=", b"/ws?probe=", b"/static/app.js",
    b"/static/base.css", b"/static/", b"/static", b"/nowhere",
)  # fmt: skip
"""All routes, and some that are none."""
BENDINGS = (
    b"/static/" + b"x" * 8000, b"/static/" + b"%C3%A9" * 200, b"/static/..%2f..%2fserver.py",
    b"/static/%00", b"/static/app.js%00.css", b"/static/%2e%2e/%2e%2e/etc/passwd", b"//", b"*",
    b"http://[::1", b"http://x:y/", b"h:80", b"/%1b%0a2026-11-24 ERROR forged",
    b"/%1b%0aERROR%20forged", b"/%0d%0aX-Forged:%20x", b"/\xff\xfe", b"/\xc3\xa9", b"/%ff%fe", b"/%",
    b"/%zz", b"/a\x00b", b"/a\tb", b"/a b", b"/#x", b"/?" + b"&" * 3000, b"/?a=" + b"%" * 3000,
    b"/api/sse?speed=%00", b"/api/sse?speed=\xff", b"/api/sse?producers=%1b%0aERROR",
    b"/api/sse?producers=" + b"x," * 3000, b"/api/sse?last_event_id=" + b"9" * 30000,
    b"/ws?last_event_id=%ff-%00", b"/api/sse?last_event_id=a-" + b"9" * 5000,
    b"/api/producers/%1b%5b2J/enable", b"/api/messages?client=%ed%a0%80",
    b"/api/sse?probe=%D9%A1", b"/api/sse?probe=100&silence=99999999999999999999",
    b"/api/stats;x=y", b"/%2F%2F", b"/api/sse?speed=" + b"1" * 5000,
    b"/api/sse?speed=1e999&producers=,,,", b"/" + b"a/" * 10_000, b"",
)  # fmt: skip
"""Paths that are odd, wrong, or meant to be logged."""
HEADERS = (
    b"Accept", b"Accept-Encoding", b"Access-Control-Request-Method", b"Authorization", b"Connection",
    b"Content-Encoding", b"Content-Length", b"Content-Type", b"Cookie", b"Expect", b"Forwarded",
    b"Host", b"Idempotency-Key", b"If-Match", b"If-Modified-Since", b"If-None-Match", b"If-Range",
    b"Last-Event-ID", b"Origin", b"Range", b"Referer", b"TE", b"Sec-WebSocket-Extensions",
    b"Sec-WebSocket-Key", b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Version", b"Transfer-Encoding",
    b"Upgrade", b"User-Agent", b"Via", b"X-Forwarded-For", b"X-HTTP-Method-Override", b"X-Real-IP",
    b"Traceparent",
)  # fmt: skip
VALUES = (
    b"", b" ", b"\xff", b"\xed\xa0\x80", b"\xc3\xa9", b"\x80\x81\x82", b"%00", b"\x00", b"a\x00b",
    b"\x1b[2J", b"a\rb", b"a\n b", b"x" * 8000, b"x" * 33_000, b"\xff" * 8000, b"{0}{path:>300000000}",
    b"%s%n", b"'\"<script>", b"-1", b"0", b"9" * 400, b"chunked, chunked", b"gzip", b"bytes=0-",
    b"bytes=-0", b"bytes=99999999999-", b"bytes=5-2", b"bytes=0-0,2-3", b"bytes=\xff-", b"items=0-5",
    b"h:99999", b"h:x", b"[::1", b"[fe80::1%25eth0]:1", b"localhost", b"http://[x",
    b"http://localhost:1", b"null", b"Bearer \xff", b"Bearer x", b"Basic \xe9", b"websocket", b"h2c",
    b"Upgrade", b"close", b"100-continue", b"100-CONTINUE, x", b"W/\"\xff\"",
    b"Thu, 99 Foo 9999 99:99:99 GMT", b"*", b"Mon, 01 Jan 0001 00:00:00 GMT",
    b"text/event-stream;q=\xff", b"13", b"AAAAAAAAAAAAAAAAAAAAAA==", b"a=\xff; b",
)  # fmt: skip
BODIES = (
    b"", b"x", b"\xff\xfe", b"{", b'{"message": "\\ud800"}', b'{"message": 1}', b"[" * 20_000,
    b"\x00" * 100, b'{"message": "a", "producer": "\\u001b"}', b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
)  # fmt: skip
VERSIONS = (b"HTTP/1.1",) * 6 + (b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/9.9", b"HTTPS/1.1", b"")
ANSWER_TIMEOUT_S = 0.25
"""Real seconds for an answer where the request may be unfinished, or a stream."""
ANSWER_TURNS = 50
"""Turns of the loop after that, in which a busy machine can do what it had no time for."""

STATUS_LINE = re.compile(rb"HTTP/1\.1 (?=\d{3} )")
"""Where an answer begins. A line about versions of HTTP has the words, but no status."""


def requests(seed: int) -> Iterator[bytes]:
    """Yield requests without end: first whatever there is in a plain request, then mixtures."""
    draw = random.Random(seed)
    yield from systematic(draw)
    while True:
        yield mixture(draw)


def systematic(draw: random.Random) -> Iterator[bytes]:
    """Yield requests with one thing that is odd."""
    for path in (*PATHS, *BENDINGS):
        for method in METHODS[:4]:
            yield request(method, path, {}, draw.choice(BODIES))
    for value in VALUES:
        for header in draw.sample(HEADERS, 15):
            yield request(b"GET", draw.choice(PATHS), {header: value}, b"")
    for header in (b"Expect", b"Host", b"Authorization", b"Origin", b"Cookie", b"Range"):
        for value in VALUES:
            path = b"/static/app.js" if header == b"Range" else b"/api/publish"
            yield request(b"GET" if header == b"Range" else b"POST", path, {header: value}, b"{}")
    for method in (*WRONG_METHODS, *METHODS[4:]):
        for path in draw.sample(PATHS, 5):
            yield request(method, path, {}, b"")


def mixture(draw: random.Random) -> bytes:
    """Return a request with several odd things; some have bytes removed or added anywhere."""
    made = request(
        draw.choice(METHODS),
        draw.choice(PATHS + BENDINGS),
        {draw.choice(HEADERS): draw.choice(VALUES) for _ in range(draw.randint(0, 5))},
        draw.choice(BODIES),
        draw.choice(VERSIONS),
    )
    if draw.random() < 0.3:
        at = draw.randrange(len(made))
        made = made[:at] + draw.randbytes(draw.randint(0, 3)) + made[at + draw.randint(0, 3) :]
    return made


def request(
    method: bytes,
    path: bytes,
    headers: dict[bytes, bytes],
    body: bytes,
    version: bytes = b"HTTP/1.1",
) -> bytes:
    """Return a request, with the length of its body unless a header is about that."""
    given = {b"Host": b"localhost"} | headers
    if body and b"Transfer-Encoding" not in given:
        given.setdefault(b"Content-Length", str(len(body)).encode())
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in given.items())
    return method + b" " + path + b" " + version + b"\r\n" + lines + b"\r\n" + body


async def answer_to(port: int, sent: bytes) -> bytes:
    """Send a request on a connection of its own; return what comes until it ends, or for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = bytearray()

    async def read() -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                received.extend(data)
                if is_complete(bytes(received)):
                    return

    writer.write(sent)
    reading = asyncio.ensure_future(read())
    await asyncio.wait({reading}, timeout=ANSWER_TIMEOUT_S)
    if not reading.done():
        await turns(ANSWER_TURNS)
        reading.cancel()
        await asyncio.wait({reading})
    writer.transport.abort()
    return bytes(received)


def is_complete(received: bytes) -> bool:
    """Return whether an answer with a known length has arrived as a whole."""
    head, end, body = received.rpartition(b"\r\n\r\n")
    if not end or b"HTTP/1.1 1" in head[:10]:
        return False
    length = head.lower().rpartition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
    return length.isdigit() and len(body) >= int(length)


@pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
@pytest.mark.parametrize("site", ["web", "websocket"])
async def test_1700_fuzzed_requests_give_no_5xx_and_no_traceback(
    start: Start, site: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each answer fits its request; an error is one line under 1 KB, has a policy, and no banner."""
    caplog.set_level(logging.INFO)
    server = await start(publish_token="secret", admin_token="secret")
    port = urlsplit(server.web_url if site == "web" else server.websocket_url).port
    assert port
    gate = asyncio.Semaphore(60)
    statuses: Counter[int] = Counter()
    wrong: list[str] = []
    count = 1700 if site == "web" else 300

    async def check(sent: bytes) -> None:
        async with gate:
            received = await answer_to(port, sent)
        for answer in STATUS_LINE.split(received)[1:]:
            if found := what_is_wrong(answer, sent):
                wrong.append(f"{found}: {sent[:300]!r} -> {answer[:1000]!r}")
            statuses[int(answer[:3])] += 1

    drawn = requests(seed=13)
    await asyncio.gather(*(check(next(drawn)) for _ in range(count)))
    assert not wrong
    # The others are not complete: their body is shorter than they say.
    assert statuses.total() > count * 0.6
    await still_sane(server, port if site == "web" else urlsplit(server.web_url).port or 0)
    for record in caplog.records:
        assert not record.exc_info
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) < 1000


def what_is_wrong(answer: bytes, sent: bytes) -> str:
    """Return what is wrong with an answer; empty if nothing is."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head[:3])
    if status == 100:
        return ""
    if status >= 500:
        return "a server error"
    if b"\r\nServer:" in head:
        return "a banner"
    if b"\r\nContent-Security-Policy: " not in head:
        return "no policy"
    if status >= 400 and len(answer) > 1024 - len(b"HTTP/1.1 "):
        return "an error over 1 KB"
    is_line = body.count(b"\n") == 1 and body.endswith(b"\n")
    if status >= 400 and not is_line and not (sent.startswith(b"HEAD ") and not body):
        return "an error that is not one line"
    if b"\r\nContent-Encoding: gzip" in head:
        unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        body = unpacking.decompress(body) + unpacking.unused_data
    if any(part in head + b"\n" + body for part in (b"\x1b", b"\nX-Forged")):
        return "what was sent comes back raw"
    return ""


async def still_sane(server: Server, port: int) -> None:
    """Check that the server serves as before, and that no connection is left."""
    answer = await answer_to(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.endswith(b"\r\n\r\nok\n")
    await eventually(lambda: len(server.hub) == 0)
    assert server._runner is not None
    assert server._runner.server is not None
    made = server._runner.server
    await eventually(lambda: not made.connections)


async def test_path_with_control_characters_forges_no_log_line(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is logged of it is escaped, and the answer is one line."""
    caplog.set_level(logging.DEBUG)
    port = urlsplit(server.web_url).port
    assert port
    for path in (b"/%1b%0aERROR forged", b"/%1b%0aERROR%20forged", b"/\xff", b"/static/%00"):
        answer = await answer_to(port, request(b"GET", path, {}, b""))
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert answer.partition(b"\r\n\r\n")[2].count(b"\n") == 1
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("rtdemo")]
    assert ours
    assert all(message.isprintable() for message in ours)
