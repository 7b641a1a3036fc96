"""Peers that disappear: from some time on, nothing of what either side sends arrives."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from rtdemo.protocol.close_reasons import Reason
from rtdemo.server.server import Server
from rtdemo.web.sse import BEATS
from tests.clients import eventually
from tests.conftest import Start
from tests.faults.test_faults import reasons
from tests.raw_client import request, turns
from tests.tcp_proxy import TcpProxy

__all__ = ["reasons"]


@pytest.fixture
async def proxies() -> AsyncIterator[list[TcpProxy]]:
    found: list[TcpProxy] = []
    yield found
    for proxy in found:
        await proxy.close()


async def connect_through(proxies: list[TcpProxy], server: Server, transport: str) -> socket.socket:
    url = urlsplit(server.websocket_url if transport == "websocket" else server.web_url)
    assert url.port
    proxy = TcpProxy(url.port)
    await proxy.start()
    proxies.append(proxy)
    loop, sock = asyncio.get_running_loop(), socket.socket()
    sock.setblocking(False)
    await loop.sock_connect(sock, ("127.0.0.1", proxy.port))
    await loop.sock_sendall(sock, request(server, transport))
    seen = b""
    while b"established" not in seen:
        seen += await loop.sock_recv(sock, 4096)
    return sock


@pytest.mark.parametrize("count", range(6))
async def test_client_that_connects_as_its_proxy_closes_is_cut(server: Server, count: int) -> None:
    """However far it has come; else it would stay open, and fail a later test."""
    proxy = TcpProxy(urlsplit(server.web_url).port or 0)
    await proxy.start()
    loop, client = asyncio.get_running_loop(), socket.socket()
    client.setblocking(False)
    await loop.sock_connect(client, ("127.0.0.1", proxy.port))
    await turns(count)
    await proxy.close()
    async with asyncio.timeout(30):
        with suppress(ConnectionResetError):
            assert await loop.sock_recv(client, 1) == b""
    client.close()


async def test_websocket_ends_within_two_heartbeats_of_silence(
    start: Start, reasons: list[Reason | None], proxies: list[TcpProxy]
) -> None:
    """The first ping that is not answered ends it; the connection itself seems to be open."""
    server = await start(heartbeat=600)  # the test makes the beats
    client = await connect_through(proxies, server, "websocket")
    (connection,) = server.hub.connections
    beats = 0
    beat = connection._outbox.beat  # type: ignore[attr-defined]  # it is the protocol too
    proxies[0].swallow()
    while not reasons:
        before = proxies[0].swallowed
        beat()
        await eventually(lambda: proxies[0].swallowed > before or bool(reasons))  # noqa: B023 - awaited here
        beats += 1
    assert reasons == [Reason.CONNECTION_LOST]
    assert beats == 2
    assert len(server.hub) == 0
    client.close()


async def test_stream_gets_a_heartbeat_that_has_to_be_acknowledged(
    start: Start, proxies: list[TcpProxy]
) -> None:
    """An event stream's client sends nothing: the kernel misses its acknowledgement of a comment.

    The proxy acknowledges; so this stream stays. See `end_unacknowledged` and its test.
    """
    server = await start(heartbeat=600)
    client = await connect_through(proxies, server, "sse")
    (connection,) = server.hub.connections
    proxies[0].swallow()
    for _ in range(2):
        before = proxies[0].swallowed
        for _ in range(BEATS):
            connection._outbox.beat()  # type: ignore[attr-defined]  # it is the protocol too
        await eventually(lambda: proxies[0].swallowed > before)  # noqa: B023 - awaited here
    assert connection.reason is None
    client.close()
