"""Answers that are never read, bodies that never end, and bytes after a refusal."""

from __future__ import annotations

import asyncio
import math
import re
import time

from tests.faults.attack import Figures
from tests.faults.peers import (
    connected,
    limit_send_buffer,
    rest,
    status,
    streams,
    try_to_send,
    until_read,
)
from tests.faults.target import MIB, Setup, Target
from tests.raw_client import RawClient

READERS = 10
PAGES = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 4000
"""More than the kernel's buffers hold of answers."""
RECEIVE_BUFFER_BYTES = 4096
WRITE_TIMEOUT_S, BODY_TIMEOUT_S, MARGIN_S = 40.0, 30.0, 6.0
UNSEEN_S = 2.0
"""A connection that was not seen for this time is closed."""
DRIP_S = 0.5
JUNK = b"x" * 16 * 1024
JUNK_S = 5.0
_CLIENT = re.compile(rb'"client":"([0-9a-f-]+)"')
ENDLESS = b"Host: localhost\r\nContent-Length: 99999999999\r\n"
REFUSED = {
    "too large": b"POST /api/messages?client=x HTTP/1.1\r\n" + ENDLESS,
    "no such page": b"POST /nothing HTTP/1.1\r\n" + ENDLESS,
    "not allowed": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n",
    "a stranger": b"POST /api/publish HTTP/1.1\r\nX-Forwarded-For: 203.0.113.7\r\n" + ENDLESS,
}
"""Requests that the server refuses before it has read their bodies."""


async def unread_answers(setup: Setup) -> Figures:
    """Ask for the page thousands of times on one connection, and read no answer."""
    async with setup.server() as target:
        memory = target.rss_mib()
        async with connected(target, READERS, RECEIVE_BUFFER_BYTES) as peers:
            # The server stops to read requests once an answer waits: the rest stays with the client.
            sending = [asyncio.ensure_future(try_to_send(peer, PAGES, 2)) for peer in peers]
            figures = await _until_closed(target, {peer.socket.getsockname()[1] for peer in peers})
            await asyncio.gather(*sending)
            return {**figures, "RSS": target.peak_rss_mib() - memory}


async def _until_closed(target: Target, ports: set[int]) -> Figures:
    """Wait until the server has none of the connections any more; return how many it had, and the time.

    The list of the kernel may miss a connection while others come and go, so one look does not decide.
    """
    start = last_seen = time.monotonic()
    seen: set[int] = set()
    while (now := time.monotonic()) < start + WRITE_TIMEOUT_S + MARGIN_S:
        present = ports & target.peers().keys()
        seen |= present
        if present:
            last_seen = now
        elif now - last_seen > UNSEEN_S:
            return {"connections": len(seen), "open for": last_seen - start}
        await asyncio.sleep(0.25)
    return {"connections": len(seen), "open for": math.inf}


async def slow_bodies(setup: Setup) -> Figures:
    """Send a byte of a body every half second."""
    async with setup.server() as target, streams(target, "sse", 1) as (stream,):
        while not (found := _CLIENT.search(stream.received)):
            await stream.read_more()
        paths = ["/api/publish", f"/api/messages?client={found[1].decode()}"]
        async with connected(target, len(paths)) as peers:
            pairs = zip(peers, paths, strict=True)
            ends = await asyncio.gather(*(_drip(peer, path) for peer, path in pairs))
            answers = [status(peer.received) for peer in peers]
        return {
            "first end": min(ends),
            "last end": max(ends),
            "answers other than 408": sum(answer != 408 for answer in answers),
        }


async def _drip(peer: RawClient, path: str) -> float:
    await peer.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n".encode())
    start = time.monotonic()
    reading = asyncio.ensure_future(rest(peer, BODY_TIMEOUT_S + MARGIN_S))
    while not reading.done():
        await try_to_send(peer, b" ")
        await asyncio.wait({reading}, timeout=DRIP_S)
        if peer.received:  # it has answered, whether or not it closes
            reading.cancel()
            break
    elapsed = time.monotonic() - start
    return elapsed if elapsed < BODY_TIMEOUT_S + MARGIN_S else math.inf


async def junk_after_refusal(setup: Setup) -> Figures:
    """Go on sending the body of requests that are refused."""
    async with setup.server() as target:
        cpu = target.cpu_seconds()
        sent = await asyncio.gather(*(_junk(target, head) for head in REFUSED.values()))
        return {
            "swallowed": max(sent) / MIB,
            "CPU": target.cpu_seconds() - cpu,
        }


async def _junk(target: Target, head: bytes) -> int:
    """Return the bytes that the server took after a refused head, with those in the kernel's buffers."""
    peer = RawClient(target, "sse")
    limit_send_buffer(peer)
    await peer.connect()
    await peer.send(head + b"\r\n")
    data = JUNK if b"chunked" not in head else b"4000\r\n" + JUNK + b"\r\n"
    sent, end = 0, time.monotonic() + JUNK_S
    reading = asyncio.ensure_future(rest(peer, JUNK_S))
    while time.monotonic() < end and await try_to_send(peer, data, 1):
        sent += len(data)
        await until_read(target, peer, end)
    peer.leave(by_reset=True)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    return sent
