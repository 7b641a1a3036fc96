"""Connections through the proxy that the environment sets (RFC 9110 section 9.3.6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rtdemo.lab.connect import ProxyError, connect
from rtdemo.protocol import address
from tests.lab.doctor.doctor_run import examine, findings, served
from tests.raw_server import raw_server


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def forward_proxy(asked: list[str], status: str = "200 OK") -> AsyncIterator[str]:
    """Serve CONNECT and requests for whole URLs; yield the URL of the proxy."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b" ", 2)
        asked.append(f"{method.decode()} {target.decode()}")
        if not status.startswith("200"):
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        authority = target.removeprefix(b"http://").partition(b"/")[0].decode()
        host, _, port = authority.rpartition(":")
        server_reader, server_writer = await asyncio.open_connection(host, int(port))
        if method == b"CONNECT":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            server_writer.write(head.replace(f"http://{authority}".encode(), b"", 1))
        tasks = [
            asyncio.ensure_future(pump(reader, server_writer)),
            asyncio.ensure_future(pump(server_reader, writer)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (writer, server_writer):
                each.transport.abort()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async with raw_server(serve) as port:
        yield f"http://127.0.0.1:{port}"


# Alone: on a busy machine events seem to come in clumps, and then doctor judges no latency.
@pytest.mark.alone
async def test_doctor_goes_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, and the finding about TCP reports the proxy."""
    asked: list[str] = []
    async with served(often=True) as server, forward_proxy(asked) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "")
        found = findings(await examine(server.web_url, idle=1))
    assert "through the proxy 127.0.0.1" in found["TCP"].seen
    verdicts = {result.verdict for result in found.values() if "idle" not in result.check}
    is_busy = any("this machine is too busy" in result.seen for result in found.values())
    assert verdicts == {"ok"} or (is_busy and verdicts == {"ok", "skip"}), found
    authority = server.web_url.removeprefix("http://")
    assert f"CONNECT {authority}" in asked
    assert f"GET http://{authority}/api/probe/request" in asked


@pytest.mark.parametrize(
    ("status", "words"), [("407 Proxy Authentication Required", "answers 407 to CONNECT")]
)
async def test_proxy_that_refuses(monkeypatch: pytest.MonkeyPatch, status: str, words: str) -> None:
    """The error names the proxy and its answer."""
    async with forward_proxy([], status) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(ProxyError, match=words):
            await connect(address.parse("http://server.invalid"), asyncio.Protocol, None)


async def test_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names in NO_PROXY are connected to directly."""
    asked: list[str] = []
    async with served() as server, forward_proxy(asked) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        transport, _ = await connect(address.parse(server.web_url), asyncio.Protocol, None)
        transport.abort()
    assert asked == []
