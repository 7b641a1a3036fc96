"""Clients that flood: with texts for everyone, with pings, with bytes that nobody asked for."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import suppress

from tests.faults.attack import Figures
from tests.faults.bystander import delay_added
from tests.faults.peers import (
    limit_send_buffer,
    open_stream,
    reading,
    repeat,
    streams,
    try_to_send,
    until_read,
)
from tests.faults.target import MIB, Setup, Target
from tests.raw_client import PING, TEXT, RawClient, frame

LISTENERS, FLOOD_S = 100, 3.0
CLOSE_S = 3.0
"""Time after which a connection that the server ends is closed."""
BROADCASTS = frame(TEXT, b"/all " + b"x" * 60_000) * 20
PINGS = frame(PING, b"") * 10_000
JUNK = b"x" * 64 * 1024
PROBES = 8
EMPTY_TEXTS = frame(TEXT, b"") * 20_000
PROBE_HANDSHAKE = (
    b"GET /ws?probe=&silence=600 HTTP/1.1\r\nHost: localhost\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def broadcasts(setup: Setup) -> Figures:
    """Flood `/all` with texts of 60 kB over one connection."""
    async with setup.server() as target, streams(target, "websocket", LISTENERS) as listeners:
        position = await _position(target)
        async with reading(listeners) as cut:
            await _flood(target, BROADCASTS, setup.seconds(3))
            await asyncio.sleep(CLOSE_S)
            listeners_cut = len(cut)
        return {"listeners cut": listeners_cut, "history lost": await _is_lost(target, position)}


async def _position(target: Target) -> str:
    """Publish two messages; return the position of the first, whose client still misses the second."""
    two = [{"message": f"before the flood, {n}"} for n in (1, 2)]
    code, body = await target.post("/api/publish", json=two)
    assert code == 200, body
    return str(json.loads(body)["positions"][0])


async def _is_lost(target: Target, position: str) -> bool:
    """Return whether a client that resumes from a position has lost messages."""
    peer = RawClient(target, "sse")
    try:
        await open_stream(peer, target, "sse", f"last_event_id={position}")
        # The message about a loss comes at once; without a loss, none comes.
        for _ in range(10):
            await asyncio.sleep(0.05)
            if b'"lost":true' in peer.received:
                return True
            try:
                async with asyncio.timeout(0.05):
                    await peer.read_more()
            except TimeoutError:
                pass
        return b'"lost":true' in peer.received
    finally:
        peer.leave(by_reset=True)


async def _flood(target: Target, data: bytes, seconds: float) -> int:
    """Send the same bytes over one WebSocket until it is cut; return how many bytes were sent.

    Answers are read and thrown away. Both in threads: the flood does not wait until other clients of
    this process have read.
    """
    peer = RawClient(target, "websocket")
    await open_stream(peer, target, "websocket", "producers=welcome")
    peer.socket.setblocking(True)
    reading = asyncio.ensure_future(asyncio.to_thread(_read_until_cut, peer.socket))
    try:
        return await asyncio.to_thread(_send_until_cut, peer.socket, data, time.monotonic() + seconds)
    finally:
        with suppress(OSError):
            peer.socket.shutdown(socket.SHUT_RDWR)  # which wakes both threads
        await reading
        peer.leave(by_reset=True)


def _send_until_cut(sock: socket.socket, data: bytes, end: float) -> int:
    sent = 0
    with suppress(OSError):
        while time.monotonic() < end:
            sock.sendall(data)
            sent += len(data)
    return sent


def _read_until_cut(sock: socket.socket) -> None:
    with suppress(OSError):
        while sock.recv(1 << 18):
            pass


async def pings(setup: Setup) -> Figures:
    """Send pings without a pause over one WebSocket, and reconnect when it is cut."""
    async with setup.server() as target:

        async def flood(attacked: Target) -> None:
            await repeat(lambda: _flood(attacked, PINGS, FLOOD_S), 1, setup.seconds(FLOOD_S))

        return await delay_added(setup, target, flood)


async def empty_texts_to_probes(setup: Setup) -> Figures:
    """Send empty texts without a pause over eight probes of `/ws`."""
    async with setup.server() as target:

        async def flood(attacked: Target) -> None:
            await asyncio.gather(*(_flood_probe(attacked) for _ in range(PROBES)))

        return await delay_added(setup, target, flood)


async def _flood_probe(target: Target) -> None:
    peer = RawClient(target, "sse")
    try:
        await peer.connect()
        await peer.send(PROBE_HANDSHAKE)
        await peer.read_until(b"sseHeartbeat")
        async with asyncio.timeout(FLOOD_S):
            while True:
                await peer.send(EMPTY_TEXTS)
    except (OSError, TimeoutError):
        pass  # cut, or not read any more
    finally:
        peer.leave(by_reset=True)


async def bytes_on_a_stream(setup: Setup) -> Figures:
    """Send bytes without end on an open event stream."""
    async with setup.server() as target, streams(target, "sse", 1) as (peer,):
        limit_send_buffer(peer)
        sent = 0
        cpu = target.cpu_seconds()
        end = time.monotonic() + setup.seconds(3)
        async with reading([peer]) as cut:
            while time.monotonic() < end and not cut:
                if not await try_to_send(peer, JUNK, 1):
                    break
                sent += len(JUNK)
                await until_read(target, peer, end)
        return {"swallowed": sent / MIB, "CPU": target.cpu_seconds() - cpu}
