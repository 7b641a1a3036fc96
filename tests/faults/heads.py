"""Heads of requests that are huge, slow or never end."""

from __future__ import annotations

import asyncio
import math
import time

from tests.faults.attack import Figures
from tests.faults.peers import END_TIMEOUT_S, connected, is_open, rest, status, try_to_send
from tests.faults.target import Setup
from tests.raw_client import RawClient

ATTACKERS = 60
FIRST_LINES = b"GET /api/time HTTP/1.1\r\nHost: localhost\r\n"
HUGE = FIRST_LINES + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 32 * 1024) for n in range(120))
"""3.8 MiB."""
OVER_LIMIT = FIRST_LINES + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 7 * 1024) for n in range(10)) + b"\r\n"
"""70 KiB, as a finished head of headers that are each allowed."""
NEARLY_LIMIT = b"".join(b"X-%d: %s\r\n" % (n, b"a" * 6 * 1024) for n in range(10)) + b"\r\n"
"""60 KiB, in headers that are each allowed."""
STREAMS = 400
MAX_WAIT_S = 14.0
MAX_LOOKS = 30
"""How often connections are looked at that the server has to close, a second after each other."""
DRIP_S = 0.25
IDLE_S, LONG_IDLE_S = 13.0, 80.0


async def huge(setup: Setup, end: bytes) -> Figures:
    """Send huge heads at once from many connections, and keep the connections.

    Arguments:
        setup: starts the server.
        end: what follows the headers; an empty line finishes the requests.
    """
    async with setup.server() as target, connected(target, ATTACKERS) as peers:
        before = target.rss_mib()
        target.forget_peak()
        await asyncio.gather(*(try_to_send(peer, HUGE + end, 3) for peer in peers))
        still_open = list(peers)
        for _ in range(MAX_LOOKS):
            await asyncio.sleep(1)
            still_open = [peer for peer in still_open if await is_open(peer)]
            if not still_open:
                break
        return {
            "RSS at its peak": target.peak_rss_mib() - before,
            "RSS kept": target.rss_mib() - before,
            "open": len(still_open),
            "out of time": sum(b" 408 " in peer.received for peer in peers),
        }


async def over_limit(setup: Setup) -> Figures:
    """Send heads of a little over 64 KiB on new and on reused connections."""
    async with setup.server() as target, connected(target, 40) as peers:
        for peer in peers[::2]:
            await peer.send(FIRST_LINES + b"\r\n")
            await peer.read_until(b'{"now":')
            peer.received = b""
        await asyncio.gather(*(try_to_send(peer, OVER_LIMIT) for peer in peers))
        answers = await asyncio.gather(*(rest(peer, END_TIMEOUT_S) for peer in peers))
        return {"answers other than 431": sum(status(answer) != 431 for answer in answers)}


async def streams_with_large_heads(setup: Setup) -> Figures:
    """Open streams with the largest heads that are allowed."""
    head = b"GET /api/sse HTTP/1.1\r\nHost: localhost\r\n" + NEARLY_LIMIT
    async with setup.server() as target, connected(target, STREAMS) as peers:
        before = target.rss_mib()
        for peer in peers:
            await peer.send(head)
            await peer.read_until(b"\r\n\r\n")
        opened = sum(status(peer.received) == 200 for peer in peers)
        return {"opened": opened, "RSS kept": target.rss_mib() - before}


async def slow(setup: Setup) -> Figures:
    """Send nothing, a part of a head, or a byte from time to time, on new and on reused connections."""
    async with setup.server() as target:
        start = time.monotonic()  # the time of a first head begins with the connect
        async with connected(target, 25) as peers:
            cut = await asyncio.gather(*(_cut_after(peer, n % 5, start) for n, peer in enumerate(peers)))
        # Those that sent a part of a request are owed an answer.
        answered = sum(b" 408 " in peer.received for n, peer in enumerate(peers) if n % 5)
        return {"first cut": min(cut), "last cut": max(cut), "answered with 408": answered}


async def _cut_after(peer: RawClient, kind: int, start: float) -> float:
    """Send one kind of slow head; return the seconds until the server closes, infinite if never.

    Arguments:
        peer: is connected.
        kind: of the head.
        start: before it connected, in seconds of `time.monotonic`.
    """
    parts = (b"", b"GET /api", FIRST_LINES, FIRST_LINES + b"X-Slow: ", FIRST_LINES)
    if kind == 4:
        await peer.send(FIRST_LINES + b"\r\n")
        await peer.read_until(b'{"now":')
        start = time.monotonic()
    if parts[kind]:
        await peer.send(parts[kind])
    dripping = asyncio.ensure_future(_drip(peer)) if kind >= 3 else None
    await rest(peer, MAX_WAIT_S)
    elapsed = time.monotonic() - start
    if dripping is not None:
        dripping.cancel()
    return elapsed if elapsed < MAX_WAIT_S else math.inf


async def _drip(peer: RawClient) -> None:
    while await try_to_send(peer, b"a"):
        await asyncio.sleep(DRIP_S)


async def idle(setup: Setup, seconds: float) -> Figures:
    """Leave a connection idle after a request.

    Arguments:
        setup: starts the server.
        seconds: after which to stop waiting.
    """
    async with setup.server() as target, connected(target, 1) as (peer,):
        await peer.send(FIRST_LINES + b"\r\n")
        await peer.read_until(b'{"now":')
        start = time.monotonic()
        await rest(peer, seconds)
        return {"open for": time.monotonic() - start}
