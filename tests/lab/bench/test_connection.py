"""One connection of a bench worker, with and without TLS, against a raw server."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import pytest

from rtdemo.lab.bench.arrivals import Arrivals
from rtdemo.lab.bench.connection import Connection, connect, resolve
from rtdemo.lab.bench.protocol import Plan
from rtdemo.lab.bench.stamped_socket import waiting_time
from tests.raw_server import raw_server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
EVENT = b'data: {"sentAt": 1}\n\n'
Security = Literal["plain", "tls"]


@asynccontextmanager
async def opened(
    answer: bytes, monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext | None = None, **given: object
) -> AsyncIterator[tuple[Connection, bytearray]]:
    """Connect to a server that sends these bytes and ends; yield the connection and the request."""
    request = bytearray()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request.extend(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)

    async with raw_server(respond, tls) as port:
        url = f"http{'s' if tls else ''}://localhost:{port}/stream"
        plan = Plan(url, "sse", 1, 1, 0.0, {}, **given)  # type: ignore[arg-type]  # fields of a plan
        found = await connect(
            await resolve(plan.url, "sse", plan.headers, body=plan.body), Arrivals().open()
        )
        try:
            yield found, request
        finally:
            found.close()


@pytest.mark.parametrize("security", ["plain", "tls"])
async def test_the_kernel_takes_the_time_of_arrival(
    security: Security,
    server_context: ssl.SSLContext,
    client_context: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without TLS each message has the kernel's time; with TLS this process takes it."""
    monkeypatch.setattr(ssl, "create_default_context", lambda: client_context)
    tls = server_context if security == "tls" else None
    async with opened(HEAD + b"\r\n" + EVENT * 3, monkeypatch, tls) as (connection, _):
        await connection.closed
    found = connection.arrivals
    assert found.messages == 3
    assert found.stamped == (3 if security == "plain" and sys.platform == "linux" else 0)
    assert connection.is_complete
    assert connection.steps.keys() >= {"tcp", "answer", "welcome"}
    assert ("tls" in connection.steps) is (security == "tls")


@pytest.mark.parametrize(
    ("framing", "body", "is_complete"),
    [
        (b"Transfer-Encoding: chunked\r\n", b"15\r\n" + EVENT + b"\r\n0\r\n\r\n", True),
        (b"Transfer-Encoding: chunked\r\n", b"15\r\n" + EVENT + b"\r\n", False),
        (b"Content-Length: 21\r\n", EVENT, True),
        (b"Content-Length: 99\r\n", EVENT, False),
        (b"", EVENT, True),
        (b"", b": nothing\n\n", False),
    ],
)
async def test_a_response_that_is_cut_is_not_complete(
    framing: bytes, body: bytes, is_complete: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request is repeated only after a response that ended as its framing says, with a message."""
    async with opened(HEAD + framing + b"\r\n" + body, monkeypatch) as (connection, _):
        await connection.closed
    assert connection.is_complete is is_complete
    assert connection.arrivals.messages == (b"data" in body)


async def test_headers_of_the_user_replace_those_of_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that the user gives is sent once; interim responses are skipped, however many."""
    answer = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2000 + HEAD + b"\r\n" + EVENT
    headers = {"user-agent": "mine", "X-Key": "k", "content-type": "text/plain"}
    async with opened(answer, monkeypatch, headers=headers, body=b"{}") as (connection, request):
        await connection.closed
    lines = request.decode().split("\r\n")
    assert lines[0] == "POST /stream HTTP/1.1"
    names = [line.partition(":")[0].lower() for line in lines[1:] if line]
    assert len(names) == len(set(names))
    assert {"user-agent: mine", "X-Key: k", "content-type: text/plain", "Content-Length: 2"} <= {*lines}


def test_the_wait_until_reading_is_that_since_the_stamp() -> None:
    """A stamp in the future, or long ago, shows that a clock was set: it does not count."""
    now = time.time_ns()

    def ancillary(before_ns: int) -> list[tuple[int, int, bytes]]:
        seconds, nanoseconds = divmod(now - before_ns, 1_000_000_000)
        return [(socket.SOL_SOCKET, 35, struct.pack("@qq", seconds, nanoseconds))]

    waited = waiting_time(ancillary(2_000_000_000))
    assert waited is not None
    assert 2_000 <= waited < 60_000
    for wrong in (ancillary(-(10**12)), ancillary(10**12), [], [(1, 2, b"x")]):
        assert waiting_time(wrong) is None


async def test_redirect_names_where_it_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The query of the address is left out: it may have a secret."""
    answer = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: rt/?token=x\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(ConnectionError, match=r"^redirects to rt/$"):
        async with opened(answer, monkeypatch):
            pass


async def test_head_that_comes_after_the_time_for_opening_is_ignored() -> None:
    """Its bytes may be read in the same turn of the loop in which the wait for them ends."""
    late = Connection("sse", Arrivals().open())
    late.opened.cancel()
    late.received(HEAD + b"\r\n" + EVENT, 0.0, is_stamped=False)
    assert late.arrivals.messages == 0
    assert not late.welcomed.done()
